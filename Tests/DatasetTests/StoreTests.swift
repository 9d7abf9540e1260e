import Dataset
import Foundation
import Synchronization
import Testing

@Suite struct StoreTests {
  @Test("a store gives back what was written, split by split, in the order of ids")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    let store = try data.write(folder.file("store"))
    #expect(store.tags == ["piano", "slow", "vocal"])
    #expect(Split.allCases.map(store.range) == [0..<7, 7..<10, 10..<12])
    let clips = try (0..<12).map { clip in
      let id = try store.id(ofClip: clip)
      return try #require(data.records.first { $0.id == id })
    }
    for split in Split.allCases {
      let ids = clips[store.range(of: split)].map(\.id)
      #expect(ids == ids.sorted())
      #expect(clips[store.range(of: split)].allSatisfy { $0.split == split })
    }
    for (clip, record) in clips.enumerated() {
      #expect(try store.path(ofClip: clip) == record.path)
      #expect(try store.labels(ofClip: clip) == store.tags.map { record.tags.contains($0) ? 1 : 0 })
      let expected = data.features(of: record).map { Float(Float16($0)) }
      #expect(try store.features(ofClip: clip) == expected)
    }
    let trained = clips[store.range(of: .train)]
    #expect(
      store.tagCounts(in: .train)
        == store.tags.map { tag in trained.count { $0.tags.contains(tag) } })
    try store.verify()
  }

  @Test("block files are plain half-precision arrays")
  func blockFiles() throws {
    let folder = try TemporaryFolder()
    let store = try SmallDataset().write(folder.file("store"))
    let bytes = try Data(contentsOf: folder.file("store/block-00001.f16"))
    let halves = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float16.self)) }
    #expect(try halves.map(Float.init) == (4..<8).flatMap { try store.features(ofClip: $0) })
  }

  @Test("half precision rounds to nearest even, as the processor does")
  func halfPrecision() throws {
    // Every finite half, and for each the float midway to the next and that float's neighbours.
    let halves = (UInt16(0)..<0x7C00).map { Float(Float16(bitPattern: $0)) }
    var values = halves
    for (low, high) in zip(halves, halves.dropFirst()) {
      let midpoint = (low + high) / 2
      values += [midpoint, midpoint.nextUp, midpoint.nextDown]
    }
    values += [65519.996, .leastNonzeroMagnitude, .leastNormalMagnitude]
    values += values.map { -$0 }
    var data = SmallDataset()
    data.records = ["a", "b"].map {
      ClipRecord(id: $0, path: $0, split: $0 == "a" ? .train : .validation, tags: ["x"], line: 1)
    }
    data.bands = 2
    data.frames = values.count / 2
    let folder = try TemporaryFolder()
    let writer = try data.writer(folder.file("store"))
    for index in 0..<2 { try values.withUnsafeBufferPointer { try writer.add($0, at: index) } }
    let stored = try writer.finish().features(ofClip: 0)
    let expected = values.map { Float(Float16($0)).bitPattern }
    #expect(stored.map(\.bitPattern) == expected)
  }

  @Test(
    "what half precision cannot hold is refused, and can be quarantined",
    arguments: [Float.nan, .infinity, -.infinity, 65520, -1e30])
  func notRepresentable(_ value: Float) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    let writer = try data.writer(folder.file("store"))
    var features = data.features(of: writer.records[0])
    features[7] = value
    let error = try thrown { try features.withUnsafeBufferPointer { try writer.add($0, at: 0) } }
    #expect(error?.code == .notRepresentable)
    #expect(error?.detail.contains("band 1 of frame 2") == true)
    try writer.quarantine(0, reason: "\(try #require(error))")
    for index in writer.records.indices.dropFirst() {
      try data.deal(with: index, of: writer, quarantined: [])
    }
    #expect(try writer.finish().clipCount == 11)
  }

  @Test("the files are the same bytes whatever the threads and the order", arguments: [1, 2, 5])
  func threadsAndOrder(_ threads: Int) throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    let quarantined: Set = ["clip-2", "clip-7"]
    try data.write(folder.file("in order"), quarantined: quarantined)
    try data.write(folder.file("backwards"), quarantined: quarantined) { $0.reversed() }
    let writer = try data.writer(folder.file("threads"))
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        if index >= writer.records.count { return }
        do {
          try data.deal(with: index, of: writer, quarantined: quarantined)
        } catch {
          Issue.record(error)
        }
      }
    }
    _ = try writer.finish()
    let expected = try folder.contents(of: "in order")
    #expect(
      expected.keys.sorted() == [
        "block-00000.f16", "block-00001.f16", "block-00002.f16", "clips.table", "quarantine.csv",
        "store.json",
      ])
    #expect(try folder.contents(of: "backwards") == expected)
    #expect(try folder.contents(of: "threads") == expected)
  }

  @Test("quarantined clips are absent, listed, and leave the fingerprint of a set without them")
  func quarantine() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    // A whole block of four, and one clip of another.
    let quarantined = Set(try data.writer(folder.file("order")).records[3...8].map(\.id))
    let store = try data.write(folder.file("gaps"), quarantined: quarantined)
    #expect(store.clipCount == 6)
    for clip in 0..<6 {
      let id = try store.id(ofClip: clip)
      #expect(!quarantined.contains(id))
      let record = try #require(data.records.first { $0.id == id })
      let expected = data.features(of: record).map { Float(Float16($0)) }
      #expect(try store.features(ofClip: clip) == expected)
    }
    try store.verify()
    let list = try String(contentsOf: folder.file("gaps/quarantine.csv"), encoding: .utf8)
    let rows = list.components(separatedBy: "\r\n")
    #expect(rows.first == "clip_id,path,reason")
    #expect(rows.count == 1 + quarantined.count + 1)
    #expect(rows[1].hasSuffix(",\"not a sound, \"\"really\"\"\""))

    data.records.removeAll { quarantined.contains($0.id) }
    data.clipsPerBlock = 64
    #expect(try data.write(folder.file("without")).fingerprint == store.fingerprint)
  }

  typealias Change = @Sendable (inout SmallDataset) -> Void
  static let changes: [(name: String, matters: Bool, change: Change)] = [
    ("order of rows", false, { $0.records.reverse() }),
    (
      "paths and lines", false,
      { data in
        data.records = data.records.map {
          ClipRecord(
            id: $0.id, path: "elsewhere/\($0.path)", split: $0.split, work: $0.id, tags: $0.tags,
            line: $0.line + 9)
        }
      }
    ),
    ("clips per block", false, { $0.clipsPerBlock = 5 }),
    ("value of a setting", true, { $0.settings[0] = FeatureSetting("hopLength", "512") }),
    ("order of settings", true, { $0.settings.reverse() }),
    ("order of tags", true, { $0.tags = ["vocal", "slow", "piano"] }),
    ("one tag less", true, { $0.tags = ["piano", "slow"] }),
    ("shape", true, { ($0.bands, $0.frames) = ($0.frames, $0.bands) }),
    ("one label", true, { $0.records[0] = $0.records[0].with(tags: ["vocal"]) }),
    ("one split", true, { $0.records[0] = $0.records[0].with(split: .test) }),
    // Features are made from the id in these tests, so this changes both.
    ("one id", true, { $0.records[0] = $0.records[0].with(id: "other") }),
  ]

  @Test("the fingerprint covers what is trained and nothing else", arguments: changes.indices)
  func fingerprint(_ index: Int) throws {
    let (name, matters, change) = Self.changes[index]
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    let original = try data.write(folder.file("original")).fingerprint
    change(&data)
    let changed = try data.write(folder.file("changed")).fingerprint
    #expect((changed != original) == matters, "\(name)")
  }

  @Test("settings are compared one by one, and their digest is a plain SHA-256")
  func settings() throws {
    let folder = try TemporaryFolder()
    let data = SmallDataset()
    let store = try data.write(folder.file("store"))
    try store.requireSettings(data.settings, of: "the model")
    let error = try thrown {
      try store.requireSettings(
        [FeatureSetting("hopLength", "512"), FeatureSetting("melBands", "3")], of: "the model")
    }
    #expect(error?.code == .settingsDiffer)
    #expect(
      error?.detail.hasPrefix("hopLength is 256 in the store and 512 in the model") == true)
    let missing = try thrown { try store.requireSettings([data.settings[0]], of: "the model") }
    #expect(missing?.detail.hasPrefix("melBands is 3 in the store and not set") == true)
    let extra = data.settings + [FeatureSetting("window", "hann")]
    let more = try thrown { try store.requireSettings(extra, of: "the model") }
    #expect(more?.detail.hasPrefix("window is not set in the store and hann") == true)
    // From Python's hashlib, over the fields with their lengths as 64-bit little-endian numbers.
    #expect(
      data.settings.digest == "f60f3dc9ea5bb2591ff3a8fcb4174984d0b2be5ac4008deadac43de1ee27b4d3")
  }

  @Test("more than 64 tags take more than one word of labels")
  func manyTags() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    let tags = (100..<230).map { "tag \($0)" }
    data.records = data.records.enumerated().map { number, record in
      record.with(tags: tags.enumerated().filter { $0.offset % 7 == number % 7 }.map(\.element))
    }
    let store = try data.write(folder.file("store"))
    #expect(store.tags == tags)
    for clip in 0..<store.clipCount {
      let id = try store.id(ofClip: clip)
      let record = try #require(data.records.first { $0.id == id })
      #expect(try store.labels(ofClip: clip) == tags.map { record.tags.contains($0) ? 1 : 0 })
    }
  }

  @Test("an empty test split is a warning, as is a tag that cannot be learnt")
  func warnings() throws {
    let folder = try TemporaryFolder()
    var data = SmallDataset()
    data.records.removeAll { $0.split == .test }
    data.tags = ["piano", "theremin"]
    let store = try data.write(folder.file("store"))
    #expect(store.range(of: .test).isEmpty)
    #expect(store.warnings.contains { $0.contains("test split is empty") })
    #expect(store.warnings.contains { $0.contains("train split has the tag \"theremin\"") })
  }
}

extension ClipRecord {
  func with(
    id: String? = nil, path: String? = nil, split: Split? = nil, tags: [String]? = nil
  ) -> ClipRecord {
    ClipRecord(
      id: id ?? self.id, path: path ?? self.path, split: split ?? self.split, work: work,
      tags: tags ?? self.tags, line: line)
  }
}
