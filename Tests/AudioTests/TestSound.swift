import Foundation

/// A folder of files for one test; gone when the test is.
final class TestFolder {
  let url = FileManager.default.temporaryDirectory.appending(path: "audio-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path }

  func write(_ bytes: some Collection<UInt8>, as name: String) throws -> String {
    try Data(bytes).write(to: url.appending(path: name))
    return path(name)
  }
}

/// What a WAV file holds, by libsndfile's names.
enum SampleFormat: String, Decodable, CaseIterable, Sendable {
  case pcm8 = "PCM_U8"
  case pcm16 = "PCM_16"
  case pcm24 = "PCM_24"
  case pcm32 = "PCM_32"
  case float = "FLOAT"
  case double = "DOUBLE"

  var bytes: Int {
    switch self {
    case .pcm8: 1
    case .pcm16: 2
    case .pcm24: 3
    case .pcm32, .float: 4
    case .double: 8
    }
  }

  /// Integers are rounded down to the format's steps.
  func encode(_ sample: Float) -> [UInt8] {
    switch self {
    case .float: return little(sample.bitPattern)
    case .double: return little(Double(sample).bitPattern)
    case .pcm8: return [UInt8(128 + integer(sample))]
    case .pcm16, .pcm24, .pcm32: return Array(little(Int32(integer(sample))).prefix(bytes))
    }
  }

  private func integer(_ sample: Float) -> Int {
    let full = Double(1 << (8 * bytes - 1))
    return Int(min(full - 1, (Double(sample) * full).rounded(.down)))
  }
}

private func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian, Array.init)
}

/// The bytes of a WAV file.
func wav(
  _ samples: [Float], rate: Int, channels: Int = 1, format: SampleFormat = .float,
  declaredBytes: UInt32? = nil
) -> [UInt8] {
  let bytes = UInt32(format.bytes * samples.count)
  let tag: UInt16 = format == .float || format == .double ? 3 : 1
  var file = Array("RIFF".utf8) + little(declaredBytes ?? bytes + 36) + Array("WAVEfmt ".utf8)
  file += little(UInt32(16)) + little(tag) + little(UInt16(channels))
  file += little(UInt32(truncatingIfNeeded: rate))
  file += little(UInt32(truncatingIfNeeded: format.bytes * channels * rate))
  file += little(UInt16(format.bytes * channels)) + little(UInt16(8 * format.bytes))
  file += Array("data".utf8) + little(declaredBytes ?? bytes)
  return file + samples.flatMap { format.encode($0) }
}
