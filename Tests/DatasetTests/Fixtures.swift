import Dataset
import Foundation

/// A folder that goes away with the value that made it.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("tutti-dataset-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func file(_ name: String) -> URL { url.appendingPathComponent(name) }

  /// Every file's bytes by name.
  func contents(of folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: file(folder).path)
    return try Dictionary(
      uniqueKeysWithValues: names.map {
        ($0, try Data(contentsOf: file(folder).appendingPathComponent($0)))
      })
  }
}

extension TemporaryFolder {
  /// What tells a file from another one of the same name and content.
  func inode(_ name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: file(name).path)
    return attributes[.systemFileNumber] as? Int ?? 0
  }
}

/// A data set small enough to compare byte by byte.
struct SmallDataset {
  var bands = 3
  var frames = 5
  var clipsPerBlock = 4
  var settings = [FeatureSetting("hopLength", "256"), FeatureSetting("melBands", "3")]
  var tags: [String]?
  var maker = "tests 1"
  var shard: Shard?
  /// Seven clips to train on, three to validate with and two to test on, in no particular order.
  var records: [ClipRecord] = (0..<12).map { number in
    let splits: [Split] = [.train, .validation, .train, .test, .train, .train]
    let tags = ["piano", "slow", "vocal"].enumerated().filter { (number >> $0.offset) & 1 == 1 }
    return ClipRecord(
      id: "clip-\(number * 5 % 12)", path: "audio/\(number).wav",
      split: number == 8 ? .validation : splits[number % 6], tags: tags.map(\.element),
      line: number + 2)
  }

  func features(of record: ClipRecord) -> [Float] {
    var state = record.id.utf8.reduce(UInt64(7)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return (0..<bands * frames).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int(state >> 40)) / 131072 - 80
    }
  }

  func plan() throws -> StorePlan {
    StorePlan(
      manifest: try Manifest(records: records, source: URL(fileURLWithPath: "/music/tags.csv")),
      tags: tags, maker: maker, bands: bands, frames: frames, settings: settings,
      clipsPerBlock: clipsPerBlock, shard: shard)
  }

  func writer(_ directory: URL) throws -> StoreWriter {
    try StoreWriter(
      directory: directory, bands: bands, frames: frames, settings: settings,
      manifest: Manifest(records: records, source: URL(fileURLWithPath: "/music/tags.csv")),
      tags: tags, clipsPerBlock: clipsPerBlock)
  }

  /// - Parameter order: the order in which indices of the writer's records are dealt with
  @discardableResult
  func write(
    _ directory: URL, quarantined: Set<String> = [], order: ([Int]) -> [Int] = { $0 }
  ) throws -> Store {
    let writer = try writer(directory)
    for index in order(Array(writer.records.indices)) {
      try deal(with: index, of: writer, quarantined: quarantined)
    }
    return try writer.finish()
  }

  func deal(with index: Int, of writer: StoreWriter, quarantined: Set<String>) throws {
    let record = writer.records[index]
    if quarantined.contains(record.id) {
      try writer.quarantine(index, reason: "not a sound, \"really\"")
    } else {
      try features(of: record).withUnsafeBufferPointer { try writer.add($0, at: index) }
    }
  }
}

extension Store {
  func features(ofClip clip: Int) throws -> [Float] {
    var features = [Float](repeating: .nan, count: bands * frames)
    try features.withUnsafeMutableBufferPointer { try copyFeatures(ofClip: clip, into: $0) }
    return features
  }

  func labels(ofClip clip: Int) throws -> [Float] {
    var labels = [Float](repeating: .nan, count: tags.count)
    try labels.withUnsafeMutableBufferPointer { try copyLabels(ofClip: clip, into: $0) }
    return labels
  }

  /// What training would read.
  func readEverything() throws {
    for clip in 0..<clipCount {
      _ = try features(ofClip: clip)
      _ = try labels(ofClip: clip)
      _ = try id(ofClip: clip)
    }
  }
}

/// The `DatasetError` that the body throws, or nil if it throws none.
func thrown(by body: () throws -> Void) throws -> DatasetError? {
  do {
    try body()
    return nil
  } catch let error as DatasetError {
    return error
  }
}
