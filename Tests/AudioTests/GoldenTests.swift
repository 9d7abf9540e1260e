import Audio
import Testing

struct GoldenTests {
  /// Both sides transform in double precision; librosa then rounds the spectrum to single.
  @Test("maps of signals equal librosa's", arguments: Golden.signals)
  func signals(_ golden: Golden) throws {
    let signal = try #require(golden.signal)
    let extractor = try LogMelExtractor(settings: golden.settings)
    #expect(golden.shape == [extractor.settings.melBands, extractor.settings.frames])

    let map = try extractor.logMel(signal.samples(golden.count))
    #expect(golden.difference(from: map).largest < 2e-5)
    #expect(abs(map.max()! - golden.maximum) < 2e-5)
  }

  /// Equal samples give equal maps, but not all samples are equal: another build of libvorbis rounds
  /// differently (1e-4 dB). What is resampled differs more: on both sides libsoxr's high quality does
  /// it, in single precision, but what is cut out of a long file is divided into other blocks.
  @Test("maps of sound files equal librosa's", arguments: Golden.files)
  func files(_ golden: Golden) throws {
    let folder = try TestFolder()
    let path = try golden.place(in: folder)
    let extractor = try LogMelExtractor(settings: golden.settings)

    let map = try extractor.features(ofFile: path)

    let difference = golden.difference(from: map)
    let resampled = golden.rate != extractor.settings.sampleRateHz
    #expect(difference.mean < (resampled ? 1e-4 : 1e-5))
    #expect(difference.largest < (resampled ? 2e-3 : 1e-3))
    #expect(abs(map.max()! - golden.maximum) < 1e-4)
  }
}
