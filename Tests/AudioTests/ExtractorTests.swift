import Audio
import Foundation
import Testing

struct ExtractorTests {
  static let twoSeconds: FeatureSettings = {
    var settings = FeatureSettings()
    settings.durationSeconds = 2
    return settings
  }()

  @Test("the same samples give the same bits: again, afresh, and on four threads at once")
  func deterministic() throws {
    let clips = [Signal.noise, .chord, .tone, .bursts].map { $0.samples(30_000) }
    let used = try LogMelExtractor(settings: Self.twoSeconds)
    let maps = try clips.map { try used.logMel($0).map(\.bitPattern) }
    for (clip, map) in zip(clips, maps) {
      #expect(try used.logMel(clip).map(\.bitPattern) == map)
    }
    DispatchQueue.concurrentPerform(iterations: 16) { index in
      let map = try? LogMelExtractor(settings: Self.twoSeconds).logMel(clips[index % 4])
      #expect(map?.map(\.bitPattern) == maps[index % 4])
    }
  }

  @Test("a loud clip leaves nothing behind for the next", arguments: [3, 8, 11])
  func nothingLeft(_ frames: Int) throws {
    var settings = FeatureSettings()
    settings.durationSeconds = Double((frames - 1) * 256 + 255) / 12_000
    #expect(settings.frames == frames)
    let used = try LogMelExtractor(settings: settings)
    let quiet = Signal.noise.samples(settings.samples).map { $0 / 4_096 }
    _ = try used.logMel(Signal.noise.samples(settings.samples))
    #expect(try used.logMel(quiet) == LogMelExtractor(settings: settings).logMel(quiet))
  }

  @Test("the same file gives the same bits, whatever was read before", arguments: Golden.sounds)
  func deterministicFiles(_ golden: Golden) throws {
    let folder = try TestFolder()
    let path = try golden.place(in: folder)
    let used = try LogMelExtractor(settings: golden.settings)
    for other in Golden.sounds.prefix(8) {
      _ = try used.features(ofFile: other.place(in: folder))
    }
    let fresh = try LogMelExtractor(settings: golden.settings)
    let (first, second) = try (used.features(ofFile: path), fresh.features(ofFile: path))
    #expect(first.map(\.bitPattern) == second.map(\.bitPattern))
  }

  @Test("a short clip lies in the middle, between zeros", arguments: [1, 2, 255, 256, 511, 23_999])
  func shortClip(_ count: Int) throws {
    let extractor = try LogMelExtractor(settings: Self.twoSeconds)
    let clip = Signal.noise.samples(count + 1).suffix(count)
    var padded = [Float](repeating: 0, count: 24_000)
    padded.replaceSubrange((24_000 - count) / 2..<(24_000 - count) / 2 + count, with: clip)
    #expect(try extractor.logMel(Array(clip)) == extractor.logMel(padded))
  }

  @Test("of a long clip the middle counts", arguments: [24_001, 24_002, 100_000])
  func longClip(_ count: Int) throws {
    let extractor = try LogMelExtractor(settings: Self.twoSeconds)
    let clip = Signal.noise.samples(count)
    let start = (count - 24_000) / 2
    #expect(try extractor.logMel(clip) == extractor.logMel(Array(clip[start..<start + 24_000])))
  }

  @Test("no value leaves the range of 80 dB under the maximum", arguments: Signal.allCases)
  func range(_ signal: Signal) throws {
    let map = try LogMelExtractor(settings: Self.twoSeconds).logMel(signal.samples(24_000))
    let (lowest, highest) = (map.min()!, map.max()!)
    #expect(lowest >= highest - 80)
    #expect(map.allSatisfy { $0.isFinite })
  }

  @Test(
    "a sample that cannot be one is refused with its index",
    arguments: [Float.nan, -.nan, .signalingNaN, .infinity, -.infinity, 1e13, -3e38],
    [30_000, 20_000])
  func notFinite(_ value: Float, _ count: Int) throws {
    let extractor = try LogMelExtractor(settings: Self.twoSeconds)
    var clip = Signal.noise.samples(count)
    clip[12_345] = value
    clip[12_400] = .nan
    let error = try #require(throws: AudioError.self) { try extractor.logMel(clip) }
    #expect(error.code == .notFinite)
    #expect(error.detail.hasPrefix("sample 12345 is "))
    clip[12_345] = 0
    clip[12_400] = 0
    #expect(try extractor.logMel(clip).allSatisfy { $0.isFinite })
  }

  @Test("the loudest samples that are taken do not overflow")
  func loudest() throws {
    let clip = Signal.noise.samples(24_000).map { $0 < 0 ? Float(-1e12) : 1e12 }
    let map = try LogMelExtractor(settings: Self.twoSeconds).logMel(clip)
    #expect(map.allSatisfy { $0.isFinite && $0 > 100 })
  }

  @Test("librosa's silence is refused; what is hardly more lies on the logarithm's floor")
  func silence() throws {
    var settings = Self.twoSeconds
    settings.silencePeak = 0
    let extractor = try LogMelExtractor(settings: settings)
    let error = try #require(throws: AudioError.self) { try extractor.logMel([0, 0, 0]) }
    #expect(error.code == .silent)
    // librosa's value of every band of silence: 10·log10 of the smallest power
    #expect(try extractor.logMel([1e-30]).allSatisfy { abs($0 + 100) < 1e-5 })
  }

  static let nothing: [(String, [Float], AudioError.Code)] = [
    ("no samples", [], .empty),
    ("zeros", .init(repeating: 0, count: 24_000), .silent),
    ("one zero", [0], .silent),
    ("negative zeros", .init(repeating: -0.0, count: 100), .silent),
    ("−80 dBFS", .init(repeating: 1e-4, count: 24_000), .silent),
    ("subnormal numbers", .init(repeating: .leastNonzeroMagnitude, count: 24_000), .silent),
    ("sound outside the middle", [1] + .init(repeating: 0, count: 25_000), .silent),
  ]

  @Test("a clip without sound is refused", arguments: nothing)
  func noSound(_ name: String, _ clip: [Float], _ code: AudioError.Code) throws {
    let extractor = try LogMelExtractor(settings: Self.twoSeconds)
    let error = try #require(throws: AudioError.self) { try extractor.logMel(clip) }
    #expect(error.code == code)
    #expect(error.description.hasPrefix("cannot make features: "))
  }
}
