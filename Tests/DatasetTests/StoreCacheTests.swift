import Dataset
import Foundation
import Testing

/// Clips of 8 KiB here, so that each has pages of its own on the disk.
@Suite struct StoreCacheTests {
  let folder: TemporaryFolder
  let store: Store
  let parts: StoreParts
  static let clipBytes = 64 * 64 * 2
  var cache: URL { folder.file("cache") }

  init() throws {
    folder = try TemporaryFolder()
    var data = SmallDataset()
    (data.bands, data.frames) = (64, 64)
    store = try data.write(folder.file("store"))
    parts = try StoreParts(store)
  }

  @Test("beyond its limit a copy keeps no more, and keeps what it uses")
  func limit() throws {
    let copy = try begin(limit: overhead() + 5 * Self.clipBytes)
    #expect(try (0..<12).filter { try keep($0, in: copy) } == [0, 1, 2, 3, 4])
    #expect((0..<12).filter(copy.holds) == [0, 1, 2, 3, 4])
  }

  @Test("what is no fingerprint is no folder's name, and a mark that cannot be made ends the wait")
  func names() throws {
    try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
    #expect(StoreCopy.open(in: StoreCache(cache), fingerprint: "../store") == nil)
    #expect(!FileManager.default.fileExists(atPath: folder.file("store/in-use").path))
    let copy = cache.appendingPathComponent(store.fingerprint)
    try FileManager.default.copyItem(at: folder.file("store"), to: copy)
    try FileManager.default.createSymbolicLink(
      atPath: copy.path + "/in-use", withDestinationPath: "/nowhere/at/all")
    #expect(StoreCopy.open(in: StoreCache(cache), fingerprint: store.fingerprint) == nil)
  }

  @Test("clips that two epochs have not used make room for others")
  func unused() throws {
    let copy = try begin(limit: overhead() + 5 * Self.clipBytes)
    for clip in 0..<5 { #expect(try keep(clip, in: copy)) }
    copy.beginEpoch()
    for clip in 2..<5 { #expect(copy.read(clip) != nil) }
    copy.beginEpoch()
    #expect(try keep(9, in: copy))
    #expect((0..<12).filter { copy.read($0) != nil } == [2, 3, 4, 9])
    #expect(try keep(10, in: copy))
  }

  @Test(
    "copies of other stores go first, that used longest ago before others, and none that is in use")
  func otherCopies() throws {
    let others = try (0..<3).map { number in
      var data = SmallDataset()
      (data.bands, data.frames) = (64, 64)
      data.settings = [FeatureSetting("hopLength", "\(number)")]
      return try data.write(folder.file("other-\(number)"))
    }
    func copyFolder(_ store: Store) -> URL { cache.appendingPathComponent(store.fingerprint) }
    func isThere(_ store: Store) -> Bool {
      FileManager.default.fileExists(atPath: copyFolder(store).path)
    }
    var inUse: StoreCopy?
    for (number, other) in others.enumerated() {
      let copy = try begin(of: other, limit: 1 << 30)
      for clip in 0..<4 { #expect(try keep(clip, in: copy, of: other)) }
      if number == 0 { inUse = copy }
    }
    for (number, other) in others.enumerated() {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: 1_000_000 - Double(number))],
        ofItemAtPath: copyFolder(other).appendingPathComponent("in-use").path)
    }
    // Room for what is there, and for three clips more.
    let copy = try begin(limit: diskBytes(cache) + overhead() + 3 * Self.clipBytes)
    for clip in 0..<3 { #expect(try keep(clip, in: copy)) }
    #expect(others.map(isThere) == [true, true, true])
    #expect(try keep(3, in: copy))
    #expect(others.map(isThere) == [true, true, false])
    for clip in 4..<12 { _ = try keep(clip, in: copy) }
    #expect(others.map(isThere) == [true, false, false])
    #expect(inUse?.read(2) != nil)
  }

  // MARK: Helpers

  private func begin(of other: Store? = nil, limit: Int) throws -> StoreCopy {
    let store = other ?? store
    let parts = try StoreParts(store)
    func whole(_ part: Int) throws -> Data {
      Data(try #require(try parts.bytes(ofPart: part, from: 0, count: .max)).bytes)
    }
    return try StoreCopy.begin(
      in: StoreCache(cache, limit: limit), fingerprint: store.fingerprint,
      description: whole(StoreParts.description), table: whole(StoreParts.table))
  }

  private func keep(_ clip: Int, in copy: StoreCopy, of other: Store? = nil) throws -> Bool {
    let parts = try other.map(StoreParts.init) ?? parts
    let part = try #require(
      try parts.bytes(ofPart: StoreParts.clip(clip), from: 0, count: Self.clipBytes))
    return try copy.keep(part.bytes, ofClip: clip)
  }

  /// What a copy takes without clips.
  private func overhead() throws -> Int {
    let cache = StoreCache(folder.file("empty"), limit: 1 << 30)
    func whole(_ part: Int) throws -> Data {
      Data(try #require(try parts.bytes(ofPart: part, from: 0, count: .max)).bytes)
    }
    _ = try StoreCopy.begin(
      in: cache, fingerprint: store.fingerprint, description: whole(StoreParts.description),
      table: whole(StoreParts.table))
    return diskBytes(cache.folder)
  }

  private func diskBytes(_ folder: URL) -> Int {
    let files = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String }
    return (files ?? []).reduce(0) { sum, name in
      var status = stat()
      guard stat(folder.path + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG
      else { return sum }
      return sum + Int(status.st_blocks) * 512
    }
  }
}
