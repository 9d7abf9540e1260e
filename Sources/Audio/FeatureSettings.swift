/// Every constant that decides what a log-mel map contains.
///
/// The defaults are those of Choi et al. (arXiv:1609.04243). `entries` lists them all, in a fixed
/// order: it is written into stores and checkpoints and hashed there, so that features made
/// differently are recognized, and `differences` says which setting differs.

package struct FeatureSettings: Sendable, Equatable, Codable {
  /// Rate to which every sound is resampled.
  package var sampleRateHz = 12_000
  /// Length of the excerpt from the clip's middle; a shorter clip gets silence on both sides.
  package var durationSeconds = 29.12
  /// Samples under the Hann window, which is also the length of the Fourier transform; even.
  package var windowLength = 512
  /// Samples from one frame to the next.
  package var hopLength = 256
  /// Rows of the map.
  package var melBands = 96
  /// Lower edge of the first mel band.
  package var lowestHz = 0.0
  /// Upper edge of the last mel band.
  package var highestHz = 6_000.0
  /// What the power in a band is raised to before the logarithm.
  package var melExponent = 1.0
  /// Mel power, so raised, under which the logarithm stops to follow, re 1.0.
  package var decibelFloor = 1e-10
  /// Distance from the clip's maximum to the lowest value in its map.
  package var dynamicRangeDecibels = 80.0
  /// A clip without a sample above this magnitude is silent, and refused (1e-4 is −80 dBFS).
  package var silencePeak = 1e-4

  package init() {}

  /// Samples of an excerpt: 349,440 by default.
  package var samples: Int {
    Int(exactly: (durationSeconds * Double(sampleRateHz)).rounded()) ?? 0
  }

  /// Columns of the map, one every `hopLength` samples, the first centred on sample 0: 1366 by
  /// default.
  package var frames: Int { 1 + samples / max(1, hopLength) }

  /// Values of the map, `[melBands, frames]`.
  package var values: Int { melBands * frames }

  /// Name and value of everything that decides a map's content, the definitions that cannot be
  /// chosen included, in an order that never changes.
  ///
  /// What `implied` says is left out: it came later, and stores without it are still what they were.
  package var entries: [(name: String, value: String)] {
    allEntries.filter { Self.implied[$0.name] != $0.value }
  }

  /// Values of entries that are not there.
  package static let implied = ["melExponent": "1.0"]

  private var allEntries: [(name: String, value: String)] {
    [
      ("sampleRateHz", "\(sampleRateHz)"),
      ("durationSeconds", "\(durationSeconds)"),
      ("windowLength", "\(windowLength)"),
      ("hopLength", "\(hopLength)"),
      ("melBands", "\(melBands)"),
      ("lowestHz", "\(lowestHz)"),
      ("highestHz", "\(highestHz)"),
      ("decibelFloor", "\(decibelFloor)"),
      ("dynamicRangeDecibels", "\(dynamicRangeDecibels)"),
      ("silencePeak", "\(silencePeak)"),
      ("channels", "mean"),
      ("resampler", "soxr HQ"),
      ("excerpt", "centre"),
      ("window", "periodic Hann"),
      ("padding", "reflect, frames centred"),
      ("spectrum", "power"),
      ("melScale", "Slaney, area-normalized"),
      ("decibels", "10 log10, re 1.0"),
      ("melExponent", "\(melExponent)"),
    ]
  }

  /// One sentence for every setting in which `other` differs; empty if the features are the same.
  package func differences(from other: FeatureSettings) -> [String] {
    zip(allEntries, other.allEntries).filter { $0.value != $1.value }
      .map { "\($0.name) is \($0.value) here and \($1.value) there" }
  }
}

// MARK: - Settings that cannot be meant

extension FeatureSettings {
  /// - Throws: `AudioError.settings`, naming the setting, its value and what is allowed
  package func validate() throws(AudioError) {
    func require(_ sensible: Bool, _ name: String, _ value: Any, _ rule: String) throws(AudioError)
    {
      guard !sensible else { return }
      throw AudioError(
        .settings, attempt: "make features", detail: "\(name) is \(value), but \(rule)")
    }
    try require(
      SoundFile.sampleRatesHz.contains(sampleRateHz), "sampleRateHz", sampleRateHz,
      "must be from \(SoundFile.sampleRatesHz.lowerBound) to \(SoundFile.sampleRatesHz.upperBound)")
    try require(
      windowLength.isMultiple(of: 2) && (4...65_536).contains(windowLength), "windowLength",
      windowLength, "must be even and from 4 to 65536")
    try require(
      (1...windowLength).contains(hopLength), "hopLength", hopLength,
      "must be from 1 to windowLength (\(windowLength)), or samples between the frames are lost")
    try require(
      durationSeconds > 0 && durationSeconds <= 600, "durationSeconds", durationSeconds,
      "must be above 0 and at most 600")
    try require(
      samples > windowLength / 2, "durationSeconds", durationSeconds,
      "must give more than half a window (\(windowLength / 2) samples), which the padding reflects")
    try require(
      lowestHz >= 0 && lowestHz < highestHz, "lowestHz", lowestHz,
      "must be at least 0 and below highestHz (\(highestHz))")
    try require(
      highestHz <= Double(sampleRateHz) / 2, "highestHz", highestHz,
      "must be at most half the sample rate (\(Double(sampleRateHz) / 2))")
    try require(
      (1...4_096).contains(melBands), "melBands", melBands, "must be from 1 to 4096")
    try require(
      melExponent >= 1 && melExponent <= 10, "melExponent", melExponent, "must be from 1 to 10")
    try require(
      decibelFloor >= 1e-30 && decibelFloor <= 1, "decibelFloor", decibelFloor,
      "must be from 1e-30 to 1")
    try require(
      dynamicRangeDecibels > 0 && dynamicRangeDecibels <= 1_000, "dynamicRangeDecibels",
      dynamicRangeDecibels, "must be above 0 and at most 1000")
    try require(
      silencePeak >= 0 && silencePeak < 1, "silencePeak", silencePeak,
      "must be at least 0 and below 1")
  }
}

// MARK: - Codable

extension FeatureSettings {
  /// Keys that are not there keep their defaults. Validates.
  package init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    func read<Value: Decodable>(_ key: CodingKeys, into value: inout Value) throws {
      value = try keys.decodeIfPresent(Value.self, forKey: key) ?? value
    }
    try read(.sampleRateHz, into: &sampleRateHz)
    try read(.durationSeconds, into: &durationSeconds)
    try read(.windowLength, into: &windowLength)
    try read(.hopLength, into: &hopLength)
    try read(.melBands, into: &melBands)
    try read(.lowestHz, into: &lowestHz)
    try read(.highestHz, into: &highestHz)
    try read(.melExponent, into: &melExponent)
    try read(.decibelFloor, into: &decibelFloor)
    try read(.dynamicRangeDecibels, into: &dynamicRangeDecibels)
    try read(.silencePeak, into: &silencePeak)
    try validate()
  }
}
