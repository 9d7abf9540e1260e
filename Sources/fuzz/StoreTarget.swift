import Dataset
import Foundation

extension Target {
  /// A store: its description, clip table and blocks, in this order, with `StoreInput.cut` between.
  static let store = Target(
    name: "store", longest: 12_288,
    words: [
      StoreInput.cut, "format", "tutti store", "version", "bands", "frames", "settings", "name",
      "value", "settingsDigest", "tags", "counts", "train", "validation", "test", "clips", "blocks",
      "checksum", "textBytes", "contentDigest", "fingerprint", "2147483647", "1073741824", "65536",
      "{}", "[]", "[[", "{\"", "null", "1e9", "-1",
    ],
    seeds: {
      [
        try store(bands: 2, frames: 3, clips: 4, tags: ["piano", "slow"], clipsPerBlock: 2),
        try store(bands: 1, frames: 1, clips: 3, tags: (0..<65).map { "t\($0)" }, clipsPerBlock: 8),
      ]
    },
    repair: { StoreInput($0).sealed().bytes },
    read: { bytes in
      let input = StoreInput(bytes)
      try Scratch.use { scratch in
        try input.write(to: scratch)
        let store = try Store(scratch.folder)
        try readEverything(of: store)
        try copy(store, from: input, to: scratch.folder.appendingPathComponent("copy"))
        try store.verify()
      }
    })

  private static func readEverything(of store: Store) throws {
    var features = [Float](
      repeating: 0, count: store.clipCount == 0 ? 0 : store.bands * store.frames)
    var labels = [Float](repeating: 0, count: store.tags.count)
    _ = store.warnings
    for split in Split.allCases {
      expect(store.range(of: split).count == store.clipCount(in: split), "\(split)'s range")
      expect(
        store.tagCounts(in: split).allSatisfy { (0...store.clipCount(in: split)).contains($0) },
        "tags of more clips than there are: \(store.tagCounts(in: split))")
    }
    for clip in 0..<min(store.clipCount, 100) {
      expect((0..<store.blockCount).contains(store.block(ofClip: clip)), "a block")
      try labels.withUnsafeMutableBufferPointer { try store.copyLabels(ofClip: clip, into: $0) }
      expect(labels.allSatisfy { $0 == 0 || $0 == 1 }, "labels \(labels)")
      _ = (try store.id(ofClip: clip), try store.path(ofClip: clip))
      try store.willNeed([clip])
      try features.withUnsafeMutableBufferPointer { try store.copyFeatures(ofClip: clip, into: $0) }
    }
  }

  /// What a worker without the data set does with what a coordinator sends.
  private static func copy(_ store: Store, from input: StoreInput, to folder: URL) throws {
    let copy = try StoreCopy.begin(
      in: StoreCache(folder, limit: 1 << 30), fingerprint: store.fingerprint,
      description: Data(input.description), table: Data(input.table))
    expect(copy.obstacle == nil, "no copy: \(copy.obstacle.map(\.description) ?? "")")
    let parts = try StoreParts(store)
    for clip in 0..<min(store.clipCount, 100) {
      let sent = try parts.bytes(
        ofPart: StoreParts.clip(clip), from: 0, count: copy.clipBytes)
      guard let sent else { preconditionFailure("no clip \(clip)") }
      expect(copy.isGenuine(sent.bytes, ofClip: clip), "clip \(clip) is another one")
      let isKept = try copy.keep(sent.bytes, ofClip: clip)
      expect(!isKept || copy.read(clip) == sent.bytes, "clip \(clip) has changed")
    }
  }

  private static func store(
    bands: Int, frames: Int, clips: Int, tags: [String], clipsPerBlock: Int
  ) throws -> [UInt8] {
    try Scratch.use { scratch in
      let records = (0..<clips).map { clip in
        ClipRecord(
          id: "c\(clip)", path: "a/\(clip).wav", split: Split.allCases[clip % 3],
          tags: tags.enumerated().filter { $0.offset % 2 == clip % 2 }.map(\.element),
          line: clip + 2)
      }
      let folder = scratch.folder.appendingPathComponent("store")
      let writer = try StoreWriter(
        directory: folder, bands: bands, frames: frames,
        settings: [FeatureSetting("hopLength", "256"), FeatureSetting("melBands", "\(bands)")],
        manifest: try Manifest(records: records, source: URL(fileURLWithPath: "/tags.csv")),
        tags: tags, clipsPerBlock: clipsPerBlock)
      for index in writer.records.indices {
        let features = (0..<bands * frames).map { Float(index) - Float($0) / 8 }
        try features.withUnsafeBufferPointer { try writer.add($0, at: index) }
      }
      _ = try writer.finish()
      return try StoreInput(folder: folder).bytes
    }
  }
}
