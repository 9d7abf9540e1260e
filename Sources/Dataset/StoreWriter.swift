import Foundation

/// Makes a store, or a part of one, from a plan and the features of its clips.
///
/// Any number of threads may add features, in any order. Where a clip goes follows from the plan
/// alone, so the files do not depend on threads or order; a clip is written as it comes, so memory
/// does not grow. Clips that cannot be used are quarantined: their block closes up over the gap.
///
///     let writer = try StoreWriter(directory: …, plan: plan)
///     // on each thread, for each index of writer.remaining:
///     try writer.add(features, at: index)   // or writer.quarantine(index, reason: "…")
///     let store = try writer.finish()
///
/// Whole blocks survive an interruption: each is on the disk before the journal says so. Another
/// writer of the same plan may take them over, once it has checked them, instead of making them
/// again (see `StoreTakeOver.swift`).
package final class StoreWriter: Sendable {
  static let quarantineName = "quarantine.csv"

  package let plan: StorePlan
  package var records: [ClipRecord] { plan.records }
  package var tags: [String] { plan.identity.tags }

  private let directory: URL
  let stamps: [FileStamp?]
  private let tagPlaces: [String: Int]
  private let claim: DirectoryClaim
  let journal: PreparationJournal
  /// What an earlier writer has finished here, by block.
  let begun: [Int: BegunBlock]
  let ledger: OutcomeLedger

  struct BegunBlock {
    let outcomes: [ClipOutcome]
    let stamps: [FileStamp?]
  }

  /// Takes the folder, which must be new, empty, or left by a writer of the same plan.
  ///
  /// - Parameters:
  ///   - stamps: of the sound files of `plan.indices`; with other stamps than an earlier writer's,
  ///     a block is not taken over. nil if features do not come from files
  ///   - restarts: removes what an earlier writer has left, whatever its plan
  /// - Throws: `.noClips` if there is no tag, `.finished` if a store is there already, `.occupied` or
  ///   `.busy` if the folder is in use, `.otherStore` if it was left by a writer with another plan,
  ///   `.wrongVersion` or `.damaged` for an unreadable journal, `.inputOutput`
  package init(
    directory: URL, plan: StorePlan, stamps: [FileStamp?]? = nil, restarts: Bool = false
  ) throws {
    guard !plan.identity.tags.isEmpty else {
      throw DatasetError(
        .noClips, attempt: "prepare a store", path: directory.path,
        detail: "no clip has a tag, so there is nothing to learn")
    }
    let count = plan.indices.count
    let stamps = stamps ?? Array(repeating: nil, count: count)
    precondition(stamps.count == count, "\(stamps.count) stamps for \(count) clips")
    // Looked at before the folder is claimed, so that a wrong command leaves a part as it is.
    let description = directory.appendingPathComponent(StoreDescription.fileName)
    if !restarts, access(description.path, F_OK) != 0 {
      try Self.require(plan, PreparationJournal.read(directory), directory)
    }
    claim = try DirectoryClaim(directory, keepsFinishedBlocks: true)
    if restarts { try claim.clear() }
    var begun: [Int: BegunBlock] = [:]
    let found = try PreparationJournal.read(directory) { block in
      begun[block.block] = BegunBlock(
        outcomes: block.clips.map(\.outcome), stamps: block.clips.map(\.stamp))
    }
    try Self.require(plan, found, directory)
    if found == nil { try PreparationJournal.begin(in: directory, plan.identity) }
    journal = try PreparationJournal(directory)
    self.directory = directory
    self.plan = plan
    self.stamps = stamps
    tagPlaces = Dataset.tagPlaces(plan.identity.tags)
    self.begun = begun
    ledger = OutcomeLedger(plan)
  }

  /// Makes a whole store anew, of features that do not come from files.
  package convenience init(
    directory: URL, bands: Int, frames: Int, settings: [FeatureSetting], manifest: Manifest,
    tags: [String]? = nil, clipsPerBlock: Int = 64
  ) throws {
    let plan = StorePlan(
      manifest: manifest, tags: tags, maker: "tutti", bands: bands, frames: frames,
      settings: settings, clipsPerBlock: clipsPerBlock)
    try self.init(directory: directory, plan: plan, restarts: true)
  }

  private static func require(
    _ plan: StorePlan, _ found: StorePlan.Identity?, _ directory: URL
  ) throws {
    guard
      let difference = found?.difference(
        from: plan.identity, here: "what was begun there", there: "what is asked for")
    else { return }
    throw DatasetError(
      .otherStore, attempt: "go on with an unfinished store", path: directory.path,
      detail: "\(difference); start anew with --restart, or choose another folder")
  }

  // MARK: Clips

  /// The clips that are to be added or quarantined, as indices of `records`.
  package var remaining: [Int] { ledger.remaining }

  /// Whether the clip's sound file was there before the writer began.
  package func hadFile(_ index: Int) -> Bool { stamps[index - plan.indices.lowerBound] != nil }

  /// Converts the features of `records[index]` to half precision (nearest, ties to even) and writes
  /// them.
  ///
  /// - Parameter features: `[F, T]`, row-major
  /// - Throws: `.notRepresentable` if a value is not finite or beyond ±65504, after which the clip
  ///   may still be quarantined; `.inputOutput`
  package func add(_ features: UnsafeBufferPointer<Float>, at index: Int) throws {
    let (bands, frames) = (plan.identity.bands, plan.identity.frames)
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
    ledger.claim(index)
    let bytes = UnsafeRawBufferPointer(halves)
    let block = index / plan.identity.clipsPerBlock
    do {
      let slot = index - plan.indices(ofBlock: block).lowerBound
      try DurableFile(url(ofBlock: block)).write(bytes, at: slot * bytes.count)
    } catch {
      ledger.unclaim(index)
      throw error
    }
    try settle(index, .stored(checksum: checksum(bytes)))
  }

  /// Leaves `records[index]` out of the store, and says why in `quarantine.csv`.
  ///
  /// - Parameter reason: a kind, which is counted, a colon, and more: `silent: no sample …`
  package func quarantine(_ index: Int, reason: String) throws {
    ledger.claim(index)
    try settle(index, .quarantined(reason: reason))
  }

  /// Notes what became of a clip; who settles the last clip of a block publishes it.
  private func settle(_ index: Int, _ outcome: ClipOutcome) throws {
    if let outcomes = ledger.settle(index, outcome) {
      try publish(index / plan.identity.clipsPerBlock, outcomes)
    }
  }

  // MARK: Blocks

  func url(ofBlock block: Int) -> URL {
    directory.appendingPathComponent(StoreDescription.blockName(block))
  }

  private func publish(_ block: Int, _ outcomes: [ClipOutcome]) throws {
    let clipBytes = plan.clipBytes
    let file = try DurableFile(url(ofBlock: block))
    var kept = 0
    for (slot, outcome) in outcomes.enumerated() where outcome.checksum != nil {
      try file.move(clipBytes, from: slot * clipBytes, to: kept * clipBytes)
      kept += 1
    }
    try file.publish(size: kept * clipBytes)
    try journal.append(journalBlock(block, outcomes))
    ledger.finish(block, outcomes)
  }

  private func journalBlock(_ block: Int, _ outcomes: [ClipOutcome]) -> PreparationJournal.Block {
    let files = zip(records[plan.indices(ofBlock: block)], stamps[plan.places(ofBlock: block)])
    return PreparationJournal.Block(
      block: block,
      clips: zip(files, outcomes).map { file, outcome in
        PreparationJournal.Clip(
          id: file.0.id, path: file.0.path, split: file.0.split.rawValue,
          labels: file.0.labels(tagPlaces), checksum: outcome.checksum, reason: outcome.reason,
          stamp: file.1)
      })
  }

  // MARK: The end

  /// How many clips are quarantined, by the kind of their reason: most frequent first.
  package var quarantined: [(kind: String, clips: Int)] { ledger.outcomes.quarantined }

  /// Writes the list of quarantined clips, the clip table and, last of all, `store.json`.
  ///
  /// - Precondition: the plan is for a whole store, and every record was added or quarantined
  /// - Throws: `.emptySplit` if no clip is left to train on or to validate with, `.inputOutput`
  package func finish() throws -> Store {
    precondition(plan.identity.shard == nil, "finish() of a part; call finishPart()")
    let contents = try finishedContents()
    let (table, description) = try contents.tableAndDescription(path: directory.path)
    try table.withUnsafeBytes { try DurableFile.write($0, to: file(ClipTable.fileName)) }
    try DurableFile.synchronize(folder: directory)
    try description.json().withUnsafeBytes {
      try DurableFile.write($0, to: file(StoreDescription.fileName))
    }
    try DurableFile.synchronize(folder: directory)
    unlink(file(PreparationJournal.fileName).path)
    try claim.release()
    return try Store(directory)
  }

  /// Writes the list of quarantined clips; the journal stays, for the parts to be joined by.
  ///
  /// - Precondition: the plan is for a part, and every one of its records was added or quarantined
  package func finishPart() throws {
    precondition(plan.identity.shard != nil, "finishPart() of a whole store; call finish()")
    _ = try finishedContents()
    try claim.release()
  }

  private func finishedContents() throws -> StoreContents {
    let outcomes = ledger.outcomes
    precondition(
      outcomes.count == plan.indices.count, "finish() before every record was dealt with")
    let contents = StoreContents(plan: plan, outcomes: outcomes)
    var list = contents.quarantineList()
    try list.withUTF8 {
      try DurableFile.write(UnsafeRawBufferPointer($0), to: file(Self.quarantineName))
    }
    return contents
  }

  private func file(_ name: String) -> URL { directory.appendingPathComponent(name) }
}

extension PreparationJournal.Clip {
  var outcome: ClipOutcome {
    checksum.map { .stored(checksum: $0) } ?? .quarantined(reason: reason ?? "")
  }
}
