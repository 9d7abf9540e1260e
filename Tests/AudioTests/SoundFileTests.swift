import Audio
import Foundation
import Testing

struct SoundFileTests {
  let folder: TestFolder

  init() throws { folder = try TestFolder() }

  private static let halfSecond: FeatureSettings = {
    var settings = FeatureSettings()
    settings.durationSeconds = 0.5
    return settings
  }()

  private func refusal(of path: String) throws -> AudioError {
    let extractor = try LogMelExtractor(settings: Self.halfSecond)
    let error = try #require(throws: AudioError.self) { try extractor.features(ofFile: path) }
    #expect(error.description.hasPrefix(path + ": cannot "))
    return error
  }

  private static func golden(_ name: String) throws -> (Golden, [UInt8]) {
    let golden = try #require(Golden.sounds.first { $0.file == name })
    return (golden, try golden.bytes())
  }

  // MARK: What is read

  @Test("headers are read", arguments: Golden.sounds)
  func headers(_ golden: Golden) throws {
    var file = try SoundFile(path: golden.place(in: folder))
    #expect(try file.frames() == golden.count)
    #expect(file.sampleRateHz == golden.rate)
    #expect(file.channels == golden.channels)
  }

  /// Where an excerpt starts, libsoxr's blocks and, for a ratio like 22051 to 12000, its
  /// interpolated phases are cut anew, and round differently.
  @Test(
    "the excerpt of a long file is the middle of the whole, resampled",
    arguments: [
      8_000, 11_025, 12_000, 16_000, 22_050, 22_051, 32_000, 44_100, 48_000, 96_000, 192_000,
    ])
  func excerptOfWhole(_ rate: Int) throws {
    let seconds = 9
    let path = try folder.write(
      wav(Signal.noise.samples(rate * seconds + 17), rate: rate), as: "\(rate).wav")
    var (part, whole) = ([Float](), [Float]())
    try ClipReader(settings: Self.halfSecond).read(path, into: &part)
    var settings = Self.halfSecond
    settings.durationSeconds = Double(seconds)
    try ClipReader(settings: settings).read(path, into: &whole)
    #expect(part.count == 6_000)
    // Both are centred; rounding may put them one sample apart.
    let difference = (-1...1).map { shift in
      let start = (whole.count - part.count) / 2 + shift
      return zip(part, whole[start...]).map { abs($0 - $1) }.max()!
    }.min()!
    #expect(difference < 1e-5)
    #expect(part.contains { abs($0) > 0.1 })
  }

  @Test(
    "decoding from the middle gives the bits of decoding from the start", arguments: Golden.sounds)
  func seeking(_ golden: Golden) throws {
    let path = try golden.place(in: folder)
    let straight = try allSamples(of: path)
    for start in stride(from: 999, to: straight.count - 2_000, by: 7_919) {
      var sought: [Float] = []
      var file = try SoundFile(path: path)
      try file.read(start..<start + 2_000, of: straight.count, appendingTo: &sought)
      #expect(sought.map(\.bitPattern) == straight[start..<start + 2_000].map(\.bitPattern))
    }
  }

  struct Encoding: Sendable, CustomTestStringConvertible {
    let format: SoundFileWriter.Format
    let rate: Int
    let channels: Int
    var testDescription: String { "\(format) \(rate) Hz, \(channels) channels" }

    /// LAME knows neither higher rates nor more channels.
    static let all = SoundFileWriter.Format.allCases.flatMap { format in
      [8_000, 12_000, 22_050, 44_100, 48_000, 96_000].flatMap { rate in
        [1, 2, 6].map { Encoding(format: format, rate: rate, channels: $0) }
      }
    }.filter { $0.format != .mp3 || $0.rate <= 48_000 && $0.channels <= 2 }
  }

  @Test(
    "without resampling, the middle is to the bit that of all that can be decoded",
    arguments: Encoding.all)
  func middleOfAll(_ encoding: Encoding) throws {
    let sound = Signal.chord.samples(2 * encoding.rate * encoding.channels)
    let bytes = try SoundFileWriter.encode(
      sound, as: encoding.format, channels: encoding.channels, sampleRateHz: encoding.rate)
    let path = try folder.write(bytes, as: "long.\(encoding.format)")
    var settings = Self.halfSecond
    settings.sampleRateHz = encoding.rate
    settings.highestHz = Double(encoding.rate) / 2
    settings.melBands = 20

    let extractor = try LogMelExtractor(settings: settings)
    let (part, whole) = try (
      extractor.features(ofFile: path), extractor.logMel(allSamples(of: path))
    )
    #expect(part.map(\.bitPattern) == whole.map(\.bitPattern))
  }

  private func allSamples(of path: String) throws -> [Float] {
    var file = try SoundFile(path: path)
    let frames = try file.frames()
    var samples: [Float] = []
    try file.read(0..<frames, of: frames, appendingTo: &samples)
    #expect(samples.count == frames)
    return samples
  }

  @Test(
    "what lies far from the middle is not decoded",
    arguments: [SoundFileWriter.Format.wav, .flac, .ogg])
  func onlyTheMiddle(_ format: SoundFileWriter.Format) throws {
    var bytes = try SoundFileWriter.encode(
      Signal.chord.samples(30 * 12_000), as: format, sampleRateHz: 12_000)
    let extractor = try LogMelExtractor(settings: Self.halfSecond)
    let intact = try extractor.features(ofFile: folder.write(bytes, as: "intact.\(format)"))
    for index in bytes.count / 10..<bytes.count / 5 { bytes[index] = 0 }
    #expect(try extractor.features(ofFile: folder.write(bytes, as: "hole.\(format)")) == intact)
  }

  @Test("channels are averaged", arguments: [1, 2, 3, 6, 8])
  func channels(_ count: Int) throws {
    let mono = Signal.noise.samples(6_000)
    let interleaved = mono.flatMap { sample in (0..<count).map { sample * Float($0 + 1) } }
    let path = try folder.write(wav(interleaved, rate: 12_000, channels: count), as: "c.wav")
    var samples: [Float] = []
    try ClipReader(settings: Self.halfSecond).read(path, into: &samples)
    let mean = Float(count + 1) / 2
    #expect(zip(samples, mono).allSatisfy { abs($0 - mean * $1) < 1e-5 })
  }

  @Test("a WAV whose writer did not know its length is read", arguments: [0, .max, 0x7FFF_FFFF])
  func unknownLength(_ declared: UInt32) throws {
    let clip = Signal.noise.samples(6_000)
    let path = try folder.write(wav(clip, rate: 12_000, declaredBytes: declared), as: "u.wav")
    let extractor = try LogMelExtractor(settings: Self.halfSecond)
    if declared == 0 {  // libsndfile takes that by its word
      #expect(try refusal(of: path).code == .empty)
    } else {
      #expect(try extractor.features(ofFile: path) == extractor.logMel(clip))
    }
  }

  /// The length is 36 bits of the first block: the low half of byte 21 and the next four.
  private func flac(declaring frames: UInt64) throws -> (Golden, String) {
    var (golden, bytes) = try Self.golden("long-8000-mono.flac")
    bytes[21] = bytes[21] & 0xF0 | UInt8(frames >> 32 & 0xF)
    for byte in 0..<4 { bytes[22 + byte] = UInt8(frames >> (24 - 8 * UInt64(byte)) & 0xFF) }
    return (golden, try folder.write(bytes, as: "declared.flac"))
  }

  @Test("a FLAC stream that does not declare its length is counted")
  func countedLength() throws {
    let (golden, path) = try flac(declaring: 0)
    let extractor = try LogMelExtractor(settings: golden.settings)
    #expect(
      try extractor.features(ofFile: path) == extractor.features(ofFile: golden.place(in: folder)))
  }

  @Test("a FLAC stream that declares 68 thousand million frames is refused")
  func declaredTooLong() throws {
    let (_, path) = try flac(declaring: 1 << 36 - 1)
    #expect(try refusal(of: path).code == .incomplete)
  }

  /// An MP3 without a count of its frames, behind a tag, or several of them in a row.
  private func uncounted(tagBytes: Int, repeats: Int = 1) throws -> (Golden, String) {
    let (golden, bytes) = try Self.golden("uncounted-44100-mono.mp3")
    let sound = Array(repeatElement(bytes.dropFirst(4_010), count: repeats).joined())
    let size = [21, 14, 7, 0].map { UInt8(tagBytes >> $0 & 0x7F) }
    let tag = Array("ID3".utf8) + [3, 0, 0] + size + [UInt8](repeating: 0, count: tagBytes)
    return (golden, try folder.write(tag + sound, as: "\(tagBytes).mp3"))
  }

  @Test(
    "an MP3 that does not count its frames is counted, whatever lies before them",
    arguments: [1, 127, 20_000, 1_000_000])
  func uncountedMP3(_ tagBytes: Int) throws {
    let (golden, path) = try uncounted(tagBytes: tagBytes)
    #expect(try allSamples(of: path).count == golden.count)
    let map = try LogMelExtractor(settings: golden.settings).features(ofFile: path)
    #expect(golden.difference(from: map).largest < 2e-3)
  }

  @Test("a long MP3 that does not count its frames is decoded twice, to the same bits")
  func longUncountedMP3() throws {
    let (_, path) = try uncounted(tagBytes: 1, repeats: 50)
    let straight = try allSamples(of: path)
    #expect(straight.count > 1 << 22)
    for start in [0, straight.count / 2, straight.count - 2_000] {
      var file = try SoundFile(path: path)
      var part: [Float] = []
      try file.read(start..<start + 2_000, of: file.frames(), appendingTo: &part)
      #expect(part.map(\.bitPattern) == straight[start..<start + 2_000].map(\.bitPattern))
    }
  }

  // MARK: What is refused

  @Test("what is not a sound file is refused")
  func notSound() throws {
    #expect(try refusal(of: folder.path("nothing.wav")).code == .missing)
    #expect(try refusal(of: folder.url.path).code == .notAFile)
    #expect(mkfifo(folder.path("pipe.wav"), 0o600) == 0)
    #expect(try refusal(of: folder.path("pipe.wav")).code == .notAFile)
    #expect(try refusal(of: folder.write([], as: "empty.mp3")).code == .empty)
    let text = Array("This is a text, whatever its name says.\n".utf8)
    #expect(try refusal(of: folder.write(text, as: "text.wav")).code == .undecodable)
    let noise = (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 2_654_435_761 >> 11) }
    #expect(try refusal(of: folder.write(noise, as: "noise.ogg")).code == .undecodable)
  }

  @Test("a sound file without sound is refused")
  func noSound() throws {
    #expect(try refusal(of: folder.write(wav([], rate: 44_100), as: "a.wav")).code == .empty)
    let zeros = [Float](repeating: 0, count: 100_000)
    #expect(try refusal(of: folder.write(wav(zeros, rate: 44_100), as: "b.wav")).code == .silent)
    let faint = zeros.map { _ in Float(5e-5) }
    #expect(try refusal(of: folder.write(wav(faint, rate: 12_000), as: "c.wav")).code == .silent)
  }

  @Test("a NaN in a file is refused with its frame", arguments: [12_000, 44_100])
  func notFinite(_ rate: Int) throws {
    var clip = Signal.noise.samples(20 * rate)
    clip[10 * rate + 7] = .nan
    let error = try refusal(of: folder.write(wav(clip, rate: rate), as: "nan.wav"))
    #expect(error.code == .notFinite)
    #expect(error.detail == "sample \(10 * rate + 7) is nan")
  }

  @Test("a header that no music has is refused", arguments: [0, 1, 999, 768_001, 2_147_483_647])
  func unsupported(_ rate: Int) throws {
    let error = try refusal(of: folder.write(wav([0.5, 0.5], rate: rate), as: "rate.wav"))
    #expect([.unsupported, .undecodable].contains(error.code))
  }

  @Test(
    "a file cut short is refused, and the sentence says so",
    arguments: Golden.sounds.filter {
      !$0.name.hasPrefix("long") && !$0.name.hasPrefix("uncounted")
    },
    [0.3, 0.6, 0.9])
  func cutShort(_ golden: Golden, _ part: Double) throws {
    let bytes = try golden.bytes()
    let cut = bytes.prefix(Int(part * Double(bytes.count)))
    let extractor = try LogMelExtractor(settings: golden.settings)
    let path = try folder.write(cut, as: golden.name)
    let error = try #require(throws: AudioError.self) { try extractor.features(ofFile: path) }
    #expect(error.code == .incomplete || error.code == .undecodable)
  }

  @Test("a long file cut behind its middle is used: nothing that is needed is missing")
  func cutBehindMiddle() throws {
    let (golden, bytes) = try Self.golden("long-8000-mono.flac")
    let path = try folder.write(bytes.prefix(bytes.count * 9 / 10), as: "cut.flac")
    let extractor = try LogMelExtractor(settings: golden.settings)
    #expect(
      try extractor.features(ofFile: path) == extractor.features(ofFile: golden.place(in: folder)))
  }

  /// Bytes overwritten at random, the header's among them: the outcome is a map or an error.
  @Test(
    "a damaged file never gives anything but a finite map or an error", arguments: Golden.sounds)
  func damaged(_ golden: Golden) throws {
    let bytes = try golden.bytes()
    let extractor = try LogMelExtractor(settings: golden.settings)
    var state = UInt32(truncatingIfNeeded: bytes.count)
    func random(_ bound: Int) -> Int {
      state = 1_664_525 &* state &+ 1_013_904_223
      return Int(state >> 8) % bound
    }
    for round in 0..<20 {
      var damaged = bytes
      let reach = min(bytes.count, round.isMultiple(of: 2) ? 64 : .max)
      for _ in 0...round { damaged[random(reach)] = UInt8(random(256)) }
      let path = try folder.write(damaged, as: golden.name)
      do {
        #expect(try extractor.features(ofFile: path).allSatisfy { $0.isFinite })
      } catch let error as AudioError {
        #expect(error.path == path)
      }
    }
  }
}
