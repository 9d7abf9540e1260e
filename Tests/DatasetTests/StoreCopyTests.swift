import Dataset
import Foundation
import Testing

@Suite struct StoreCopyTests {
  @Test("a copy starts without blocks, keeps those it gets, and reads the same")
  func copy() throws {
    let folder = try TemporaryFolder()
    let store = try SmallDataset().write(folder.file("store"))
    let copy = try begin(folder, from: store)
    #expect(copy.missingBlocks(for: [0, 1, 9]) == [0, 2])
    #expect(try thrown { _ = try copy.features(ofClip: 9) }?.code == .missing)
    #expect(try copy.labels(ofClip: 9) == store.labels(ofClip: 9))
    try store.withBlock(2) { try copy.install(block: 2, bytes: $0) }
    #expect(copy.missingBlocks(for: [0, 1, 9]) == [0])
    #expect(try copy.features(ofClip: 9) == store.features(ofClip: 9))

    let reopened = try begin(folder, from: store)
    #expect(reopened.missingBlocks(for: 0..<12) == [0, 1])
    for block in 0..<2 {
      try store.withBlock(block) { try reopened.install(block: block, bytes: $0) }
    }
    try Store(folder.file("copy")).verify()
  }

  @Test("a block that arrives damaged, cut or in another's place is not kept")
  func damagedBlock() throws {
    let folder = try TemporaryFolder()
    let store = try SmallDataset().write(folder.file("store"))
    let copy = try begin(folder, from: store)
    var bytes = try store.withBlock(0) { Array($0) }
    func install(_ block: Int, _ bytes: [UInt8]) throws -> DatasetError.Code? {
      try thrown { try bytes.withUnsafeBytes { try copy.install(block: block, bytes: $0) } }?.code
    }
    #expect(try install(0, bytes.dropLast()) == .truncated)
    #expect(try install(1, bytes) == .damaged)
    bytes[100] ^= 1
    #expect(try install(0, bytes) == .damaged)
    #expect(copy.missingBlocks(for: 0..<12) == [0, 1, 2])
  }

  @Test("what does not belong to the fingerprint is refused")
  func fingerprint() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    let store = try data.write(folder.file("store"))
    data.settings[0] = FeatureSetting("hopLength", "512")
    let other = try data.write(folder.file("other"))
    #expect(
      try thrown { _ = try begin(folder, from: store, fingerprint: other.fingerprint) }?.code
        == .otherStore)
    #expect(try thrown { _ = try begin(folder, from: store, table: other) }?.code == .damaged)
    #expect(try thrown { _ = try Store(folder.file("copy")) }?.code == .unfinished)
    _ = try begin(folder, from: store)
    #expect(try thrown { _ = try begin(folder, from: other) }?.code == .otherStore)
  }

  private func begin(
    _ folder: TemporaryFolder, from store: Store, fingerprint: String? = nil, table: Store? = nil
  ) throws -> Store {
    try Store.beginCopy(
      in: folder.file("copy"), fingerprint: fingerprint ?? store.fingerprint,
      descriptionData: store.descriptionData(), tableData: (table ?? store).withTable { Data($0) })
  }
}
