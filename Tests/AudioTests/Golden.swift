/// The maps that `Goldens/make_goldens.py` made with librosa, and where each came from.

import Audio
import Foundation
import Testing

struct Golden: Decodable, Sendable, CustomTestStringConvertible {
  let signal: Signal?
  let count: Int?
  let file: String?
  let rate: Int?
  let channels: Int?
  let seconds: Double?
  let settings: FeatureSettings
  /// Bands and frames of the whole map.
  let shape: [Int]
  let maximum: Float
  /// The frames that were kept.
  let frames: [Int]
  let offset: Int

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "Goldens")
  static let signals = all.filter { $0.signal != nil }
  static let files = all.filter { $0.file != nil }

  var path: String { Self.folder.appending(path: "sounds/\(file ?? "")").path }

  /// `[bands, kept frames]`, decibels
  var values: ArraySlice<Float> {
    Self.allValues[offset..<offset + shape[0] * frames.count]
  }

  var testDescription: String {
    file ?? "\(count ?? 0) samples of \(signal?.rawValue ?? "")"
      + (settings == FeatureSettings()
        ? "" : ", \(settings.differences(from: .init()).count) settings")
  }

  private struct List: Decodable { let maps: [Golden] }

  private static let all: [Golden] = {
    let data = try! Data(contentsOf: folder.appending(path: "goldens.json"))
    return try! JSONDecoder().decode(List.self, from: data).maps
  }()

  private static let allValues: [Float] = {
    let data = try! Data(contentsOf: folder.appending(path: "goldens.f32"))
    return data.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 4).map {
        Float(
          bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self))
        )
      }
    }
  }()
}

extension Golden {
  /// How far a map is from librosa's, in decibels, over the frames that were kept.
  struct Difference {
    /// Largest one 10 dB and more above the floor.
    var largest: Float = 0
    /// Largest one on the floor and in the 10 dB above it.
    var largestNearFloor: Float = 0
    /// Mean of all above the floor.
    var mean: Float = 0
  }

  func difference(from map: [Float]) -> Difference {
    let floor = maximum - Float(settings.dynamicRangeDecibels)
    var (result, sum, count) = (Difference(), Float(0), Float(0))
    for (index, expected) in values.enumerated() {
      let (band, frame) = (index / frames.count, frames[index % frames.count])
      let difference = abs(map[band * settings.frames + frame] - expected)
      if expected > floor + 10 {
        result.largest = max(result.largest, difference)
      } else {
        result.largestNearFloor = max(result.largestNearFloor, difference)
      }
      if expected > floor { (sum, count) = (sum + difference, count + 1) }
    }
    result.mean = sum / count
    return result
  }
}

extension LogMelExtractor {
  func logMel(_ samples: [Float]) throws -> [Float] {
    var map = [Float](repeating: .nan, count: settings.values)
    var output = map.mutableSpan
    try logMel(samples.span, into: &output)
    return map
  }

  func features(ofFile path: String) throws -> [Float] {
    var map = [Float](repeating: .nan, count: settings.values)
    var output = map.mutableSpan
    try features(ofFile: path, into: &output)
    return map
  }
}
