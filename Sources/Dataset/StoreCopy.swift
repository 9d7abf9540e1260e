import Foundation
import Synchronization

/// As much of a store of another machine as has come here: its description and clip table, which the
/// fingerprint vouches for, and block files with holes where clips are missing.
///
/// Whether a clip is here its checksum in the table tells, and nothing else: a hole, a clip that was
/// being written when the process died, and one that the disk has damaged are all missing, and come
/// anew. So there is no journal, processes of one machine share a copy (they write the same bytes), and
/// a copy that has all clips is a store. Any number of threads may use one.
package final class StoreCopy: Sendable {
  package let folder: URL
  package let description: StoreDescription
  let table: ClipTable
  let layout: StoreLayout
  private let cache: StoreCache
  /// Nil if nothing can be kept.
  private let use: CopyUse?
  /// Why not even description and table could be kept, if so.
  package let obstacle: DatasetError?

  private struct State {
    /// Clips seen here, and which of its epochs each was used in last.
    var isHere: [Bool]
    var lastUse: [Int32]
    var epoch: Int32 = 0
    /// Bytes that may be kept before the disk is looked at again; and clips not kept before that.
    var room = 0
    var passedOver = 0
  }
  private let state: Mutex<State>
  private static let passedOverAtOnce = 256

  /// The copy that is in the cache; nil if there is none, or its description or table is damaged.
  package static func open(in cache: StoreCache, fingerprint: String) -> StoreCopy? {
    // It comes from a peer, and is to be a folder's name.
    guard StoreCache.isFingerprint(fingerprint) else { return nil }
    let folder = cache.folder(of: fingerprint)
    let url = folder.appendingPathComponent(StoreDescription.fileName)
    guard let data = try? Data(contentsOf: url), let use = try? cache.use(fingerprint),
      let description = try? StoreDescription(json: data, path: url.path),
      description.fingerprint == fingerprint,
      let table = try? ClipTable(
        folder.appendingPathComponent(ClipTable.fileName), description: description),
      (try? table.verify(against: description)) != nil
    else { return nil }
    return StoreCopy(cache, description, table, use, nil)
  }

  /// Bytes of the clip table that belongs to a description.
  ///
  /// - Throws: `.otherStore` or `.damaged` if the description is not the fingerprint's
  package static func tableBytes(_ description: Data, fingerprint: String) throws -> Int {
    ClipTable.byteCount(for: try Self.description(description, fingerprint: fingerprint))
  }

  /// Begins a copy with what another machine has sent. If it cannot be kept, it is in memory.
  ///
  /// - Parameter table: all of it
  /// - Throws: `.otherStore`, `.damaged` or `.truncated` if these are not the fingerprint's
  package static func begin(
    in cache: StoreCache, fingerprint: String, description data: Data, table: Data
  ) throws -> StoreCopy {
    let description = try Self.description(data, fingerprint: fingerprint)
    let folder = cache.folder(of: fingerprint)
    let url = folder.appendingPathComponent(ClipTable.fileName)
    let held = try ClipTable(holding: table, for: url, description: description)
    try held.verify(against: description)
    do {
      let use = try cache.use(fingerprint)
      try table.withUnsafeBytes { try DurableFile.write($0, to: url) }
      try data.withUnsafeBytes {
        try DurableFile.write($0, to: folder.appendingPathComponent(StoreDescription.fileName))
      }
      let mapped = try ClipTable(url, description: description)
      return StoreCopy(cache, description, mapped, use, nil)
    } catch let obstacle as DatasetError {
      return StoreCopy(cache, description, held, nil, obstacle)
    }
  }

  private static func description(_ data: Data, fingerprint: String) throws -> StoreDescription {
    let place = "what the coordinator sent"
    let description = try StoreDescription(json: data, path: place)
    try description.require(fingerprint: fingerprint, path: place)
    return description
  }

  private init(
    _ cache: StoreCache, _ description: StoreDescription, _ table: ClipTable, _ use: CopyUse?,
    _ obstacle: DatasetError?
  ) {
    folder = cache.folder(of: description.fingerprint)
    (self.cache, self.use, self.obstacle) = (cache, use, obstacle)
    (self.description, self.table) = (description, table)
    layout = StoreLayout(description)
    state = Mutex(
      State(
        isHere: Array(repeating: false, count: layout.clipCount),
        lastUse: Array(repeating: 0, count: layout.clipCount)))
  }

  /// Bytes of a clip's features.
  package var clipBytes: Int { layout.clipBytes }

  // MARK: Reading

  /// A clip's features if they are here.
  package func read(_ clip: Int) -> [UInt8]? {
    let (block, range) = layout.place(ofClip: clip)
    let bytes =
      use == nil
      ? nil : try? FilePart.read(url(ofBlock: block), range.lowerBound, count: range.count)
    let isHere = bytes.map { isGenuine($0, ofClip: clip) } ?? false
    state.withLock {
      $0.isHere[clip] = isHere
      $0.lastUse[clip] = $0.epoch
    }
    return isHere ? bytes : nil
  }

  /// Whether a clip was here when it was last looked for.
  package func wasSeen(_ clip: Int) -> Bool { state.withLock { $0.isHere[clip] } }

  package func countSeen(among clips: [Int]) -> Int {
    state.withLock { state in clips.count { state.isHere[$0] } }
  }

  /// Whether a clip is here, as far as was seen; looks if it was not.
  package func holds(_ clip: Int) -> Bool {
    wasSeen(clip) || read(clip) != nil
  }

  /// Whether these are the clip's features.
  package func isGenuine(_ bytes: [UInt8], ofClip clip: Int) -> Bool {
    guard bytes.count == layout.clipBytes, let expected = try? table.featureChecksum(clip) else {
      return false
    }
    return bytes.withUnsafeBytes { checksum($0) } == expected
  }

  // MARK: Keeping

  /// Another epoch begins: what was used in neither of the last two may make room.
  package func beginEpoch() { state.withLock { $0.epoch += 1 } }

  /// Keeps a genuine clip, if there is room for it.
  ///
  /// - Returns: whether it is kept
  /// - Throws: `.inputOutput` if the disk does not take it; for a while nothing more is tried then
  package func keep(_ bytes: [UInt8], ofClip clip: Int) throws -> Bool {
    guard use != nil, hasRoom() else { return false }
    let (block, range) = layout.place(ofClip: clip)
    let url = url(ofBlock: block)
    do {
      try FilePart.write(bytes, to: url, range.lowerBound, size: layout.byteCount(ofBlock: block))
    } catch {
      FilePart.release(url, range)
      state.withLock { ($0.room, $0.passedOver) = (0, Self.passedOverAtOnce) }
      throw error
    }
    state.withLock {
      $0.isHere[clip] = true
      $0.lastUse[clip] = $0.epoch
    }
    return true
  }

  private func hasRoom() -> Bool {
    state.withLock { state in
      if state.passedOver > 0 {
        state.passedOver -= 1
        return false
      }
      if state.room < clipBytes { state.room = makeRoom(&state) }
      guard state.room >= clipBytes else {
        state.passedOver = Self.passedOverAtOnce
        return false
      }
      state.room -= clipBytes
      return true
    }
  }

  /// Looks how much room there is, and makes some if there is none: copies of other stores go first, those
  /// used longest ago before others, then clips of this one that this process does not use any more.
  ///
  /// What it does use stays, though other clips come: in each epoch all are used once, and whoever let go
  /// of the oldest would let go of each just before it is needed.
  private func makeRoom(_ state: inout State) -> Int {
    var room = cache.room()
    while room < clipBytes, cache.removeOldest() { room = cache.room() }
    if room < clipBytes, releaseUnused(&state, max(cache.limit / 64, 16 * clipBytes)) {
      room = cache.room()
    }
    // Others may keep clips too.
    return min(room, max(cache.limit / 32, clipBytes))
  }

  private func releaseUnused(_ state: inout State, _ wanted: Int) -> Bool {
    let unused = state.lastUse.indices.filter { state.lastUse[$0] < state.epoch - 1 }
      .sorted { (state.lastUse[$0], $0) < (state.lastUse[$1], $1) }
    var released = 0
    for clip in unused where released < wanted {
      let (block, range) = layout.place(ofClip: clip)
      let before = FilePart.diskBytes(url(ofBlock: block).path)
      guard before > 0 else { continue }
      FilePart.release(url(ofBlock: block), range)
      state.isHere[clip] = false
      released += before - FilePart.diskBytes(url(ofBlock: block).path)
    }
    return released > 0
  }

  private func url(ofBlock block: Int) -> URL {
    folder.appendingPathComponent(StoreDescription.blockName(block))
  }
}

extension StoreDescription {
  func require(fingerprint expected: String, path: String) throws {
    guard fingerprint == expected else {
      throw DatasetError(
        .otherStore, attempt: "use the store", path: path,
        detail: "its fingerprint is \(fingerprint.prefix(12))… and \(expected.prefix(12))… is "
          + "expected; use the store that the run was started with")
    }
  }
}
