import Dataset
import Foundation
import Testing
import Training

/// Augmentation and weights keep the promise: what a run leaves behind is a function of
/// configuration, store and seed.
@Suite struct AugmentedTrainingTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    var store = SyntheticStore()
    // Tags of unequal frequency: ten, ten and eight of twenty clips.
    store.clips[.train] = 20
    try store.write(folder / "store")
  }

  typealias Change = @Sendable (inout Configuration) -> Void
  static let changes: [Change] = [
    { $0.augmentation.cropFrames = 32 },
    { ($0.augmentation.timeMasks, $0.augmentation.timeMaskFrames) = (2, 8) },
    { ($0.augmentation.bandMasks, $0.augmentation.bandMaskBands) = (1, 3) },
    { $0.loss.positiveWeight = .balanced },
  ]

  static var everything: Configuration {
    var configuration = InProcessTrainingTests.configuration
    for change in changes { change(&configuration) }
    return configuration
  }

  private func run(
    _ name: String, _ configuration: Configuration = everything
  ) -> InProcessRun {
    InProcessRun(configuration: configuration, store: folder / "store", folder: folder / name)
  }

  private func complete(_ run: InProcessRun) throws -> RunOutcome {
    let result = try run.run()
    return try #require(result.outcome, "\(result.error?.description ?? "")\n\(result.said)")
  }

  @Test("workers and threads leave no trace")
  func workers() throws {
    let reference = run("reference")
    let outcome = try complete(reference)
    for (workers, threads) in [(1, 2), (2, 1), (3, 2)] {
      var other = run("\(workers)-\(threads)")
      (other.workers, other.threads) = (workers, threads)
      #expect(try complete(other).test == outcome.test)
      #expect(try other.bytes == reference.bytes, "\(workers) workers, \(threads) threads")
      #expect(try other.log == reference.log)
    }
  }

  @Test("stopped and resumed, from the resolved configuration or the given one, it ends the same")
  func resume() throws {
    let reference = run("reference")
    _ = try complete(reference)
    for (steps, resolves) in [(1, true), (5, false), (6, true)] {
      var stopped = run("stopped-\(steps)")
      stopped.workers = 2
      stopped.interruption = { $0.count("step") >= steps ? "a test" : nil }
      #expect(try stopped.run().error?.status == .interrupted)
      stopped.resumes = true
      stopped.workers = 3
      stopped.interruption = { _ in nil }
      if resolves {
        stopped.configuration = try Configuration(path: stopped.folder + "/config.yaml")
        #expect(stopped.configuration.loss.positiveWeight == .each([1, 1, 1.5]))
      }
      _ = try complete(stopped)
      #expect(try stopped.bytes == reference.bytes)
      #expect(try stopped.log == reference.log)
    }
  }

  @Test("each setting changes the run; widths of masks that are off do not")
  func settings() throws {
    let plain = run("plain", InProcessTrainingTests.configuration)
    _ = try complete(plain)
    var off = InProcessTrainingTests.configuration
    (off.augmentation.timeMaskFrames, off.augmentation.bandMaskBands) = (3, 3)
    (off.augmentation.cropFrames, off.loss.maximumPositiveWeight) = (40, 3)
    let unchanged = run("off", off)
    _ = try complete(unchanged)
    #expect(try unchanged.last.digest() == plain.last.digest())
    var digests = [try plain.last.digest()]
    for (number, change) in Self.changes.enumerated() {
      var configuration = InProcessTrainingTests.configuration
      change(&configuration)
      let changed = run("changed-\(number)", configuration)
      _ = try complete(changed)
      digests.append(try changed.last.digest())
    }
    #expect(Set(digests).count == digests.count)
  }

  @Test("evaluation repeats the run's scores: the middle of each clip, no masks, the run's weights")
  func evaluation() throws {
    let run = run("run")
    let outcome = try complete(run)
    let best = try run.best
    for (split, threads) in [(Split.validation, 1), (.test, 2)] {
      let evaluated = try Evaluation(
        model: best.path, store: URL(fileURLWithPath: run.store), split: split, threads: threads)
      if split == .test {
        #expect(evaluated.scores.ranking == outcome.test)
      } else {
        #expect(evaluated.scores.ranking.rocAUC == outcome.best?.score)
        #expect(evaluated.scores.loss == best.history.last?.loss)
      }
    }
  }
}
