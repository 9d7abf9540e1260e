import Audio
import Testing

struct GoldenTests {
  /// librosa transforms in double precision, this module in single, which errs by about 1e-8 of a
  /// frame's strongest bin: under 1e-3 dB, save in bands 70 dB and more under the clip's maximum.
  @Test("maps of signals equal librosa's", arguments: Golden.signals)
  func signals(_ golden: Golden) throws {
    let signal = try #require(golden.signal)
    let extractor = try LogMelExtractor(settings: golden.settings)
    #expect(golden.shape == [extractor.settings.melBands, extractor.settings.frames])

    let map = try extractor.logMel(signal.samples(golden.count ?? 0))

    let difference = golden.difference(from: map)
    #expect(difference.largest < 1e-3)
    #expect(difference.largestNearFloor < 4e-3)
    #expect(abs(map.max()! - golden.maximum) < 1e-4)
  }

  /// On both sides libsoxr's high quality resamples, but in other builds and cut into other blocks,
  /// and an MP3 is decoded by another mpg123. That is rounding too, and may double the difference.
  @Test("maps of sound files equal librosa's", arguments: Golden.files)
  func files(_ golden: Golden) throws {
    let extractor = try LogMelExtractor(settings: golden.settings)

    let map = try extractor.features(ofFile: golden.path)

    let difference = golden.difference(from: map)
    let tolerance: Float = golden.rate == extractor.settings.sampleRateHz ? 1e-3 : 2e-3
    #expect(difference.mean < 1e-4)
    #expect(difference.largest < tolerance)
    #expect(difference.largestNearFloor < 4 * tolerance)
    #expect(abs(map.max()! - golden.maximum) < 1e-4)
  }
}
