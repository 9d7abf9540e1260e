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

/// The bytes of a WAV file of 32-bit floats.
func wav(
  _ samples: [Float], rate: Int, channels: Int = 1, declaredBytes: UInt32? = nil
) -> [UInt8] {
  func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }
  let bytes = UInt32(4 * samples.count)
  var file = Array("RIFF".utf8) + little(declaredBytes ?? bytes + 36) + Array("WAVEfmt ".utf8)
  file += little(UInt32(16)) + little(UInt16(3)) + little(UInt16(channels))
  file += little(UInt32(truncatingIfNeeded: rate))
  file += little(UInt32(truncatingIfNeeded: 4 * channels * rate))
  file += little(UInt16(4 * channels)) + little(UInt16(32))
  file += Array("data".utf8) + little(declaredBytes ?? bytes)
  return file + samples.flatMap { little($0.bitPattern) }
}
