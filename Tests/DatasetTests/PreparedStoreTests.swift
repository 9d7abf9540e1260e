import Dataset
import Foundation
import Testing

/// A finished store where one is to be made: the same, or another one.
@Suite struct PreparedStoreTests {
  private static let quarantined: Set = ["clip-2", "clip-7"]

  private func made(_ data: SmallDataset = SmallDataset()) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try data.write(folder.file("store"), quarantined: Self.quarantined)
    return folder
  }

  @Test("a store of the same plan is found, with its quarantined clips", arguments: [1, 4, 5, 64])
  func same(_ clipsPerBlock: Int) throws {
    var data = SmallDataset()
    data.clipsPerBlock = clipsPerBlock
    let folder = try made(data)
    let prepared = try PreparedStore(folder.file("store"), is: data.plan())
    #expect(prepared.store.clipCount == 10)
    #expect(prepared.quarantined.map(\.clips) == [2])
  }

  struct Difference: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let says: String
    let change: @Sendable (inout SmallDataset) -> Void
  }

  static let differences: [Difference] = [
    .init(testDescription: "a setting", says: "hopLength is 256 in the store") {
      $0.settings[0] = FeatureSetting("hopLength", "512")
    },
    .init(testDescription: "frames", says: "3 × 5, not 3 × 6") { $0.frames = 6 },
    .init(testDescription: "tags", says: "other tags") { $0.tags = ["slow", "piano", "vocal"] },
    .init(testDescription: "blocks", says: "3 blocks, not 2") { $0.clipsPerBlock = 6 },
    .init(testDescription: "blocks of another size", says: "clip") { $0.clipsPerBlock = 5 },
    .init(testDescription: "a clip less", says: "more clips") { data in
      let last = data.records.filter { $0.split == .test }.map(\.id).max()
      data.records.removeAll { $0.id == last }
    },
    .init(testDescription: "a clip's path", says: "\"clip-0\"") { data in
      data.records = data.records.map { $0.id == "clip-0" ? $0.with(path: "other.wav") : $0 }
    },
    .init(testDescription: "a quarantined clip's path", says: "\"clip-2\"") { data in
      data.records = data.records.map { $0.id == "clip-2" ? $0.with(path: "other.wav") : $0 }
    },
    .init(testDescription: "a clip's labels", says: "\"clip-9\"") { data in
      data.records = data.records.map { $0.id == "clip-9" ? $0.with(tags: ["vocal"]) : $0 }
    },
  ]

  @Test("another plan's is refused with what differs", arguments: differences)
  func other(_ difference: Difference) throws {
    let folder = try made()
    var data = SmallDataset()
    difference.change(&data)
    let plan = try data.plan()
    let error = try #require(
      try thrown { _ = try PreparedStore(folder.file("store"), is: plan) })
    #expect(error.code == .finished && error.exitCode == 65)
    for words in [difference.says, "remove it, or choose another folder"] {
      #expect(error.description.contains(words), "\(error)")
    }
  }

  @Test("sound files that were changed, are gone or are back make another store")
  func soundFiles() throws {
    let folder = try made()
    let plan = try SmallDataset().plan()
    let prepared = try PreparedStore(folder.file("store"), is: plan)
    func stamp(_ seconds: Double) throws -> FileStamp? {
      let path = folder.file("sound").path
      try Data([1]).write(to: folder.file("sound"))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: seconds)], ofItemAtPath: path)
      return FileStamp(path: path)
    }
    let old = try stamp(-3600)
    let stamps = [FileStamp?](repeating: old, count: 12)
    try prepared.require(stamps, of: plan)
    for (other, words) in [(try stamp(3600), "was changed"), (nil, "is gone")] {
      var stamps = stamps
      stamps[0] = other
      let error = try thrown { try prepared.require(stamps, of: plan) }
      #expect(error?.description.contains(words) == true)
    }
  }

  @Test("a damaged store is none")
  func damaged() throws {
    let folder = try made()
    try FileManager.default.removeItem(at: folder.file("store/block-00001.f16"))
    let plan = try SmallDataset().plan()
    let error = try thrown { _ = try PreparedStore(folder.file("store"), is: plan) }
    #expect(error?.code == .missing)
  }
}
