/// The maps that `Goldens/make_goldens.py` made with librosa, and where each came from.

import Audio
import Foundation
import Testing

struct Golden: Decodable, Sendable, CustomTestStringConvertible {
  let signal: Signal?
  /// Frames of the sound: samples of a signal on its own.
  let count: Int
  /// A file beside the goldens, or the sample format of a WAV file made of the signal; else the
  /// signal's samples are the clip.
  let file: String?
  let sampleFormat: SampleFormat?
  let rate: Int?
  let channels: Int?
  let settings: FeatureSettings
  /// Bands and frames of the whole map.
  let shape: [Int]
  let maximum: Float
  /// The frames that were kept.
  let frames: [Int]
  let offset: Int

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "Goldens")
  static let signals = all.filter { $0.rate == nil }
  static let files = all.filter { $0.rate != nil }
  /// Every file once.
  static let sounds = files.filter { $0.settings.sampleRateHz == 12_000 }

  var name: String {
    let signal = signal?.rawValue ?? ""
    guard let rate, let channels, let sampleFormat else { return file ?? "\(count) of \(signal)" }
    return "\(signal)-\(sampleFormat.rawValue)-\(rate)-\(channels)-\(count).wav"
  }

  func bytes() throws -> [UInt8] {
    if let file {
      return try Array(Data(contentsOf: Self.folder.appending(path: "sounds/\(file)")))
    }
    let signal = try #require(signal)
    let (rate, channels, format) = try (
      #require(rate), #require(channels), #require(sampleFormat)
    )
    return wav(
      signal.samples(count * channels), rate: rate, channels: channels, format: format)
  }

  func place(in folder: TestFolder) throws -> String { try folder.write(bytes(), as: name) }

  /// `[bands, kept frames]`, decibels
  var values: ArraySlice<Float> {
    Self.allValues[offset..<offset + shape[0] * frames.count]
  }

  var testDescription: String {
    let differences = settings.differences(from: .init()).filter { !$0.hasPrefix("duration") }.count
    return name + (differences == 0 ? "" : ", \(differences) settings")
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
    /// Largest one of all, the floor included.
    var largest: Float = 0
    /// Mean of all above the floor.
    var mean: Float = 0
  }

  func difference(from map: [Float]) -> Difference {
    let floor = maximum - Float(settings.dynamicRangeDecibels)
    var (result, sum, count) = (Difference(), Float(0), Float(0))
    for (index, expected) in values.enumerated() {
      let (band, frame) = (index / frames.count, frames[index % frames.count])
      let difference = abs(map[band * settings.frames + frame] - expected)
      result.largest = max(result.largest, difference)
      if expected > floor { (sum, count) = (sum + difference, count + 1) }
    }
    result.mean = sum / max(1, count)
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
