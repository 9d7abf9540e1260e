import Foundation
import Synchronization

/// Makes a store from records and their features.
///
/// Any number of threads may add features, in any order. Where a clip goes follows from the records
/// alone, so the files do not depend on threads or order; a clip is written as it comes, so memory
/// does not grow. Clips that cannot be used are quarantined: their block closes up over the gap.
///
///     let writer = try StoreWriter(directory: …, records: manifest.records, …)
///     // on each thread, for each index of writer.records:
///     try writer.add(features, at: index)   // or writer.quarantine(index, reason: "…")
///     let store = try writer.finish()
package final class StoreWriter: Sendable {
  /// The records in the order of the store: by split, then by the bytes of the id. Working through
  /// them in about this order keeps few blocks open.
  package let records: [ClipRecord]
  package let tags: [String]

  private let directory: URL
  private let bands: Int
  private let frames: Int
  private let settings: [FeatureSetting]
  private let clipsPerBlock: Int
  private let claim: DirectoryClaim
  private let state: Mutex<State>

  private enum Outcome {
    case awaited, claimed
    case stored(checksum: UInt64)
    case quarantined(reason: String)

    var isFinal: Bool {
      switch self {
      case .awaited, .claimed: false
      case .stored, .quarantined: true
      }
    }

    var storedChecksum: UInt64? {
      if case .stored(let checksum) = self { checksum } else { nil }
    }
  }

  private struct State {
    var outcomes: [Outcome]
    /// Clips of each block that are not yet stored or quarantined.
    var awaited: [Int]
  }

  /// Takes the folder, which must be new, empty, or left by a writer that did not finish; what such
  /// a writer left is removed.
  ///
  /// - Parameters:
  ///   - bands: F, mel bands of a clip
  ///   - frames: T, frames of a clip
  ///   - settings: how the features are made, in a fixed order
  ///   - manifest: the clips
  ///   - tags: the K labels in their order; other tags of the records are left out. By default
  ///     those that occur, sorted by name
  ///   - clipsPerBlock: clips of one block file
  /// - Throws: `.occupied` if the folder is in use, `.noClips` if no tag is left, `.inputOutput`
  package init(
    directory: URL, bands: Int, frames: Int, settings: [FeatureSetting], manifest: Manifest,
    tags: [String]? = nil, clipsPerBlock: Int = 64
  ) throws {
    precondition(bands > 0 && frames > 0 && clipsPerBlock > 0, "sizes must be positive")
    let tags = tags ?? manifest.tags
    precondition(Set(tags).count == tags.count, "the list of tags repeats one")
    self.tags = tags
    guard !tags.isEmpty else {
      throw DatasetError(
        .noClips, attempt: "prepare a store", path: directory.path,
        detail: "no clip has a tag, so there is nothing to learn")
    }
    self.directory = directory
    self.bands = bands
    self.frames = frames
    self.settings = settings
    self.clipsPerBlock = clipsPerBlock
    records = Split.allCases.flatMap { split in
      manifest.records.filter { $0.split == split }.sorted { utf8Precedes($0.id, $1.id) }
    }
    let count = records.count
    claim = try DirectoryClaim(directory)
    state = Mutex(
      State(
        outcomes: Array(repeating: .awaited, count: count),
        awaited: stride(from: 0, to: count, by: clipsPerBlock).map {
          min(clipsPerBlock, count - $0)
        }))
  }

  /// Converts the features of `records[index]` to half precision (nearest, ties to even) and writes
  /// them.
  ///
  /// - Parameter features: `[F, T]`, row-major
  /// - Throws: `.notRepresentable` if a value is not finite or beyond ±65504, after which the clip
  ///   may still be quarantined; `.inputOutput`
  package func add(_ features: UnsafeBufferPointer<Float>, at index: Int) throws {
    precondition(
      features.count == bands * frames,
      "clip of \(features.count) values in a store of \(bands) × \(frames)")
    let halves = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: features.count)
    defer { halves.deallocate() }
    if let bad = HalfPrecision.encode(features, into: halves) {
      throw DatasetError(
        .notRepresentable, attempt: "store clip \(quoted(records[index].id))",
        path: records[index].path,
        detail: "band \(bad / frames) of frame \(bad % frames) is \(features[bad]), "
          + "which half precision cannot hold; check the sound file and the feature settings")
    }
    claimClip(index)
    let bytes = UnsafeRawBufferPointer(halves)
    do {
      let slot = index % clipsPerBlock
      try DurableFile(blockURL(index / clipsPerBlock)).write(bytes, at: slot * bytes.count)
    } catch {
      state.withLock { $0.outcomes[index] = .awaited }
      throw error
    }
    try settle(index, .stored(checksum: checksum(bytes)))
  }

  /// Leaves `records[index]` out of the store, and says why in `quarantine.csv`.
  package func quarantine(_ index: Int, reason: String) throws {
    claimClip(index)
    try settle(index, .quarantined(reason: reason))
  }

  /// Writes the clip table, the list of quarantined clips and, last of all, `store.json`.
  ///
  /// - Precondition: every record was added or quarantined
  /// - Throws: `.emptySplit` if no clip is left to train on or to validate with, `.inputOutput`
  package func finish() throws -> Store {
    let outcomes = state.withLock { $0.outcomes }
    precondition(outcomes.allSatisfy(\.isFinal), "finish() before every record was dealt with")
    let counts = try splitCounts(outcomes)
    try writeQuarantine(outcomes)
    let entries = tableEntries(outcomes)
    let description = StoreDescription(
      bands: bands, frames: frames, settings: settings, tags: tagCounts(outcomes), clips: counts,
      blocks: blocks(outcomes),
      textBytes: entries.reduce(0) { $0 + $1.id.utf8.count + $1.path.utf8.count },
      contentDigest: ClipTable.contentDigest(of: entries))
    let table = ClipTable.bytes(of: entries, fingerprint: description.fingerprint)
    try table.withUnsafeBytes { try DurableFile.write($0, to: file(ClipTable.fileName)) }
    try DurableFile.synchronize(folder: directory)
    try description.json().withUnsafeBytes {
      try DurableFile.write($0, to: file(StoreDescription.fileName))
    }
    try claim.release()
    return try Store(directory)
  }

  // MARK: Blocks

  private func claimClip(_ index: Int) {
    state.withLock { state in
      guard case .awaited = state.outcomes[index] else {
        preconditionFailure("clip \(index) is dealt with twice")
      }
      state.outcomes[index] = .claimed
    }
  }

  /// Notes what became of a clip; who settles the last clip of a block publishes it.
  private func settle(_ index: Int, _ outcome: Outcome) throws {
    let block = index / clipsPerBlock
    let isLast = state.withLock { state in
      state.outcomes[index] = outcome
      state.awaited[block] -= 1
      return state.awaited[block] == 0
    }
    if isLast { try publish(block) }
  }

  private func publish(_ block: Int) throws {
    let outcomes = state.withLock { $0.outcomes[indices(of: block)] }
    let clipBytes = bands * frames * MemoryLayout<UInt16>.size
    let file = try DurableFile(blockURL(block))
    var kept = 0
    for (slot, outcome) in outcomes.enumerated() where outcome.storedChecksum != nil {
      try file.move(clipBytes, from: slot * clipBytes, to: kept * clipBytes)
      kept += 1
    }
    try file.publish(size: kept * clipBytes)
  }

  private func indices(of block: Int) -> Range<Int> {
    block * clipsPerBlock..<min((block + 1) * clipsPerBlock, records.count)
  }

  private func file(_ name: String) -> URL { directory.appendingPathComponent(name) }
  private func blockURL(_ block: Int) -> URL { file(StoreDescription.blockName(block)) }

  // MARK: What the description says

  private func splitCounts(_ outcomes: [Outcome]) throws -> StoreDescription.SplitCounts {
    var counts = StoreDescription.SplitCounts()
    for (record, outcome) in zip(records, outcomes) where outcome.storedChecksum != nil {
      counts[record.split] += 1
    }
    for split in [Split.train, .validation] where counts[split] == 0 {
      let listed = records.count { $0.split == split }
      throw DatasetError(
        .emptySplit, attempt: "finish the store", path: directory.path,
        detail: listed == 0
          ? "the \(split.rawValue) split is empty; give it clips"
          : "the \(split.rawValue) split is empty because all its \(listed) clips were "
            + "quarantined; see quarantine.csv for the reasons")
    }
    return counts
  }

  private func tagCounts(_ outcomes: [Outcome]) -> [StoreDescription.Tag] {
    var counts: [String: StoreDescription.SplitCounts] = [:]
    for (record, outcome) in zip(records, outcomes) where outcome.storedChecksum != nil {
      for tag in record.tags { counts[tag, default: .init()][record.split] += 1 }
    }
    return tags.map { StoreDescription.Tag(name: $0, counts: counts[$0] ?? .init()) }
  }

  private func blocks(_ outcomes: [Outcome]) -> [StoreDescription.Block] {
    stride(from: 0, to: records.count, by: clipsPerBlock).map { start in
      let kept = outcomes[indices(of: start / clipsPerBlock)].compactMap(\.storedChecksum)
      return .init(clips: kept.count, checksum: Store.blockChecksum(kept))
    }
  }

  private func tableEntries(_ outcomes: [Outcome]) -> [ClipTable.Entry] {
    let places = Dictionary(uniqueKeysWithValues: zip(tags, tags.indices))
    return zip(records, outcomes).compactMap { record, outcome in
      guard let checksum = outcome.storedChecksum else { return nil }
      var words = [UInt64](repeating: 0, count: (tags.count + 63) / 64)
      for k in record.tags.compactMap({ places[$0] }) { words[k / 64] |= 1 << UInt64(k % 64) }
      return ClipTable.Entry(
        id: record.id, path: record.path, featureChecksum: checksum, labelWords: words)
    }
  }

  private func writeQuarantine(_ outcomes: [Outcome]) throws {
    var text = commaSeparatedRow(["clip_id", "path", "reason"])
    for (record, outcome) in zip(records, outcomes) {
      guard case .quarantined(let reason) = outcome else { continue }
      text += commaSeparatedRow([record.id, record.path, reason])
    }
    try text.withUTF8 {
      try DurableFile.write(UnsafeRawBufferPointer($0), to: file("quarantine.csv"))
    }
  }
}
