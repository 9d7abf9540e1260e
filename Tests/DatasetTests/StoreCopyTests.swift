import Dataset
import Foundation
import Testing

@Suite struct StoreCopyTests {
  let folder: TemporaryFolder
  let store: Store
  var cache: URL { folder.file("cache") }

  init() throws {
    folder = try TemporaryFolder()
    store = try SmallDataset().write(folder.file("store"))
  }

  @Test(
    "a copy begins with holes, keeps what it gets, goes on in another life, and ends as a store")
  func copy() throws {
    let copy = try begin()
    #expect((0..<12).allSatisfy { copy.read($0) == nil && !copy.holds($0) })
    try deliver([9, 0, 3], to: copy)
    let again = try #require(open())
    #expect((0..<12).filter(again.holds) == [0, 3, 9])
    #expect(again.countSeen(among: Array(0..<6)) == 2)
    try deliver((0..<12).filter { !again.holds($0) }, to: again)
    #expect(try (0..<12).allSatisfy { try again.read($0) == clip($0) })

    let whole = try Store(again.folder)
    try whole.verify()
    #expect(whole.fingerprint == store.fingerprint)
    for clip in 0..<12 { #expect(try whole.features(ofClip: clip) == store.features(ofClip: clip)) }
  }

  enum Damage: CaseIterable {
    case bit, torn, cut, grown, fileGone, folderGone
  }

  @Test(
    "whatever happens to a copy, damaged clips are missing, and come back",
    arguments: Damage.allCases)
  func heals(damage: Damage) throws {
    let copy = try begin()
    try deliver(Array(0..<12), to: copy)
    let block = copy.folder.appendingPathComponent("block-00001.f16")
    func change(_ change: (inout Data) -> Void) throws {
      var data = try Data(contentsOf: block)
      change(&data)
      try data.write(to: block)
    }
    switch damage {
    case .bit: try change { $0[35] ^= 1 }
    case .torn: try change { $0.replaceSubrange(40..<60, with: Data(count: 20)) }
    case .cut: try change { $0 = $0.prefix(31) }
    case .grown: try change { $0 += Data([1, 2, 3]) }
    case .fileGone: try FileManager.default.removeItem(at: block)
    case .folderGone: try FileManager.default.removeItem(at: cache)
    }
    let missing = (0..<12).filter { copy.read($0) == nil }
    switch damage {
    case .bit, .torn: #expect(missing == [5])
    case .cut: #expect(missing == [5, 6, 7])
    case .grown: #expect(missing == [])
    case .fileGone: #expect(missing == [4, 5, 6, 7])
    case .folderGone: #expect(missing == Array(0..<12))
    }
    guard damage != .folderGone else {
      #expect(try thrown { _ = try copy.keep(clip(0), ofClip: 0) }?.code == .inputOutput)
      return
    }
    try deliver(missing + [4], to: copy)
    #expect(try (0..<12).allSatisfy { try copy.read($0) == clip($0) })
    try Store(copy.folder).verify()
  }

  @Test("clips that are not the fingerprint's are known")
  func genuine() throws {
    let copy = try begin()
    let bytes = try clip(4)
    #expect(copy.isGenuine(bytes, ofClip: 4))
    #expect(!copy.isGenuine(bytes, ofClip: 5))
    #expect(!copy.isGenuine(bytes.dropLast(), ofClip: 4))
    #expect(!copy.isGenuine([bytes[0] ^ 1] + bytes.dropFirst(), ofClip: 4))
    #expect(!copy.isGenuine([], ofClip: 4))
  }

  @Test("description and table that do not belong to the fingerprint are refused")
  func fingerprint() throws {
    var data = SmallDataset()
    data.settings[0] = FeatureSetting("hopLength", "512")
    let other = try data.write(folder.file("other"))
    let (description, table) = (try part(StoreParts.description), try part(StoreParts.table))
    func refusal(_ description: Data, _ table: Data, _ store: Store? = nil) throws
      -> DatasetError.Code?
    {
      try thrown {
        _ = try StoreCopy.begin(
          in: StoreCache(cache), fingerprint: (store ?? self.store).fingerprint,
          description: description, table: table)
      }?.code
    }
    #expect(try refusal(description, table, other) == .otherStore)
    #expect(try refusal(part(StoreParts.description, of: other), table) == .otherStore)
    #expect(try refusal(description, part(StoreParts.table, of: other)) == .damaged)
    #expect(try refusal(description, table.dropLast()) == .truncated)
    #expect(try refusal(Data("{}".utf8), table) == .notAStore)
    var flipped = table
    flipped[flipped.count - 1] ^= 1
    #expect(try refusal(description, flipped) == .damaged)
    #expect(!FileManager.default.fileExists(atPath: cache.path))
    #expect(throws: DatasetError.self) {
      try StoreCopy.tableBytes(description, fingerprint: other.fingerprint)
    }
    #expect(try StoreCopy.tableBytes(description, fingerprint: store.fingerprint) == table.count)
  }

  @Test("a copy whose description or table is damaged is begun anew, and keeps its clips")
  func damagedTable() throws {
    for name in ["store.json", "clips.table"] {
      let copy = try begin()
      try deliver([0, 7], to: copy)
      let url = copy.folder.appendingPathComponent(name)
      var data = try Data(contentsOf: url)
      data[data.count / 2] ^= 1
      try data.write(to: url)
      #expect(open() == nil)
      #expect((0..<12).filter(try begin().holds) == [0, 7])
    }
  }

  @Test("parts are handed out in any pieces, and what there is not is not")
  func parts() throws {
    let parts = try StoreParts(store)
    let table = try Data(contentsOf: folder.file("store/clips.table"))
    var pieces = Data()
    while pieces.count < table.count {
      let piece = try #require(
        try parts.bytes(ofPart: StoreParts.table, from: pieces.count, count: 17))
      #expect(piece.partBytes == table.count && piece.bytes.count <= 17)
      pieces += piece.bytes
    }
    #expect(pieces == table)
    let middle = try parts.bytes(ofPart: StoreParts.clip(9), from: 7, count: 5)
    #expect(try middle?.bytes == Array(clip(9)[7..<12]) && middle?.partBytes == 30)
    #expect(try parts.bytes(ofPart: StoreParts.clip(9), from: 30, count: 5)?.bytes == [])
    for (part, offset) in [(2 + 12, 0), (.max, 0), (2, 31), (2, .max), (0, .max), (1, .max)] {
      #expect(try parts.bytes(ofPart: part, from: offset, count: 1) == nil, "\(part) \(offset)")
    }
    // A store that loses a block meanwhile says so, and ends nothing.
    try Data(count: 31).write(to: folder.file("store/block-00002.f16"))
    #expect(
      try thrown { _ = try parts.bytes(ofPart: StoreParts.clip(9), from: 0, count: 30) }?.code
        == .truncated)
  }

  @Test("several at once in one folder leave the store's bytes")
  func together() throws {
    let store = store
    let copies = try (0..<4).map { _ in try begin() }
    let bytes = try (0..<12).map(clip)
    DispatchQueue.concurrentPerform(iterations: 48) { number in
      _ = try? copies[number % 4].keep(bytes[number / 4], ofClip: number / 4)
      _ = copies[(number + 1) % 4].read(number / 4)
    }
    for copy in copies { #expect((0..<12).allSatisfy { copy.read($0) == bytes[$0] }) }
    try Store(copies[0].folder).verify()
    for block in 0..<3 {
      let name = "block-0000\(block).f16"
      #expect(
        try Data(contentsOf: copies[0].folder.appendingPathComponent(name))
          == Data(contentsOf: store.directory.appendingPathComponent(name)))
    }
  }

  @Test("where nothing can be kept a copy is in memory, and says why")
  func nowhere() throws {
    try Data().write(to: cache)
    let copy = try begin()
    #expect(copy.obstacle?.code == .inputOutput)
    #expect(try !copy.keep(clip(0), ofClip: 0) && copy.read(0) == nil)
    #expect(copy.isGenuine(try clip(0), ofClip: 0))
  }

  // MARK: Helpers

  func part(_ number: Int, of store: Store? = nil) throws -> Data {
    Data(
      try #require(
        try StoreParts(store ?? self.store).bytes(ofPart: number, from: 0, count: .max)
      ).bytes)
  }

  func clip(_ clip: Int) throws -> [UInt8] { Array(try part(StoreParts.clip(clip))) }

  private func open() -> StoreCopy? {
    StoreCopy.open(in: StoreCache(cache), fingerprint: store.fingerprint)
  }

  private func begin() throws -> StoreCopy {
    try StoreCopy.begin(
      in: StoreCache(cache), fingerprint: store.fingerprint,
      description: part(StoreParts.description), table: part(StoreParts.table))
  }

  private func deliver(_ clips: [Int], to copy: StoreCopy) throws {
    for clip in clips { #expect(try copy.keep(self.clip(clip), ofClip: clip)) }
  }
}
