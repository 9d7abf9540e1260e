import Dataset
import Foundation
import Testing

@Suite struct StoreRefusalTests {
  @Test("no byte of any file can change unnoticed: what is read is what was written, or refused")
  func bitFlips() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    data.bands = 1
    data.frames = 3
    let original = try data.write(folder.file("store"))
    let description = original.description
    for (name, bytes) in try folder.contents(of: "store") where name != "quarantine.csv" {
      let file = folder.file("store/\(name)")
      // One bit of each byte, another one from byte to byte.
      for bit in bytes.indices.map({ $0 * 8 + $0 * 3 % 8 }) {
        var damaged = bytes
        damaged[bit / 8] ^= 1 << (bit % 8)
        try damaged.write(to: file)
        let error = try thrown {
          let store = try Store(folder.file("store"))
          // Spaces between the words of store.json may change without changing what they say.
          if name == "store.json", store.description == description { return }
          try store.readEverything()
          Issue.record("bit \(bit) of \(name) was flipped and nobody noticed")
        }
        #expect(error == nil ? name == "store.json" : error?.exitCode == 65, "\(name), bit \(bit)")
      }
      try bytes.write(to: file)
    }
    try Store(folder.file("store")).verify()
  }

  @Test(
    "a flipped bit of a feature is reported with clip, block and file; other clips stay readable")
  func flippedFeature() throws {
    let folder = try TemporaryFolder()
    let store = try SmallDataset().write(folder.file("store"))
    let id = try store.id(ofClip: 6)
    try change(folder.file("store/block-00001.f16")) { $0[2 * 30 + 11] ^= 0x10 }
    let damaged = try Store(folder.file("store"))
    let error = try #require(try thrown { _ = try damaged.features(ofClip: 6) })
    #expect(error.code == .damaged)
    #expect(error.description.contains("clip \"\(id)\" (number 6)"))
    #expect(error.description.contains("block 1"))
    #expect(error.path == folder.file("store/block-00001.f16").path)
    #expect(try damaged.features(ofClip: 5) == store.features(ofClip: 5))
    #expect(try thrown { try damaged.verify() }?.code == .damaged)
  }

  struct Damage: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let file: String
    let code: DatasetError.Code
    let change: @Sendable (inout Data) -> Void
  }

  static let damages: [Damage] = [
    .init(testDescription: "short block", file: "block-00002.f16", code: .truncated) {
      $0.removeLast()
    },
    .init(testDescription: "empty block", file: "block-00000.f16", code: .truncated) {
      $0.removeAll()
    },
    .init(testDescription: "long block", file: "block-00002.f16", code: .damaged) { $0.append(0) },
    .init(testDescription: "short table", file: "clips.table", code: .truncated) {
      $0.removeLast(40)
    },
    .init(testDescription: "foreign table", file: "clips.table", code: .damaged) {
      $0 = Data(repeating: 7, count: $0.count)
    },
    .init(testDescription: "later version", file: "store.json", code: .wrongVersion) {
      $0.replace("\"version\" : 1", with: "\"version\" : 2")
    },
    .init(testDescription: "foreign description", file: "store.json", code: .notAStore) {
      $0 = Data("{\"name\": \"package\", \"version\": 1}".utf8)
    },
    .init(testDescription: "not JSON", file: "store.json", code: .notAStore) { $0 = Data([0, 1]) },
    .init(testDescription: "cut description", file: "store.json", code: .notAStore) {
      $0.removeLast(9)
    },
    .init(testDescription: "renamed tag", file: "store.json", code: .damaged) {
      $0.replace("\"piano\"", with: "\"organ\"")
    },
    .init(testDescription: "edited setting", file: "store.json", code: .damaged) {
      $0.replace("\"256\"", with: "\"512\"")
    },
    .init(testDescription: "huge shape", file: "store.json", code: .damaged) {
      $0.replace("\"bands\" : 3", with: "\"bands\" : 9223372036854775807")
    },
    .init(testDescription: "negative shape", file: "store.json", code: .damaged) {
      $0.replace("\"frames\" : 5", with: "\"frames\" : -5")
    },
  ]

  @Test("a damaged store does not open", arguments: damages)
  func damagedStore(_ damage: Damage) throws {
    let folder = try TemporaryFolder()
    try SmallDataset().write(folder.file("store"))
    try change(folder.file("store/\(damage.file)"), damage.change)
    let error = try #require(try thrown { _ = try Store(folder.file("store")) })
    #expect(error.code == damage.code, "\(error)")
    #expect(error.path.hasSuffix(damage.file))
    #expect(error.exitCode == 65)
  }

  @Test("a missing file is named", arguments: ["block-00001.f16", "clips.table"])
  func missing(_ name: String) throws {
    let folder = try TemporaryFolder()
    try SmallDataset().write(folder.file("store"))
    try FileManager.default.removeItem(at: folder.file("store/\(name)"))
    let error = try #require(try thrown { _ = try Store(folder.file("store")) })
    #expect(error.code == .missing)
    #expect(error.path.hasSuffix(name))
  }

  @Test("a block that shrinks or goes after opening is refused at its first use")
  func shrinks() throws {
    let folder = try TemporaryFolder()
    let store = try SmallDataset().write(folder.file("store"))
    try change(folder.file("store/block-00000.f16")) { $0.removeLast(2) }
    try FileManager.default.removeItem(at: folder.file("store/block-00001.f16"))
    #expect(try thrown { _ = try store.features(ofClip: 0) }?.code == .truncated)
    #expect(try thrown { _ = try store.features(ofClip: 5) }?.code == .missing)
  }

  @Test(
    "blocks and tables of another store are refused", arguments: ["block-00000.f16", "clips.table"])
  func foreignFile(_ name: String) throws {
    let folder = try TemporaryFolder()
    var other = SmallDataset()
    try other.write(folder.file("store"))
    other.records = other.records.map { $0.with(id: $0.id.replacing("clip", with: "klip")) }
    try other.write(folder.file("other"))
    try Data(contentsOf: folder.file("other/\(name)")).write(to: folder.file("store/\(name)"))
    #expect(
      try thrown { try Store(folder.file("store")).readEverything() }?.code == .damaged)
  }

  @Test("a folder without a store is refused, and an unfinished store is called that")
  func notAStore() throws {
    let folder = try TemporaryFolder()
    #expect(try thrown { _ = try Store(folder.url) }?.code == .notAStore)
    #expect(try thrown { _ = try Store(folder.file("nowhere")) }?.code == .notAStore)
    let data = SmallDataset()
    let writer = try data.writer(folder.file("store"))
    for index in 0..<6 { try data.deal(with: index, of: writer, quarantined: []) }
    let error = try #require(try thrown { _ = try Store(folder.file("store")) })
    #expect(error.code == .unfinished)
    #expect(error.description.contains("not finished"))
  }

  @Test("what an interrupted writer left is replaced")
  func interrupted() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    func interrupt() throws {
      let writer = try data.writer(folder.file("store"))
      for index in 0..<6 { try data.deal(with: index, of: writer, quarantined: ["clip-0"]) }
    }
    try interrupt()
    try data.write(folder.file("store")).verify()
    try data.write(folder.file("fresh"))
    #expect(try folder.contents(of: "store") == folder.contents(of: "fresh"))
  }

  @Test("a folder in use is not written to")
  func occupied() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try withExtendedLifetime(try data.writer(folder.file("busy"))) {
      let error = try thrown { _ = try data.writer(folder.file("busy")) }
      #expect(error?.code == .busy && error?.exitCode == 69)
      #expect(error?.detail.contains("another program") == true)
    }
    try data.write(folder.file("done"))
    let done = try thrown { _ = try data.writer(folder.file("done")) }
    #expect(done?.code == .finished && done?.exitCode == 65)
    try FileManager.default.createDirectory(
      at: folder.file("music"), withIntermediateDirectories: true)
    try Data("tune".utf8).write(to: folder.file("music/tune.mid"))
    let error = try #require(try thrown { _ = try data.writer(folder.file("music")) })
    #expect(error.code == .occupied && error.exitCode == 65)
    #expect(error.description.contains("tune.mid"))
  }

  @Test(
    "a split that is empty, or is empty after quarantine, is refused by name",
    arguments: [Split.train, .validation], [true, false])
  func emptySplit(_ split: Split, isQuarantined: Bool) throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    let ids = Set(data.records.filter { $0.split == split }.map(\.id))
    if !isQuarantined { data.records.removeAll { ids.contains($0.id) } }
    let error = try #require(
      try thrown { try data.write(folder.file("store"), quarantined: isQuarantined ? ids : []) })
    #expect(error.code == .emptySplit)
    #expect(error.description.contains("the \(split.rawValue) split is empty"))
    #expect(error.description.contains("quarantine.csv") == isQuarantined)
    #expect(try thrown { _ = try Store(folder.file("store")) }?.code == .unfinished)
  }

  @Test("clips without any tag make no store")
  func noTags() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    data.records = data.records.map { $0.with(tags: []) }
    #expect(try thrown { _ = try data.writer(folder.file("store")) }?.code == .noClips)
  }

  private func change(_ file: URL, _ change: (inout Data) -> Void) throws {
    let original = try Data(contentsOf: file)
    var data = original
    change(&data)
    #expect(data != original)
    try data.write(to: file)
  }
}

extension Data {
  fileprivate mutating func replace(_ text: String, with other: String) {
    self = Data(String(decoding: self, as: UTF8.self).replacing(text, with: other).utf8)
  }
}
