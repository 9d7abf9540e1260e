import Foundation
import Synchronization

/// A prepared data set on disk: features, labels, ids, splits, and the fingerprint of it all.
///
/// Opening reads `store.json` and looks at each block file's size; clips are read from memory maps
/// when asked for, and checked every time. Any number of threads may read. A store may also have its
/// clips from elsewhere, see `ClipSupply`.
package final class Store: Sendable {
  package let directory: URL
  package let description: StoreDescription
  let table: ClipTable
  let layout: StoreLayout
  private let maps: Mutex<[MappedFile?]>
  private let supply: (any ClipSupply)?

  /// - Throws: `.notAStore`, `.unfinished`, `.wrongVersion`, `.missing`, `.truncated`, `.damaged`
  package init(_ directory: URL) throws {
    self.directory = directory
    let description = try Self.readDescription(in: directory)
    self.description = description
    table = try ClipTable(
      directory.appendingPathComponent(ClipTable.fileName), description: description)
    layout = StoreLayout(description)
    maps = Mutex(Array(repeating: nil, count: layout.blockCount))
    supply = nil
    for block in 0..<layout.blockCount { try checkSize(ofBlock: block) }
  }

  /// The store that `copy` is of, with clips from `supply`.
  package init(_ copy: StoreCopy, from supply: any ClipSupply) {
    directory = copy.folder
    description = copy.description
    table = copy.table
    layout = copy.layout
    maps = Mutex(Array(repeating: nil, count: layout.blockCount))
    self.supply = supply
  }

  /// - Throws: `.otherStore` if this is not the store expected
  package func require(fingerprint expected: String) throws {
    try description.require(fingerprint: expected, path: directory.path)
  }

  // MARK: What the store holds

  package var fingerprint: String { description.fingerprint }
  package var settings: [FeatureSetting] { description.settings }
  /// F, mel bands.
  package var bands: Int { description.bands }
  /// T, frames.
  package var frames: Int { description.frames }
  /// K names, in the order of the labels.
  package var tags: [String] { description.tags.map(\.name) }
  package var clipCount: Int { description.clips.total }

  package func clipCount(in split: Split) -> Int { description.clips[split] }

  /// The clips of a split, which stand together.
  package func range(of split: Split) -> Range<Int> { description.range(of: split) }

  /// How many clips of a split have each tag.
  package func tagCounts(in split: Split) -> [Int] { description.tags.map { $0.counts[split] } }

  /// What a user should be told before training on this store, in sentences.
  package var warnings: [String] {
    var warnings: [String] = []
    if clipCount(in: .test) == 0 {
      warnings.append("the test split is empty, so the trained model cannot be evaluated on it")
    }
    for tag in description.tags {
      for split in [Split.train, .validation] where tag.counts[split] == 0 {
        warnings.append("no clip of the \(split.rawValue) split has the tag \(quoted(tag.name))")
      }
    }
    return warnings
  }

  /// - Throws: `.settingsDiffer`, naming the first setting that differs and both its values
  package func requireSettings(_ expected: [FeatureSetting], of model: String) throws {
    let difference = settings.difference(from: expected, here: "the store", there: model)
    guard let difference else { return }
    throw DatasetError(
      .settingsDiffer, attempt: "use the store's features", path: directory.path,
      detail: "\(difference); prepare the data set with the settings of \(model): tutti prepare "
        + "takes them with --config and --set")
  }

  // MARK: Clips

  /// Writes a clip's features, `[F, T]` row-major, after checking them. The clip's pages are given
  /// back, so that a process does not grow with what it has read.
  ///
  /// - Precondition: the buffer holds F·T values
  /// - Throws: `.damaged` naming clip, block and file; `.missing`, `.truncated` if the block is not
  ///   as it was when the store was opened
  package func copyFeatures(
    ofClip clip: Int, into features: UnsafeMutableBufferPointer<Float>
  ) throws {
    precondition(
      features.count == bands * frames,
      "room for \(features.count) values, a clip has \(bands) × \(frames)")
    if let supply {
      try supply.bytes(ofClip: clip).withUnsafeBytes { Self.decode($0, into: features) }
      return
    }
    let (block, range) = layout.place(ofClip: clip)
    let map = try map(ofBlock: block)
    defer { map.doNotKeep(range) }
    let bytes = map.bytes[range]
    guard checksum(UnsafeRawBufferPointer(rebasing: bytes)) == (try table.featureChecksum(clip))
    else { throw try damaged(clip: clip, block: block) }
    Self.decode(UnsafeRawBufferPointer(rebasing: bytes), into: features)
  }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, into features: UnsafeMutableBufferPointer<Float>
  ) {
    HalfPrecision.decode(bytes.assumingMemoryBound(to: UInt16.self), into: features)
  }

  /// Writes a clip's K labels, 0 or 1 each.
  package func copyLabels(
    ofClip clip: Int, into labels: UnsafeMutableBufferPointer<Float>
  ) throws {
    precondition(
      labels.count == description.tags.count,
      "room for \(labels.count) labels, the store has \(description.tags.count) tags")
    try table.copyLabels(clip, into: labels)
  }

  package func id(ofClip clip: Int) throws -> String { try table.entry(clip).id }

  /// Where the clip's sound lay, relative to the data set it was prepared from.
  package func path(ofClip clip: Int) throws -> String { try table.entry(clip).path }

  /// Says that these clips will be read next, so that they come from disk or elsewhere in the meantime;
  /// returns at once.
  package func willNeed(_ clips: [Int]) throws {
    if let supply { return supply.willNeed(clips) }
    for clip in clips {
      let (block, range) = layout.place(ofClip: clip)
      try map(ofBlock: block).willNeed(range)
    }
  }

  // MARK: Blocks

  func url(ofBlock block: Int) -> URL {
    directory.appendingPathComponent(StoreDescription.blockName(block))
  }

  package var blockCount: Int { layout.blockCount }
  func clips(ofBlock block: Int) -> Range<Int> { layout.clips(ofBlock: block) }
  package func block(ofClip clip: Int) -> Int { layout.place(ofClip: clip).block }

  /// A block's memory; at its first use the table's checksums must match the description's.
  func map(ofBlock block: Int) throws -> MappedFile {
    try maps.withLock { maps in
      if let map = maps[block] { return map }
      let map = try MappedFile(
        url(ofBlock: block), attempt: attempt(block),
        expectedSize: layout.byteCount(ofBlock: block))
      let sums = try clips(ofBlock: block).map { try table.featureChecksum($0) }
      guard Self.blockChecksum(sums) == description.blocks[block].checksum else {
        throw DatasetError(
          .damaged, attempt: attempt(block), path: table.url.path,
          detail: "its clips are not those of store.json; one of the two files is damaged, "
            + "copy the store again")
      }
      maps[block] = map
      return map
    }
  }

  package static func blockChecksum(_ featureChecksums: [UInt64]) -> String {
    featureChecksums.map(\.littleEndian).withUnsafeBytes { hexadecimal(checksum($0)) }
  }

  private func attempt(_ block: Int) -> String { "read block \(block) of the store" }

  func damaged(clip: Int, block: Int) throws -> DatasetError {
    DatasetError(
      .damaged, attempt: attempt(block), path: url(ofBlock: block).path,
      detail: "clip \(quoted(try id(ofClip: clip))) (number \(clip)) does not match its checksum; "
        + "the file was damaged after it was written, copy it again or prepare anew")
  }

  private func checkSize(ofBlock block: Int) throws {
    var status = stat()
    let path = url(ofBlock: block).path
    guard stat(path, &status) == 0 else {
      if errno != ENOENT { throw DatasetError.system("open the store", path: path) }
      throw DatasetError(
        .missing, attempt: "open the store", path: path,
        detail: "block \(block) of \(blockCount) is missing; copy it again or prepare anew")
    }
    if Int(status.st_size) != layout.byteCount(ofBlock: block) {
      throw DatasetError.wrongSize(
        Int(status.st_size), expected: layout.byteCount(ofBlock: block),
        attempt: "open block \(block) of the store", path: path)
    }
  }

  private static func readDescription(in directory: URL) throws -> StoreDescription {
    let url = directory.appendingPathComponent(StoreDescription.fileName)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw StorePart.whyNoStore(directory)
    }
    guard let json = try? Data(contentsOf: url) else {
      throw DatasetError(
        .inputOutput, attempt: "open the store", path: url.path, detail: "it cannot be read")
    }
    return try StoreDescription(json: json, path: url.path)
  }
}
