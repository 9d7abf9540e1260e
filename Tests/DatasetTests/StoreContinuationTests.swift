import Dataset
import Foundation
import Testing

/// A preparation that ends before its time, and the next one in the same folder.
@Suite struct StoreContinuationTests {
  private static let quarantined: Set = ["clip-2", "clip-7"]
  private static let journal = "preparation.journal"

  /// The store that nothing has disturbed.
  private func expected(_ data: SmallDataset) throws -> [String: Data] {
    let folder = try TemporaryFolder()
    try data.write(folder.file("store"), quarantined: Self.quarantined)
    return try folder.contents(of: "store")
  }

  /// Begins a store and ends after some clips.
  private func begin(
    _ data: SmallDataset, in directory: URL, clips: Int, stamps: [FileStamp?]? = nil
  ) throws {
    let writer = try StoreWriter(directory: directory, plan: data.plan(), stamps: stamps)
    for index in writer.plan.indices.prefix(clips) {
      try data.deal(with: index, of: writer, quarantined: Self.quarantined)
    }
  }

  /// Goes on to the end; returns the blocks that were taken over.
  @discardableResult
  private func goOn(
    _ data: SmallDataset, in directory: URL, stamps: [FileStamp?]? = nil
  ) throws -> [Int] {
    let writer = try StoreWriter(directory: directory, plan: data.plan(), stamps: stamps)
    let taken = try writer.begunBlocks.filter { try writer.takeOver($0) }
    for index in writer.remaining {
      try data.deal(with: index, of: writer, quarantined: Self.quarantined)
    }
    _ = try writer.finish()
    return taken
  }

  @Test("whole blocks are taken over and their files stay", arguments: [0, 1, 3, 4, 7, 9, 12])
  func takeOver(_ clips: Int) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("store"), clips: clips)
    let blocks = Array(0..<clips / data.clipsPerBlock)
    let before = try blocks.map { try folder.inode("store/block-0000\($0).f16") }
    #expect(try goOn(data, in: folder.file("store")) == blocks)
    #expect(try blocks.map { try folder.inode("store/block-0000\($0).f16") } == before)
    #expect(try folder.contents(of: "store") == expected(data))
  }

  @Test("however often it is interrupted, the store is the same")
  func manyInterruptions() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    for _ in 0..<3 {
      let writer = try StoreWriter(directory: folder.file("store"), plan: data.plan())
      for block in writer.begunBlocks { #expect(try writer.takeOver(block)) }
      // The last clips first: a block that is begun in the middle is no trap.
      for index in writer.remaining.suffix(5) {
        try data.deal(with: index, of: writer, quarantined: Self.quarantined)
      }
    }
    try goOn(data, in: folder.file("store"))
    #expect(try folder.contents(of: "store") == expected(data))
  }

  private static let tails = [
    "nothing": "", "a line feed": "\n", "zeros": "\0\0\0\0", "text": "ü\n\n\n ",
    "half a line": "\nfedcba9876543210 {\"block\":2,",
  ]

  @Test("a journal that ends anywhere is gone on with", arguments: tails.keys.sorted())
  func tornJournal(before tail: String) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("begun"), clips: 12)
    let whole = try Data(contentsOf: folder.file("begun/\(Self.journal)"))
    let header = try #require(whole.firstIndex(of: 10))
    let expected = try expected(data)
    for end in stride(from: header + 1, through: whole.count, by: 167) {
      try? FileManager.default.removeItem(at: folder.file("store"))
      try FileManager.default.copyItem(at: folder.file("begun"), to: folder.file("store"))
      try (whole[..<end] + Data(#require(Self.tails[tail]).utf8)).write(
        to: folder.file("store/\(Self.journal)"))
      let lines = whole[..<end].split(separator: 10).count - 1
      let taken = try goOn(data, in: folder.file("store"))
      // The last line may be whole, if the end is its end.
      #expect(taken.count == lines || taken.count == lines - 1)
      #expect(try folder.contents(of: "store") == expected)
    }
  }

  @Test("what a power cut leaves of the last line does not spoil the next")
  func lineAfterTornLine() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("store"), clips: 8)
    try change(folder.file("store/\(Self.journal)")) { $0.removeLast(20) }
    // Makes block 1 anew, behind the torn line, and ends.
    let writer = try StoreWriter(directory: folder.file("store"), plan: data.plan())
    #expect(writer.begunBlocks == [0])
    for index in 4..<8 { try data.deal(with: index, of: writer, quarantined: Self.quarantined) }
    _ = consume writer
    #expect(try goOn(data, in: folder.file("store")) == [0, 1])
    #expect(try folder.contents(of: "store") == expected(data))
  }

  @Test("a flipped bit in the journal costs a block at most, and never its truth")
  func damagedJournal() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("begun"), clips: 8)
    let whole = try Data(contentsOf: folder.file("begun/\(Self.journal)"))
    let header = try #require(whole.firstIndex(of: 10))
    let expected = try expected(data)
    for place in stride(from: 5, to: whole.count, by: 61) {
      try? FileManager.default.removeItem(at: folder.file("store"))
      try FileManager.default.copyItem(at: folder.file("begun"), to: folder.file("store"))
      var damaged = whole
      damaged[place] ^= 1 << (place % 8)
      try damaged.write(to: folder.file("store/\(Self.journal)"))
      let error = try thrown { try goOn(data, in: folder.file("store")) }
      if place < header {
        #expect(error?.code == .damaged)
        #expect(error?.description.contains("--restart") == true)
      } else {
        #expect(error == nil)
        #expect(try folder.contents(of: "store") == expected)
      }
    }
  }

  @Test(
    "a block that is not as it was written is made again",
    arguments: ["flipped", "short", "long", "gone"])
  func damagedBlock(_ damage: String) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("store"), clips: 8)
    let block = folder.file("store/block-00000.f16")
    switch damage {
    case "flipped": try change(block) { $0[40] ^= 2 }
    case "short": try change(block) { $0.removeLast() }
    case "long": try change(block) { $0.append(0) }
    default: try FileManager.default.removeItem(at: block)
    }
    #expect(try goOn(data, in: folder.file("store")) == [1])
    #expect(try folder.contents(of: "store") == expected(data))
  }

  @Test("a block whose sound files have changed, gone or come is made again")
  func changedFiles() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    func stamp(_ bytes: Int) throws -> FileStamp? {
      try Data(repeating: 1, count: bytes).write(to: folder.file("sound"))
      return FileStamp(path: folder.file("sound").path)
    }
    var stamps = try (0..<12).map { $0 == 1 ? nil : try stamp($0 + 10) }
    try begin(data, in: folder.file("store"), clips: 12, stamps: stamps)
    stamps[1] = stamps[2]
    stamps[6] = try stamp(1)
    #expect(try goOn(data, in: folder.file("store"), stamps: stamps) == [2])
    #expect(FileStamp(path: folder.file("nothing").path) == nil)
  }

  struct Difference: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let says: [String]
    let change: @Sendable (inout SmallDataset) -> Void
  }

  static let differences: [Difference] = [
    .init(testDescription: "a setting", says: ["hopLength is 256", "512"]) {
      $0.settings[0] = FeatureSetting("hopLength", "512")
    },
    .init(testDescription: "a shape", says: ["3 × 5", "3 × 6"]) { $0.frames = 6 },
    .init(testDescription: "one clip less", says: ["12 clips", "11"]) { $0.records.removeLast() },
    .init(testDescription: "another split", says: ["other ids, paths, splits or tags"]) {
      $0.records[0] = $0.records[0].with(split: .test)
    },
    .init(testDescription: "another label", says: ["other ids, paths, splits or tags"]) {
      $0.records[0] = $0.records[0].with(tags: ["vocal"])
    },
    .init(testDescription: "fewer tags", says: ["3 tags", "2"]) { $0.tags = ["piano", "slow"] },
    .init(testDescription: "other tags", says: ["tag 1", "piano", "organ"]) {
      $0.tags = ["organ", "slow", "vocal"]
    },
    .init(testDescription: "larger blocks", says: ["4 clips", "5"]) { $0.clipsPerBlock = 5 },
    .init(testDescription: "another version", says: ["tests 1", "tests 2"]) {
      $0.maker = "tests 2"
    },
    .init(testDescription: "a part", says: ["the whole store", "part 1 of 2"]) {
      $0.shard = Shard(1, of: 2)
    },
  ]

  @Test(
    "another plan is refused with what differs, and begins anew if asked to", arguments: differences
  )
  func otherPlan(_ difference: Difference) throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    try begin(data, in: folder.file("store"), clips: 12)
    let before = try folder.contents(of: "store")
    difference.change(&data)
    let plan = try data.plan()
    let error = try #require(
      try thrown { _ = try StoreWriter(directory: folder.file("store"), plan: plan) })
    #expect(error.code == .otherStore)
    for word in difference.says + ["--restart"] {
      #expect(error.description.contains(word), "\(error)")
    }
    #expect(try folder.contents(of: "store") == before)
    let writer = try StoreWriter(directory: folder.file("store"), plan: plan, restarts: true)
    #expect(writer.begunBlocks.isEmpty)
    #expect(try folder.contents(of: "store").keys.sorted() == [Self.journal, "unfinished"])
  }

  @Test("what a version without a journal has left is made anew")
  func withoutJournal() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try begin(data, in: folder.file("store"), clips: 8)
    try FileManager.default.removeItem(at: folder.file("store/\(Self.journal)"))
    try Data("x".utf8).write(to: folder.file("store/block-00017.f16"))
    #expect(try goOn(data, in: folder.file("store")) == [])
    #expect(try folder.contents(of: "store") == expected(data))
  }

  @Test("a store that was finished but not tidied up is tidied, and stays")
  func killedAtTheEnd() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    try data.write(folder.file("store"), quarantined: Self.quarantined)
    for name in ["unfinished", Self.journal] {
      try Data().write(to: folder.file("store/\(name)"))
    }
    let error = try thrown { try goOn(data, in: folder.file("store")) }
    #expect(error?.code == .finished)
    #expect(try folder.contents(of: "store") == expected(data))
  }

  @Test("quarantined clips are counted by the kind of their reason, also those taken over")
  func quarantineCounts() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    func writer() throws -> StoreWriter {
      try StoreWriter(directory: folder.file("store"), plan: data.plan())
    }
    let first = try writer()
    for index in 0..<3 { try first.quarantine(index, reason: "silent: no sample rises") }
    try first.quarantine(3, reason: "empty: nothing")
    _ = consume first
    let second = try writer()
    #expect(second.quarantined.isEmpty)
    #expect(try second.takeOver(0))
    #expect(second.safeClips == 4)
    try second.quarantine(4, reason: "empty: less")
    try second.quarantine(5, reason: "damaged")
    #expect(second.safeClips == 4)
    #expect(second.quarantined.map(\.kind) == ["silent", "empty", "damaged"])
    #expect(second.quarantined.map(\.clips) == [3, 2, 1])
  }

  private func change(_ file: URL, _ change: (inout Data) -> Void) throws {
    var data = try Data(contentsOf: file)
    change(&data)
    try data.write(to: file)
  }
}
