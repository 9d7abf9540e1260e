import Audio
import Synthesis
import Testing

@Suite("Clip renderer")
struct ClipRendererTests {
  /// One clip of each style, and those of each production and instrument that come first.
  private static let clips: [ClipPlan] = {
    guard let plan = try? CorpusPlan(clips: 60, seed: 3) else { return [] }
    let first =
      Style.allCases.compactMap { style in plan.clips.first { $0.style == style } }
      + Production.allCases.compactMap { era in plan.clips.first { $0.production == era } }
      + Instrument.allCases.compactMap { player in
        plan.clips.first { $0.players.contains(player) }
      }
    return Set(first.map(\.index)).sorted().map { plan.clips[$0] }
  }()

  @Test("a clip is finite, within ±1, of exact length, and sounds until its end", arguments: clips)
  func samples(clip: ClipPlan) {
    let samples = ClipRenderer.render(clip, seed: 3)
    #expect(samples.count == 642_096)
    #expect(Double(samples.count) / Double(ClipRenderer.sampleRateHz) == ClipRenderer.seconds)
    #expect(samples.allSatisfy { $0.isFinite && abs($0) <= 1 })
    let level = rootMeanSquare(samples[...])
    #expect(level > 0.03 && level < 0.12)
    // No five seconds are silent, wherever the clip begins in its tune.
    for start in stride(from: 0, to: samples.count - 110_250, by: 110_250) {
      #expect(rootMeanSquare(samples[start..<start + 110_250]) > level / 20)
    }
  }

  @Test("the same clip gives the same bytes, another seed others")
  func determinism() throws {
    for clip in Self.clips.prefix(3) {
      let (one, two) = (ClipRenderer.render(clip, seed: 3), ClipRenderer.render(clip, seed: 3))
      #expect(one == two)
      #expect(
        try SoundFileWriter.flac(one, sampleRateHz: ClipRenderer.sampleRateHz)
          == SoundFileWriter.flac(two, sampleRateHz: ClipRenderer.sampleRateHz))
      #expect(ClipRenderer.render(clip, seed: 4) != one)
    }
    #expect(Self.clips.count > 6)
  }

  @Test(
    "an instrument plays the pitch that it is told", arguments: Instrument.allCases, [45, 57, 69])
  func pitch(instrument: Instrument, pitch: Int) {
    let samples = ClipRenderer.tone(instrument, pitch: pitch, seconds: 1.2, seed: 9)
    let period = Double(ClipRenderer.sampleRateHz) / hertz(pitch)
    // Instruments are out of tune by 12 cents at most, notes and players by a few more, and a voice
    // wavers by 38; a string that is a sample too short would be 34 cents sharp at the highest pitch.
    let tolerance = instrument == .voice ? 0.03 : 0.013
    #expect(abs(measuredPeriod(of: samples, near: period) / period - 1) < tolerance)
  }

  @Test(
    "samples that are not finite are refused with their place", arguments: [Float.nan, .infinity])
  func notFinite(value: Float) {
    let error = #expect(throws: SoundFileWriterError.self) {
      try SoundFileWriter.flac([0, 0.5, value], sampleRateHz: 22_050)
    }
    #expect(error?.code == .notFinite)
    #expect(error?.detail.contains("sample 2 is") == true)
  }

  private func rootMeanSquare(_ samples: ArraySlice<Float>) -> Double {
    (samples.reduce(0) { $0 + Double($1 * $1) } / Double(samples.count)).squareRoot()
  }

  private func hertz(_ pitch: Int) -> Double {
    (0..<abs(pitch - 69)).reduce(440) { hertz, _ in
      hertz * (pitch < 69 ? 0.9438743126816935 : 1.0594630943592953)
    }
  }

  /// Where the autocorrelation of the tone's middle is highest within half a tone of `period`,
  /// measured over eight periods for resolution.
  private func measuredPeriod(of samples: [Float], near period: Double) -> Double {
    let middle = 6_000..<14_000
    let lags = Int(period * 8 * 0.97)...Int(period * 8 * 1.03)
    let best = lags.max { correlation(samples, middle, $0) < correlation(samples, middle, $1) }
    return Double(best ?? 0) / 8
  }

  private func correlation(_ samples: [Float], _ range: Range<Int>, _ lag: Int) -> Double {
    range.reduce(0) { $0 + Double(samples[$1] * samples[$1 + lag]) }
  }
}
