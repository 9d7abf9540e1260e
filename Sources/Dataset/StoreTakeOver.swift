import Foundation

/// Blocks that are there already: of an earlier writer of the same plan that was interrupted, or of the
/// parts that are joined. Neither is believed before its checksums are.
extension StoreWriter {
  /// The blocks that an earlier writer of this plan has finished here; see `takeOver`.
  package var begunBlocks: [Int] { begun.keys.sorted() }

  /// Clips, quarantined ones too, of the blocks that an interruption would not undo.
  package var safeClips: Int { ledger.safeClips }

  /// Takes over one of `begunBlocks` if its file is as it was written and its sound files are what
  /// they were. May be called from any thread, once for each block, before its clips are added.
  ///
  /// - Returns: whether it was taken over; if not, its clips remain
  package func takeOver(_ block: Int) throws -> Bool {
    guard let begun = begun[block], begun.stamps[...] == stamps[plan.places(ofBlock: block)],
      try isIntact(block, begun.outcomes)
    else { return false }
    ledger.finish(block, begun.outcomes)
    return true
  }

  private func isIntact(_ block: Int, _ outcomes: [ClipOutcome]) throws -> Bool {
    let checksums = outcomes.compactMap(\.checksum)
    do {
      let file = try MappedFile(
        url(ofBlock: block), attempt: "check block \(block)",
        expectedSize: checksums.count * plan.clipBytes)
      return file.firstClip(differingFrom: checksums) == nil
    } catch let error as DatasetError where error.code != .inputOutput {
      return false
    }
  }

  /// Gives the store another folder's block: as a link to the same file, or as a copy if that folder
  /// is on another file system.
  ///
  /// - Throws: `.damaged` if it is not as it was written; `.missing`, `.truncated`, `.inputOutput`
  func adopt(_ block: PreparationJournal.Block, from source: URL) throws {
    let attempt = "join block \(block.block)"
    let stored = block.clips.filter { $0.checksum != nil }
    let file = try MappedFile(source, attempt: attempt, expectedSize: stored.count * plan.clipBytes)
    if let clip = file.firstClip(differingFrom: stored.compactMap(\.checksum)) {
      throw DatasetError(
        .damaged, attempt: attempt, path: source.path,
        detail: "clip \(quoted(stored[clip].id)) does not match its checksum; prepare this part "
          + "again with the same arguments, which replaces what is damaged")
    }
    let target = url(ofBlock: block.block)
    if try !DurableFile.link(source, as: target) {
      try withExtendedLifetime(file) { try DurableFile.write(file.bytes, to: target) }
    }
    try journal.append(block)
    ledger.finish(block.block, block.clips.map(\.outcome))
  }
}

extension MappedFile {
  /// The first of a block's clips that does not match its checksum, or nil.
  fileprivate func firstClip(differingFrom checksums: [UInt64]) -> Int? {
    checksums.indices.first { clip in
      let size = bytes.count / checksums.count
      let clipBytes = UnsafeRawBufferPointer(rebasing: bytes[clip * size..<(clip + 1) * size])
      return checksum(clipBytes) != checksums[clip]
    }
  }
}
