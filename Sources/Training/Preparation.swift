import Audio
import Dataset
import Foundation
import Synchronization

/// From labelled sound files to a store.
package struct Preparation {
  package let tags: URL
  /// The folder that the paths in `tags` start from.
  package let audio: URL
  package let store: URL
  package var settings = FeatureSettings()
  package var threads = ProcessInfo.processInfo.activeProcessorCount
  /// Quarantine clips whose file does not exist, instead of refusing the list.
  package var skipsMissing = false

  package init(tags: URL, audio: URL, store: URL) {
    self.tags = tags
    self.audio = audio
    self.store = store
  }

  /// What came of it.
  package struct Outcome {
    package let store: Store
    package let quarantined: Int
  }

  /// Prepares the store; files that cannot be used go into its `quarantine.csv` with the reason.
  ///
  /// - Parameter progress: called from several threads, with clips done and clips in all
  /// - Throws: `DatasetError` for the list or the store, `TrainingError` for files that do not exist
  package func run(progress: @Sendable (_ done: Int, _ total: Int) -> Void) throws -> Outcome {
    try settings.validate()
    guard FileManager.default.fileExists(atPath: tags.path) else {
      throw TrainingError(.badInput, "there is no list of clips \(tags.path); --tags names it")
    }
    let manifest = try TagsFile(tags).manifest
    try requireSplits(manifest)
    if !skipsMissing { try requireFiles(manifest) }
    let writer = try StoreWriter(
      directory: store, bands: settings.melBands, frames: settings.frames,
      settings: settings.entries.map { FeatureSetting($0.name, $0.value) }, manifest: manifest)
    let total = writer.records.count
    let next = Atomic<Int>(0)
    let done = Atomic<Int>(0)
    let quarantined = Atomic<Int>(0)
    let failure = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, total))) { _ in
      do {
        let extractor = try LogMelExtractor(settings: settings)
        var features = [Float](repeating: 0, count: settings.values)
        while failure.withLock({ $0 == nil }) {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < total else { return }
          if try !add(index, to: writer, extractor, &features) {
            quarantined.add(1, ordering: .relaxed)
          }
          progress(done.add(1, ordering: .relaxed).newValue, total)
        }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return Outcome(
      store: try writer.finish(), quarantined: quarantined.load(ordering: .relaxed))
  }

  /// - Returns: false if the clip went into quarantine
  private func add(
    _ index: Int, to writer: StoreWriter, _ extractor: LogMelExtractor, _ features: inout [Float]
  ) throws -> Bool {
    let path = audio.appendingPathComponent(writer.records[index].path).path
    do {
      var span = features.mutableSpan
      try extractor.features(ofFile: path, into: &span)
      try features.withUnsafeBufferPointer { try writer.add($0, at: index) }
      return true
    } catch let error as AudioError where error.code != .library {
      try writer.quarantine(index, reason: "\(error.code.rawValue): \(error.detail)")
      return false
    } catch let error as DatasetError where error.code == .notRepresentable {
      try writer.quarantine(index, reason: error.detail)
      return false
    }
  }

  /// Says at once what the store would say after hours of computing.
  private func requireSplits(_ manifest: Manifest) throws {
    for split in [Split.train, .validation]
    where !manifest.records.contains(where: { $0.split == split }) {
      throw TrainingError(
        .badInput,
        "\(tags.path): the \(split.rawValue) split is empty; give some clips the split "
          + split.rawValue)
    }
  }

  private func requireFiles(_ manifest: Manifest) throws {
    let missing = manifest.records.filter { record in
      !FileManager.default.fileExists(atPath: audio.appendingPathComponent(record.path).path)
    }
    guard let first = missing.first else { return }
    let others = missing.count > 1 ? ", and \(missing.count - 1) more lines like it" : ""
    throw TrainingError(
      .badInput,
      "\(tags.path), line \(first.line): there is no file \(first.path) in \(audio.path)\(others); "
        + "correct the list or --audio, or leave such clips out with --skip-missing")
  }
}
