import Dataset
import Foundation

/// A small data set by a formula: noise, in which each of three tags raises bands of its own a
/// little, so that there is something to learn and something to get wrong.
///
/// Clip i of a split has the tags whose bits are set in i: each tag has clips with and without it.
struct SyntheticStore {
  var bands = 6
  var frames = 40
  var clips: [Split: Int] = [.train: 24, .validation: 10, .test: 6]
  /// Decibels by which a tag raises its bands.
  var lift: Float = 3
  var settings = [FeatureSetting("hopLength", "256")]
  /// Clips of the training split that are this many times louder.
  var loud: [Int: Float] = [:]

  static let tags = ["bright", "dark", "slow"]

  @discardableResult
  func write(_ path: String) throws -> Store {
    let records = Split.allCases.flatMap { split in
      (0..<(clips[split] ?? 0)).map { number in
        ClipRecord(
          id: String(format: "\(split.rawValue)-%03d", number),
          path: "\(split.rawValue)/\(number).wav", split: split,
          tags: Self.tags.indices.filter { Self.has($0, number) }.map { Self.tags[$0] },
          line: number + 2)
      }
    }
    let writer = try StoreWriter(
      directory: URL(fileURLWithPath: path), bands: bands, frames: frames, settings: settings,
      manifest: Manifest(records: records, source: URL(fileURLWithPath: "/music/tags.csv")))
    for (index, record) in writer.records.enumerated() {
      let number = Int(record.id.suffix(3)) ?? 0
      let features = features(of: number, in: record.split)
      try features.withUnsafeBufferPointer { try writer.add($0, at: index) }
    }
    return try writer.finish()
  }

  private static func has(_ tag: Int, _ number: Int) -> Bool { number >> tag & 1 == 1 }

  /// `[F, T]`
  private func features(of number: Int, in split: Split) -> [Float] {
    let salt = (Split.allCases.firstIndex(of: split) ?? 0) * 1_000 + number
    var state = UInt64(salt) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    let gain = split == .train ? loud[number] ?? 1 : 1
    return (0..<bands * frames).map { i in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let noise = Float(state >> 40) / 0x1p24 * 20 - 50
      let tag = i / frames % Self.tags.count
      return (noise + (Self.has(tag, number) ? lift : 0)) * gain
    }
  }
}
