/// Makes a corpus: plans it, renders its clips in parallel, and lists them in `tags.csv`.

import Audio
import Dispatch
import Synchronization

/// Writes a data set of synthetic music: `clips/0001.flac` … (29.12 s, mono, 22,050 Hz, 16 bits) and
/// `tags.csv`, which comes last.
///
/// The files are a function of (`clips`, `seed`); the folder may be new, empty, or one that this
/// function has written before, whose corpus is then replaced.
/// - Parameters:
///   - threads: how many clips are rendered at the same time, at least 1
///   - progress: called with the number of clips that are done, from several threads
/// - Throws: `SynthesisError`
package func synthesize(
  into directory: String, clips: Int, seed: UInt64, threads: Int,
  progress: @Sendable (Int) -> Void
) throws {
  let plan = try CorpusPlan(clips: clips, seed: seed)
  let folder = try CorpusFolder(directory)
  try folder.begin(
    "Made by tutti synthesize --clips \(clips) --seed \(seed). Making it again replaces it.\n")

  let work = Mutex(Work())
  withoutActuallyEscaping(progress) { progress in
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, clips))) { _ in
      while let clip = work.withLock({ $0.take(of: plan) }) {
        do {
          let samples = ClipRenderer.render(clip, seed: seed)
          let flac = try SoundFileWriter.flac(samples, sampleRateHz: ClipRenderer.sampleRateHz)
          try folder.write(flac, as: clip.path)
          progress(work.withLock { $0.finish() })
        } catch {
          work.withLock { $0.failure = $0.failure ?? error }
        }
      }
    }
  }
  if let failure = work.withLock({ $0.failure }) { throw failure }
  try folder.write(Array(plan.tagsFile.utf8), as: CorpusFolder.tagsName)
}

/// What is left to do, shared by the threads.
private struct Work {
  var next = 0
  var finished = 0
  var failure: (any Error)?

  mutating func take(of plan: CorpusPlan) -> ClipPlan? {
    guard failure == nil, next < plan.clips.count else { return nil }
    next += 1
    return plan.clips[next - 1]
  }

  mutating func finish() -> Int {
    finished += 1
    return finished
  }
}

extension ClipPlan {
  /// Counted from 1, with four digits or more.
  package var id: String {
    let number = String(index + 1)
    return String(repeating: "0", count: max(0, 4 - number.count)) + number
  }

  /// Relative to the folder of the corpus.
  package var path: String { "\(CorpusFolder.clipsName)/\(id).flac" }
}

extension CorpusPlan {
  /// The text of `tags.csv`.
  package var tagsFile: String {
    let rows = clips.map { clip in
      "\(clip.id),\(clip.path),\(clip.split.rawValue),\"\(clip.tune.title)\","
        + clip.tags.joined(separator: "|")
    }
    return (["clip_id,path,split,work,tags"] + rows).joined(separator: "\n") + "\n"
  }
}
