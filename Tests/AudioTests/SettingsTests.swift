import Audio
import Foundation
import Testing

struct SettingsTests {
  @Test("the defaults are the published ones")
  func defaults() throws {
    let settings = FeatureSettings()
    #expect(settings.samples == 349_440)
    #expect(settings.frames == 1_366)
    #expect(settings.values == 96 * 1_366)
    try settings.validate()
  }

  /// Stores and checkpoints carry a hash of these lines: a change here makes all of them foreign.
  @Test("names, values and order of the entries stay as they are")
  func entries() {
    let lines = FeatureSettings().entries.map { "\($0.name)=\($0.value)" }
    #expect(
      lines == [
        "sampleRateHz=12000", "durationSeconds=29.12", "windowLength=512", "hopLength=256",
        "melBands=96", "lowestHz=0.0", "highestHz=6000.0", "decibelFloor=1e-10",
        "dynamicRangeDecibels=80.0", "silencePeak=0.0001", "channels=mean", "resampler=soxr HQ",
        "excerpt=centre", "window=periodic Hann", "padding=reflect, frames centred",
        "spectrum=power", "melScale=Slaney, area-normalized", "decibels=10 log10, re 1.0",
      ])
  }

  /// A setting that came later shows only where it is not what it was before.
  @Test("a later setting is an entry where it is used")
  func laterEntries() {
    var settings = FeatureSettings()
    settings.melExponent = 2
    #expect(settings.entries.map(\.name) == FeatureSettings().entries.map(\.name) + ["melExponent"])
    #expect(settings.entries.last?.value == "2.0")
  }

  struct Change: Sendable, CustomTestStringConvertible {
    let name: String
    let apply: @Sendable (inout FeatureSettings) -> Void
    var testDescription: String { name }
  }

  static let sensible = [
    Change(name: "sampleRateHz") { $0.sampleRateHz = 16_000 },
    Change(name: "durationSeconds") { $0.durationSeconds = 10 },
    Change(name: "windowLength") { $0.windowLength = 1_024 },
    Change(name: "hopLength") { $0.hopLength = 128 },
    Change(name: "melBands") { $0.melBands = 64 },
    Change(name: "lowestHz") { $0.lowestHz = 30 },
    Change(name: "highestHz") { $0.highestHz = 5_000 },
    Change(name: "melExponent") { $0.melExponent = 2 },
    Change(name: "decibelFloor") { $0.decibelFloor = 1e-7 },
    Change(name: "dynamicRangeDecibels") { $0.dynamicRangeDecibels = 60 },
    Change(name: "silencePeak") { $0.silencePeak = 0 },
  ]

  @Test("every setting shows in the differences, and survives JSON", arguments: sensible)
  func differences(_ change: Change) throws {
    var settings = FeatureSettings()
    change.apply(&settings)
    let differences = FeatureSettings().differences(from: settings)
    #expect(differences.count == 1)
    #expect(differences.first?.hasPrefix(change.name + " is ") == true)
    let decoded = try JSONDecoder().decode(
      FeatureSettings.self, from: JSONEncoder().encode(settings))
    #expect(decoded == settings)
    _ = try LogMelExtractor(settings: settings)
  }

  @Test("keys that are not there keep their defaults")
  func partialJSON() throws {
    let decoded = try JSONDecoder().decode(
      FeatureSettings.self, from: Data(#"{"melBands": 40}"#.utf8))
    #expect(FeatureSettings().differences(from: decoded) == ["melBands is 96 here and 40 there"])
  }

  static let nonsense = [
    Change(name: "sampleRateHz") { $0.sampleRateHz = 0 },
    Change(name: "sampleRateHz") { $0.sampleRateHz = .max },
    Change(name: "windowLength") { $0.windowLength = 511 },
    Change(name: "windowLength") { $0.windowLength = -512 },
    Change(name: "windowLength") { $0.windowLength = 1 << 20 },
    Change(name: "hopLength") { $0.hopLength = 0 },
    Change(name: "hopLength") { $0.hopLength = 513 },
    Change(name: "durationSeconds") { $0.durationSeconds = .nan },
    Change(name: "durationSeconds") { $0.durationSeconds = .infinity },
    Change(name: "durationSeconds") { $0.durationSeconds = -1 },
    Change(name: "durationSeconds") { $0.durationSeconds = 256.0 / 12_000 },
    Change(name: "lowestHz") { $0.lowestHz = -1 },
    Change(name: "lowestHz") { $0.lowestHz = 6_000 },
    Change(name: "lowestHz") { $0.lowestHz = .nan },
    Change(name: "highestHz") { $0.highestHz = 6_001 },
    Change(name: "melBands") { $0.melBands = 0 },
    Change(name: "melBands") { $0.melBands = 300 },
    Change(name: "melExponent") { $0.melExponent = 0.5 },
    Change(name: "melExponent") { $0.melExponent = .nan },
    Change(name: "decibelFloor") { $0.decibelFloor = 0 },
    Change(name: "dynamicRangeDecibels") { $0.dynamicRangeDecibels = 0 },
    Change(name: "dynamicRangeDecibels") { $0.dynamicRangeDecibels = .nan },
    Change(name: "silencePeak") { $0.silencePeak = -0.1 },
  ]

  @Test("settings that cannot be meant are refused by name", arguments: nonsense)
  func refusals(_ change: Change) throws {
    var settings = FeatureSettings()
    change.apply(&settings)
    let error = try #require(throws: AudioError.self) { try LogMelExtractor(settings: settings) }
    #expect(error.code == .settings)
    #expect(error.description.contains(change.name + " is "))
  }
}
