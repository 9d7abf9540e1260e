import Foundation

/// A share of a store, prepared on its own: a folder with blocks and the journal that knows them.
///
///     preparation.journal   what the whole store is, and each clip of these blocks
///     block-00012.f16       as in the store
///     quarantine.csv        clips of this part that were left out, and why
struct StorePart {
  static let attempt = "join the parts of a store"

  let directory: URL
  let shard: Shard
  let identity: StorePlan.Identity
  let blocks: [Int: PreparationJournal.Block]

  /// - Throws: `.missing`, `.notAStore` or `.unfinished` if the folder is no finished part,
  ///   `.damaged` if its journal lacks a block
  init(_ directory: URL) throws {
    func refuse(_ code: DatasetError.Code, _ detail: String) -> DatasetError {
      DatasetError(code, attempt: Self.attempt, path: directory.path, detail: detail)
    }
    func holds(_ name: String) -> Bool {
      access(directory.appendingPathComponent(name).path, F_OK) == 0
    }
    guard access(directory.path, F_OK) == 0 else {
      throw refuse(.missing, "there is no such folder")
    }
    guard !holds(StoreDescription.fileName) else {
      throw refuse(.notAStore, "this is a finished store, not a part of one; leave it out")
    }
    var blocks: [Int: PreparationJournal.Block] = [:]
    guard let identity = try PreparationJournal.read(directory, block: { blocks[$0.block] = $0 })
    else {
      throw refuse(.notAStore, "this is no part of a store: it has no journal of a preparation")
    }
    guard let shard = identity.shard else {
      throw refuse(
        .unfinished, "this is a whole store that is not finished; prepare it to its end")
    }
    guard !holds(DirectoryClaim.markerName) else {
      throw refuse(.unfinished, "\(shard) is not finished; run its preparation again")
    }
    if let lost = identity.blocks.first(where: { blocks[$0] == nil }) {
      throw refuse(
        .damaged,
        "the journal of \(shard) knows nothing of block \(lost); prepare this part again with the "
          + "same arguments, which replaces what is damaged")
    }
    self.directory = directory
    self.shard = shard
    self.identity = identity
    self.blocks = blocks
  }

  /// Why a folder without `store.json` cannot be opened as a store.
  static func whyNoStore(_ directory: URL) -> DatasetError {
    func error(_ code: DatasetError.Code, _ detail: String) -> DatasetError {
      DatasetError(code, attempt: "open the store", path: directory.path, detail: detail)
    }
    let marker = directory.appendingPathComponent(DirectoryClaim.markerName)
    if access(marker.path, F_OK) == 0 {
      return error(.unfinished, "its preparation was not finished; run it again")
    }
    if let shard = (try? PreparationJournal.read(directory))?.shard {
      return error(
        .notAStore,
        "this is \(shard) of a store; join them all with `tutti prepare --join PART… --out STORE`")
    }
    return error(
      .notAStore, "the folder holds no store.json; give the folder that `tutti prepare` made")
  }
}
