import Foundation

/// A store that reaches another machine piece by piece.
///
/// Who has the store gives out its description, its clip table and, when asked, blocks. Who has not
/// makes a copy with `Store.beginCopy`, installs the blocks that it needs before it reads their
/// clips, and keeps them for next time. Everything that arrives is checked against the fingerprint
/// before it is kept.
extension Store {
  /// The bytes of `store.json`.
  package func descriptionData() throws -> Data { try description.json() }

  /// Passes the bytes of the clip table, from its memory map.
  package func withTable<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try table.withBytes(body)
  }

  package var blockCount: Int { description.blocks.count }

  /// Passes the bytes of a block, from its memory map.
  package func withBlock<R>(_ block: Int, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R
  {
    try body(try map(ofBlock: block).bytes)
  }

  /// The blocks that must be installed before these clips can be read.
  package func missingBlocks(for clips: some Sequence<Int>) -> [Int] {
    Set(clips.map(block(ofClip:))).sorted().filter { block in
      !FileManager.default.fileExists(atPath: url(ofBlock: block).path)
    }
  }

  /// Keeps a block that has arrived.
  ///
  /// - Throws: `.truncated` or `.damaged` if it is not the block that the fingerprint vouches for
  package func install(block: Int, bytes: UnsafeRawBufferPointer) throws {
    guard bytes.count == byteCount(ofBlock: block) else {
      throw DatasetError.wrongSize(
        bytes.count, expected: byteCount(ofBlock: block), attempt: "keep block \(block)",
        path: url(ofBlock: block).path)
    }
    try verify(block: block, bytes: bytes)
    try DurableFile.write(bytes, to: url(ofBlock: block))
  }

  /// Makes a store without blocks from what another machine sent, or opens the one that is there.
  ///
  /// - Parameters:
  ///   - fingerprint: of the store that is expected
  ///   - descriptionData: the bytes of its `store.json`
  ///   - tableData: the bytes of its clip table
  /// - Throws: `.otherStore` or `.damaged` if these are not the fingerprint's, `.busy` if
  ///   another process is at it
  package static func beginCopy(
    in directory: URL, fingerprint: String, descriptionData: Data, tableData: Data
  ) throws -> Store {
    let url = directory.appendingPathComponent(StoreDescription.fileName)
    if !FileManager.default.fileExists(atPath: url.path) {
      let description = try StoreDescription(json: descriptionData, path: url.path)
      try description.require(fingerprint: fingerprint, path: url.path)
      let claim = try DirectoryClaim(directory)
      let table = directory.appendingPathComponent(ClipTable.fileName)
      try tableData.withUnsafeBytes { try DurableFile.write($0, to: table) }
      try ClipTable(table, description: description).verify(against: description)
      try DurableFile.synchronize(folder: directory)
      try descriptionData.withUnsafeBytes { try DurableFile.write($0, to: url) }
      try claim.release()
    }
    let store = try Store(directory, allowsMissingBlocks: true)
    try store.require(fingerprint: fingerprint)
    return store
  }

  /// - Throws: `.otherStore` if this is not the store expected
  package func require(fingerprint expected: String) throws {
    try description.require(fingerprint: expected, path: directory.path)
  }
}

extension StoreDescription {
  fileprivate func require(fingerprint expected: String, path: String) throws {
    guard fingerprint == expected else {
      throw DatasetError(
        .otherStore, attempt: "use the store", path: path,
        detail: "its fingerprint is \(fingerprint.prefix(12))… and \(expected.prefix(12))… is "
          + "expected; use the store that the run was started with")
    }
  }
}
