import Audio
import Foundation
import Testing

/// A long sound in windows is the sound, cut up.
struct WindowReaderTests {
  let folder: TestFolder

  init() throws { folder = try TestFolder() }

  private static func settings(_ seconds: Double) -> FeatureSettings {
    var settings = FeatureSettings()
    settings.durationSeconds = seconds
    return settings
  }

  private func windows(
    _ path: String, seconds: Double, hop: Int
  ) throws -> [(start: Int, samples: [Float])] {
    var reader = try WindowReader(path: path, settings: Self.settings(seconds), hop: hop)
    var result: [(start: Int, samples: [Float])] = []
    var samples: [Float] = []
    while let start = try reader.next(into: &samples) { result.append((start, samples)) }
    return result
  }

  @Test(
    "windows are slices of the whole file, resampled",
    arguments: [8_000, 12_000, 22_051, 44_100, 96_000])
  func slices(_ rate: Int) throws {
    let path = try folder.write(
      wav(Signal.noise.samples(rate * 20 + 17), rate: rate), as: "\(rate).wav")
    var whole: [Float] = []
    let seconds = Double(rate * 20 + 17) / Double(rate)
    try ClipReader(settings: Self.settings(seconds)).read(path, into: &whole)
    let windows = try windows(path, seconds: 3, hop: 25_000)
    // 204,000 samples after the last but one start leave 1.3 s, so one more ends with the file.
    #expect(windows.map(\.start).dropLast() == Array(stride(from: 0, through: 200_000, by: 25_000)))
    for (start, samples) in windows {
      #expect(samples.count == 36_000)
      let end = min(start + 36_000, whole.count)
      let difference = zip(samples, whole[start..<end]).map { abs($0 - $1) }.max() ?? 0
      #expect(difference < 1e-6, "at \(start): \(difference)")
    }
    #expect(abs(windows.last!.start + 36_000 - whole.count) <= 1)
  }

  @Test(
    "where windows start",
    arguments: [
      // samples of the file, of the hop, starts of windows of 6,000 samples
      (6_000, 6_000, [0]), (5_999, 6_000, [0]), (1, 1, [0]), (6_600, 6_000, [0]),
      (6_601, 6_000, [0, 601]), (12_000, 6_000, [0, 6_000]), (17_999, 6_000, [0, 6_000, 11_999]),
      (8_000, 1_000, [0, 1_000, 2_000]), (8_599, 1_000, [0, 1_000, 2_000]),
      (8_700, 1_000, [0, 1_000, 2_000, 2_700]), (200_000, 100_000, [0, 100_000, 194_000]),
      (70_000, 100_000, [0, 64_000]),
    ])
  func starts(length: Int, hop: Int, starts: [Int]) throws {
    let sound = Signal.noise.samples(length)
    let path = try folder.write(wav(sound, rate: 12_000), as: "a.wav")
    let windows = try windows(path, seconds: 0.5, hop: hop)
    #expect(windows.map(\.start) == starts)
    for (start, samples) in windows {
      let isSlice = samples == Array(sound[start..<min(start + 6_000, length)])
      #expect(isSlice, "at \(start)")
    }
  }

  @Test(
    "a file shorter than a window is what preparation reads of it", arguments: [12_000, 44_100])
  func short(_ rate: Int) throws {
    let path = try folder.write(wav(Signal.chord.samples(rate / 3), rate: rate), as: "a.wav")
    let window = try #require(try windows(path, seconds: 0.5, hop: 600).first)
    var excerpt: [Float] = []
    try ClipReader(settings: Self.settings(0.5)).read(path, into: &excerpt)
    // librosa's arithmetic makes 4,001 samples of a third of a second at 44.1 kHz
    let count = window.samples.count
    #expect((4_000...4_001).contains(count))
    let lead = (6_000 - count) / 2
    let isSame = window.samples == Array(excerpt[lead..<lead + count])
    #expect(isSame)
  }

  @Test("what is wrong with a file is said, with the place")
  func wrong() throws {
    func error(_ bytes: [UInt8]) throws -> AudioError? {
      let path = try folder.write(bytes, as: "wrong.wav")
      let error = #expect(throws: AudioError.self) { try windows(path, seconds: 0.5, hop: 6_000) }
      #expect(error?.path == path)
      return error
    }
    var sound = Signal.noise.samples(80_000)
    #expect(try error(wav([], rate: 12_000))?.code == .empty)
    #expect(try error(Array("no sound".utf8))?.code == .undecodable)
    sound[70_000] = .nan
    let notFinite = try error(wav(sound, rate: 44_100))
    #expect(notFinite?.code == .notFinite && notFinite?.detail.contains("70000") == true)
    #expect(throws: AudioError.self) {
      try windows(folder.path("nowhere.wav"), seconds: 0.5, hop: 6_000)
    }
  }
}
