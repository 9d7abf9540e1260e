import Audio
import Dataset
import Foundation
import Synchronization

/// From labelled sound files to a store, or to a part of one.
///
/// Interrupted in whatever way and run again, it goes on where it was, in whole blocks: a block is
/// taken over if its features are as they were written and its sound files have the sizes and times
/// of modification that they had. So the finished store is what the files, as they are now, would
/// have given in one go. A finished store that is this preparation's already stays as it is.
package struct Preparation {
  /// What becomes of clips whose sound cannot be used.
  package enum Strictness: Sendable {
    /// The first one ends the preparation.
    case strict
    /// Files that do not exist are refused before anything is computed; others are quarantined.
    case usual
    /// All are quarantined.
    case lenient
  }

  package let manifest: Manifest
  /// The labels, in their order.
  package let tags: [String]
  /// The folder that the manifest's paths start from.
  package let audio: URL
  package let store: URL
  package var settings = FeatureSettings()
  package var threads = ProcessInfo.processInfo.activeProcessorCount
  /// Clips of one block file.
  package var clipsPerBlock = 64
  package var strictness = Strictness.usual
  /// The share to be prepared; nil for the whole store.
  package var shard: Shard?
  /// Start anew, whatever an unfinished preparation has left in the folder.
  package var restarts = false
  /// What has asked the preparation to stop, once something has: "Ctrl-C".
  package var interruption: @Sendable () -> String? = { nil }
  /// Gets a sentence worth knowing while the preparation goes on.
  package var note: @Sendable (String) -> Void = { _ in }

  package init(manifest: Manifest, tags: [String], audio: URL, store: URL) {
    self.manifest = manifest
    self.tags = tags
    self.audio = audio
    self.store = store
  }

  /// What came of it.
  package struct Outcome {
    /// nil if a part was prepared.
    package let store: Store?
    /// Clips of the store or part, with those that are quarantined.
    package let clips: Int
    /// Clips that could not be used, by the kind of the reason, the most frequent first.
    package let quarantined: [(kind: String, clips: Int)]

    /// As in "3 clips could not be used (2 undecodable, 1 silent)"; nil if all could.
    package var quarantineSummary: String? {
      guard !quarantined.isEmpty else { return nil }
      let count = quarantined.reduce(0) { $0 + $1.clips }
      let kinds = quarantined.map { "\($0.clips) \($0.kind)" }.joined(separator: ", ")
      return "\(count) \(count == 1 ? "clip" : "clips") could not be used (\(kinds))"
    }
  }

  /// Prepares the store; files that cannot be used go into its `quarantine.csv` with the reason.
  ///
  /// - Parameter progress: called from several threads, with what is going on, clips done, and clips
  ///   in all
  /// - Throws: `DatasetError` for the list or the store, `TrainingError` for files that do not exist
  ///   and for an interruption
  package func run(
    progress: @escaping @Sendable (_ what: String, _ done: Int, _ total: Int) -> Void
  ) throws -> Outcome {
    try settings.validate()
    try manifest.requireSplits()
    let plan = StorePlan(
      manifest: manifest, tags: tags, maker: "tutti \(Build.version)", bands: settings.melBands,
      frames: settings.frames,
      settings: settings.entries.map { FeatureSetting($0.name, $0.value) },
      clipsPerBlock: clipsPerBlock, shard: shard)
    let stamps = try lookAtFiles(plan)
    let writer: StoreWriter
    do {
      writer = try StoreWriter(directory: store, plan: plan, stamps: stamps, restarts: restarts)
    } catch let error as DatasetError where error.code == .finished && shard == nil && !restarts {
      return try alreadyPrepared(plan, stamps)
    }
    do {
      try takeOver(writer, progress)
      try compute(writer, progress)
      let store = shard == nil ? try writer.finish() : nil
      if shard != nil { try writer.finishPart() }
      return Outcome(store: store, clips: plan.indices.count, quarantined: writer.quarantined)
    } catch let error as DatasetError where error.code == .inputOutput {
      throw TrainingError(.unavailable, "\(error); \(kept(writer))")
    } catch is Interrupted {
      throw TrainingError(
        .interrupted, "stopped by \(interruption() ?? "a signal"); \(kept(writer))")
    }
  }

  /// The store that is there, if it is this preparation's.
  private func alreadyPrepared(_ plan: StorePlan, _ stamps: [FileStamp?]) throws -> Outcome {
    let prepared = try PreparedStore(store, is: plan)
    try prepared.require(stamps, of: plan)
    note("already prepared: the store in \(store.path) is of these clips and settings")
    return Outcome(
      store: prepared.store, clips: plan.indices.count, quarantined: prepared.quarantined)
  }

  private struct Interrupted: Error {}

  private func kept(_ writer: StoreWriter) -> String {
    "\(writer.safeClips) of \(writer.plan.indices.count) clips are done and kept in \(store.path), "
      + "and the same command goes on from there"
  }

  /// Shares out work, until it is done or somebody asks to stop.
  private func share(
    _ count: Int, worker: @Sendable () throws -> (Int) throws -> Void
  ) throws {
    let interruption = interruption
    let isDone = try shareWork(
      count, threads: threads, stop: { interruption() != nil }, worker: worker)
    if !isDone { throw Interrupted() }
  }

  // MARK: Features

  private func takeOver(
    _ writer: StoreWriter, _ progress: @escaping @Sendable (String, Int, Int) -> Void
  ) throws {
    let blocks = writer.begunBlocks
    guard !blocks.isEmpty else { return }
    let total = writer.plan.indices.count
    let rejected = Atomic(0)
    try share(blocks.count) {
      { piece in
        if try !writer.takeOver(blocks[piece]) { rejected.add(1, ordering: .relaxed) }
        progress("checking what is done", writer.safeClips, total)
      }
    }
    let again = rejected.load(ordering: .relaxed)
    note(
      "going on: \(writer.safeClips) of \(total) clips are done"
        + (again == 0
          ? ""
          : "; \(again) \(again == 1 ? "block" : "blocks") that seemed so must be made again, for "
            + "their sound files have changed or the blocks are damaged"))
  }

  private func compute(
    _ writer: StoreWriter, _ progress: @escaping @Sendable (String, Int, Int) -> Void
  ) throws {
    let remaining = writer.remaining
    let total = writer.plan.indices.count
    let done = Atomic(total - remaining.count)
    progress("preparing", total - remaining.count, total)
    try share(remaining.count) {
      let extractor = try LogMelExtractor(settings: settings)
      var features = [Float](repeating: 0, count: settings.values)
      return { piece in
        try add(remaining[piece], to: writer, extractor, &features)
        progress("preparing", done.add(1, ordering: .relaxed).newValue, total)
      }
    }
  }

  private func add(
    _ index: Int, to writer: StoreWriter, _ extractor: LogMelExtractor, _ features: inout [Float]
  ) throws {
    let record = writer.records[index]
    do {
      var span = features.mutableSpan
      try extractor.features(ofFile: path(record), into: &span)
      try features.withUnsafeBufferPointer { try writer.add($0, at: index) }
    } catch let error as AudioError where error.code != .library {
      // It was there a while ago: more likely a disk that has gone than a clip to leave out.
      if error.code == .missing, writer.hadFile(index) {
        throw TrainingError(
          .unavailable,
          "\(path(record)) was there and cannot be read any more: is its disk still mounted? "
            + kept(writer))
      }
      try leaveOut(index, of: writer, "\(error.code.rawValue): \(error.detail)")
    } catch let error as DatasetError where error.code == .notRepresentable {
      try leaveOut(index, of: writer, "\(error.code.rawValue): \(error.detail)")
    }
  }

  private func leaveOut(_ index: Int, of writer: StoreWriter, _ reason: String) throws {
    guard strictness != .strict else {
      let record = writer.records[index]
      throw TrainingError(
        .badInput,
        "\(record.place): \(path(record)) cannot be used: \(reason); "
          + "replace the file, or leave such clips out without --strict. " + kept(writer))
    }
    try writer.quarantine(index, reason: reason)
  }

  private func path(_ record: ClipRecord) -> String { audio.path + "/" + record.path }

  // MARK: Before anything is computed

  /// The stamps of the files of `plan.indices`.
  private func lookAtFiles(_ plan: StorePlan) throws -> [FileStamp?] {
    let indices = Array(plan.indices)
    let chunk = 1024
    let found = Mutex<[Int: [FileStamp?]]>([:])
    let chunks = (indices.count + chunk - 1) / chunk
    do {
      try share(chunks) {
        { piece in
          let stamps = indices.dropFirst(piece * chunk).prefix(chunk)
            .map { FileStamp(path: path(plan.records[$0])) }
          found.withLock { $0[piece] = stamps }
        }
      }
    } catch is Interrupted {
      throw TrainingError(
        .interrupted, "stopped by \(interruption() ?? "a signal") before anything was computed")
    }
    let stamps = found.withLock { found in (0..<chunks).flatMap { found[$0] ?? [] } }
    if strictness != .lenient {
      try refuse(missing: zip(indices, stamps).filter { $0.1 == nil }.map { plan.records[$0.0] })
    }
    return stamps
  }

  private func refuse(missing: [ClipRecord]) throws {
    let missing = missing.sorted { $0.line < $1.line }
    guard let first = missing.first else { return }
    let others = missing.dropFirst().prefix(3).map { "\($0.path) (line \($0.line))" }
    let count = missing.count - 1
    throw TrainingError(
      .badInput,
      "\(first.place): there is no file \(first.path) in \(audio.path) "
        + "that can be read"
        + (others.isEmpty
          ? ""
          : ", nor \(count) \(count == 1 ? "other" : "others"): " + others.joined(separator: ", ")
            + (count > others.count ? ", …" : ""))
        + "; correct the list or --audio, or leave such clips out with --skip-bad")
  }
}

extension Manifest {
  /// Says at once what a store would say after hours of computing.
  ///
  /// - Throws: `TrainingError` if there is nothing to train on or to validate with
  package func requireSplits() throws {
    for split in [Split.train, .validation] where !records.contains(where: { $0.split == split }) {
      throw TrainingError(
        .badInput,
        "the \(split.rawValue) split is empty; give some clips the split \(split.rawValue), or get "
          + "the list that is missing")
    }
  }
}
