import CXXHash
import Dataset
import Foundation

extension Target {
  /// The one part of a store, to be joined: a journal and blocks, as a `FolderInput`.
  static let preparation = Target(
    name: "preparation", longest: 6144,
    words: [
      FolderInput.cut, "preparation.journal", "block-00001.f16", "unfinished", "store.json", "\n",
      "{\"block\":", "\"clips\":[", "\"checksum\":", "\"reason\":", "\"labels\":[", "\"shard\":{",
      "\"count\":", "\"number\":", "\"plan\":", "\"stamp\":null", "2147483647", "1073741824",
      "65536",
    ],
    seeds: {
      [
        try part(clips: 5, clipsPerBlock: 2, quarantined: [1]),
        try part(clips: 3, clipsPerBlock: 8, quarantined: []),
      ]
    },
    repair: { withChecksums($0) },
    read: { bytes in
      try Scratch.use { scratch in
        let part = try scratch.subfolder("part")
        try FolderInput(bytes).write(to: part)
        let join = try StoreJoin([part.folder])
        let out = scratch.folder.appendingPathComponent("store")
        guard let (store, quarantined) = try join.run(into: out, threads: 1) else { return }
        let lost = quarantined.reduce(0) { $0 + $1.clips }
        expect(store.clipCount + lost == join.plan.records.count, "\(lost) clips are quarantined")
        try store.verify()
      }
    })

  private static func part(clips: Int, clipsPerBlock: Int, quarantined: Set<Int>) throws -> [UInt8]
  {
    try Scratch.use { scratch in
      let records = (0..<clips).map { clip in
        ClipRecord(
          id: "c\(clip)", path: "\(clip).wav", split: Split.allCases[clip % 3],
          tags: clip % 2 == 0 ? ["piano"] : ["piano", "slow"], line: clip + 2)
      }
      let plan = StorePlan(
        manifest: try Manifest(records: records, source: URL(fileURLWithPath: "/tags.csv")),
        maker: "tutti", bands: 1, frames: 2, settings: [FeatureSetting("hopLength", "256")],
        clipsPerBlock: clipsPerBlock, shard: Shard(1, of: 1))
      let writer = try StoreWriter(directory: scratch.folder, plan: plan)
      for index in writer.remaining {
        if quarantined.contains(index) {
          try writer.quarantine(index, reason: "silent: no sample is loud")
        } else {
          try [Float(index), -1].withUnsafeBufferPointer { try writer.add($0, at: index) }
        }
      }
      try writer.finishPart()
      let names = try FileManager.default.contentsOfDirectory(atPath: scratch.folder.path)
      let files = try names.sorted().map { name in
        (name, Array(try Data(contentsOf: scratch.folder.appendingPathComponent(name))))
      }
      return FolderInput("part", texts: [], others: files).bytes
    }
  }

  /// The journal's lines with the checksums that they should begin with.
  private static func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
    let input = FolderInput(bytes)
    let files = input.files.map { name, bytes in
      guard name == "preparation.journal" else { return (name, bytes) }
      let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      let sealed = lines.map { line -> [UInt8] in
        guard line.count > 17 else { return Array(line) }
        let json = Array(line.dropFirst(17))
        let checksum = String(xxh3(json, json.count), radix: 16)
        let digits = String(repeating: "0", count: 16 - checksum.count) + checksum + " "
        return Array(digits.utf8) + json
      }
      return (name, Array(sealed.joined(separator: [UInt8(ascii: "\n")])))
    }
    return FolderInput(input.head, texts: [], others: files).bytes
  }
}
