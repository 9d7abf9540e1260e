import Dataset
import Foundation
import Synchronization
import Testing

/// Parts of a store, prepared apart and joined.
@Suite struct StoreJoinTests {
  private static let quarantined: Set = ["clip-2", "clip-7"]

  /// Prepares part `number` of `count` into the folder `part-NUMBER`, or another name.
  @discardableResult
  private func prepare(
    _ number: Int, of count: Int, _ data: SmallDataset, _ folder: TemporaryFolder,
    as name: String? = nil
  ) throws -> URL {
    var data = data
    data.shard = Shard(number, of: count)
    let directory = folder.file(name ?? "part-\(number)")
    let writer = try StoreWriter(directory: directory, plan: data.plan())
    for block in writer.begunBlocks { _ = try writer.takeOver(block) }
    for index in writer.remaining {
      try data.deal(with: index, of: writer, quarantined: Self.quarantined)
    }
    try writer.finishPart()
    return directory
  }

  @Test(
    "joined parts are the store prepared in one go, byte for byte",
    arguments: [(1, 4), (2, 4), (3, 4), (5, 4), (4, 1), (12, 1), (2, 64)])
  func join(_ count: Int, clipsPerBlock: Int) throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    data.clipsPerBlock = clipsPerBlock
    data.tags = ["vocal", "theremin", "piano"]
    try data.write(folder.file("whole"), quarantined: Self.quarantined)
    let parts = try (1...count).map { try prepare($0, of: count, data, folder) }
    let before = try parts.map { try folder.contents(of: $0.lastPathComponent) }
    let joined = try #require(
      try StoreJoin(parts.reversed()).run(into: folder.file("joined"), threads: 2))
    #expect(joined.quarantined.map(\.kind) == ["not a sound, \"really\""])
    #expect(joined.quarantined.map(\.clips) == [2])
    #expect(try folder.contents(of: "joined") == folder.contents(of: "whole"))
    #expect(try parts.map { try folder.contents(of: $0.lastPathComponent) } == before)
    // The first block is in the first part that has any, and has a second name now.
    let first = try #require(before.firstIndex { $0.keys.contains("block-00000.f16") })
    #expect(
      try folder.inode("joined/block-00000.f16")
        == folder.inode("part-\(first + 1)/block-00000.f16"))
    for part in parts { try FileManager.default.removeItem(at: part) }
    try Store(folder.file("joined")).verify()
  }

  @Test("every block is in one part, and parts differ by a block at most", arguments: [1, 7, 16])
  func cut(_ count: Int) throws {
    var data = SmallDataset()
    data.clipsPerBlock = 1
    let indices = try (1...count).map { number in
      data.shard = Shard(number, of: count)
      return try data.plan().indices
    }
    #expect(indices.flatMap(Array.init) == Array(0..<12))
    let sizes = indices.map(\.count)
    #expect(sizes.max()! - sizes.min()! <= 1)
  }

  @Test("a part is named as on the command line")
  func names() {
    #expect(Shard("3/16") == Shard(3, of: 16))
    #expect(Shard("3/16")?.description == "part 3 of 16")
    for text in ["", "3", "/", "3/", "0/16", "17/16", "3/16/2", "-1/2", "1/0", "a/b", "1/999999"] {
      #expect(Shard(text) == nil, "\(text)")
    }
  }

  @Test("a part is no store, and says which it is")
  func partAsStore() throws {
    let folder = try TemporaryFolder()
    let part = try prepare(3, of: 5, SmallDataset(), folder)
    let error = try #require(try thrown { _ = try Store(part) })
    #expect(error.code == .notAStore)
    #expect(error.description.contains("part 3 of 5"))
    #expect(error.description.contains("--join"))
  }

  @Test("a finished part that is prepared again keeps what is whole and mends what is not")
  func repair() throws {
    let folder = try TemporaryFolder()
    let part = try prepare(1, of: 2, SmallDataset(), folder)
    let before = try folder.contents(of: "part-1")
    var block = try Data(contentsOf: part.appendingPathComponent("block-00000.f16"))
    block[3] ^= 1
    try block.write(to: part.appendingPathComponent("block-00000.f16"))
    try prepare(2, of: 2, SmallDataset(), folder)
    let join = try StoreJoin([part, folder.file("part-2")])
    let error = try #require(
      try thrown { _ = try join.run(into: folder.file("store"), threads: 1) })
    #expect(error.code == .damaged)
    #expect(error.path.hasSuffix("part-1/block-00000.f16"))
    #expect(error.description.contains("prepare this part again"))
    try prepare(1, of: 2, SmallDataset(), folder)
    var after = try folder.contents(of: "part-1")
    // The block is listed once more.
    after["preparation.journal"] = before["preparation.journal"]
    #expect(after == before)
    #expect(try join.run(into: folder.file("store"), threads: 1) != nil)
  }

  @Test("a join that is stopped leaves the parts, and goes on", arguments: [1, 2])
  func stopped(_ blocks: Int) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try data.write(folder.file("whole"), quarantined: Self.quarantined)
    let parts = try (1...3).map { try prepare($0, of: 3, data, folder) }
    let asked = Atomic(0)
    let stopped = try StoreJoin(parts).run(
      into: folder.file("store"), threads: 1,
      stop: { asked.add(1, ordering: .relaxed).newValue > blocks })
    #expect(stopped == nil)
    #expect(try thrown { _ = try Store(folder.file("store")) }?.code == .unfinished)
    let linked = try folder.inode("store/block-00000.f16")
    #expect(try StoreJoin(parts).run(into: folder.file("store"), threads: 1) != nil)
    #expect(try folder.inode("store/block-00000.f16") == linked)
    #expect(try folder.contents(of: "store") == folder.contents(of: "whole"))
  }

  struct Refusal: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let code: DatasetError.Code
    let says: [String]
    /// Gets parts 1 to 3 of 3; returns those to be joined.
    let parts: @Sendable (StoreJoinTests, TemporaryFolder) throws -> [String]
  }

  static let refusals: [Refusal] = [
    .init(
      testDescription: "missing parts", code: .missing, says: ["3 parts", "are missing: 1, 3"]
    ) { _, _ in ["part-2"] },
    .init(testDescription: "a doubled part", code: .duplicate, says: ["part 2 of 3", "part-2"]) {
      try $0.prepare(2, of: 3, SmallDataset(), $1, as: "again")
      return ["part-1", "part-2", "again", "part-3"]
    },
    .init(testDescription: "another cut", code: .otherStore, says: ["part 2 of 4", "part 1 of 3"]) {
      try $0.prepare(2, of: 4, SmallDataset(), $1, as: "quarter")
      return ["part-1", "quarter", "part-3"]
    },
    .init(testDescription: "other settings", code: .otherStore, says: ["hopLength is 512", "256"]) {
      var data = SmallDataset()
      data.settings[0] = FeatureSetting("hopLength", "512")
      try $0.prepare(2, of: 3, data, $1, as: "other")
      return ["part-1", "other", "part-3"]
    },
    .init(testDescription: "another list", code: .otherStore, says: ["other", "ids, paths"]) {
      var data = SmallDataset()
      data.records[0] = data.records[0].with(id: "somebody")
      try $0.prepare(2, of: 3, data, $1, as: "other")
      return ["part-1", "other", "part-3"]
    },
    .init(testDescription: "an unfinished part", code: .unfinished, says: ["part 2 of 3"]) {
      try Data().write(to: $1.file("part-2/unfinished"))
      return ["part-1", "part-2", "part-3"]
    },
    .init(testDescription: "a store", code: .notAStore, says: ["finished store"]) {
      try SmallDataset().write($1.file("store"))
      return ["part-1", "part-2", "part-3", "store"]
    },
    .init(testDescription: "an unfinished store", code: .unfinished, says: ["whole store"]) {
      _ = try StoreWriter(directory: $1.file("store"), plan: SmallDataset().plan())
      return ["part-1", "store", "part-2", "part-3"]
    },
    .init(testDescription: "no such folder", code: .missing, says: ["nowhere"]) { _, _ in
      ["part-1", "nowhere"]
    },
    .init(testDescription: "some folder", code: .notAStore, says: ["no part of a store"]) {
      try FileManager.default.createDirectory(
        at: $1.file("music"), withIntermediateDirectories: true)
      return ["music"]
    },
    .init(testDescription: "a lost line", code: .damaged, says: ["block 1"]) {
      let journal = $1.file("part-2/preparation.journal")
      try Data(contentsOf: journal).dropLast().write(to: journal)
      return ["part-1", "part-2", "part-3"]
    },
  ]

  @Test("what makes no store is refused by name", arguments: refusals)
  func refuse(_ refusal: Refusal) throws {
    let folder = try TemporaryFolder()
    for number in 1...3 { try prepare(number, of: 3, SmallDataset(), folder) }
    let parts = try refusal.parts(self, folder).map { folder.file($0) }
    let error = try #require(try thrown { _ = try StoreJoin(parts) })
    #expect(error.code == refusal.code, "\(error)")
    for word in refusal.says { #expect(error.description.contains(word), "\(error)") }
  }

  @Test("joined again, the same parts leave the store as it is, and others are refused")
  func again() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    var parts = try (1...2).map { try prepare($0, of: 2, data, folder) }
    let first = try #require(try StoreJoin(parts).run(into: folder.file("store"), threads: 1))
    let before = try folder.contents(of: "store")
    let second = try #require(try StoreJoin(parts).run(into: folder.file("store"), threads: 1))
    #expect(second.store.fingerprint == first.store.fingerprint)
    #expect(second.quarantined.map(\.clips) == first.quarantined.map(\.clips))
    for part in parts { try FileManager.default.removeItem(at: part) }
    // Other features of the same clips: these come from the ids.
    data.records = data.records.map { $0.with(id: $0.id.replacing("clip", with: "klip")) }
    parts = try (1...2).map { try prepare($0, of: 2, data, folder) }
    let error = try thrown { _ = try StoreJoin(parts).run(into: folder.file("store"), threads: 1) }
    #expect(error?.code == .finished)
    #expect(try folder.contents(of: "store") == before)
  }

  @Test("a store is not joined into the folder of a part")
  func intoPart() throws {
    let folder = try TemporaryFolder()
    let parts = try (1...2).map { try prepare($0, of: 2, SmallDataset(), folder) }
    let before = try folder.contents(of: "part-1")
    let join = try StoreJoin(parts)
    let error = try thrown { _ = try join.run(into: parts[0], threads: 1, restarts: true) }
    #expect(error?.code == .occupied)
    #expect(try folder.contents(of: "part-1") == before)
  }
}
