/// What each tag says about a clip. A tag is a rule over the plan, so it is never a matter of taste.
///
/// | category | tag | holds if |
/// |---|---|---|
/// | genre | folk, rock, dance, jazz, classical, ambient | the clip was arranged in that style |
/// | mood | happy | two of: major key; 118 felt beats a minute or more; crisp touch |
/// | mood | sad | two of: minor key; fewer than 96 felt beats a minute; soft touch |
/// | mood | calm | fewer than 4 onsets a second |
/// | mood | energetic | 7.5 onsets a second or more |
/// | instrument | piano, organ, strings, flute, voice | it plays melody, chords or bass |
/// | instrument | guitar | an acoustic or electric guitar plays melody or chords |
/// | instrument | drums | anything is struck |
/// | era | 30s | the recording is a shellac disc: narrow band, crackle |
/// | era | 60s | the recording is on tape: dull, wavering, an echo |
/// | era | 80s | the recording is early digital: chorus, bright, long reverberation |
package struct TagRule: Sendable {
  package enum Category: String, Sendable, CaseIterable {
    case genre, mood, instrument, era
  }

  package let category: Category
  package let name: String
  package let holds: @Sendable (ClipPlan) -> Bool

  init(_ category: Category, _ name: String, _ holds: @escaping @Sendable (ClipPlan) -> Bool) {
    self.category = category
    self.name = name
    self.holds = holds
  }

  package static let all: [TagRule] =
    Style.allCases.map { style in TagRule(.genre, style.rawValue) { $0.style == style } } + [
      TagRule(.mood, "happy") {
        twoOf($0.mode == .major, $0.beatsPerMinute >= ClipPlan.fast, $0.touch == .crisp)
      },
      TagRule(.mood, "sad") {
        twoOf($0.mode == .minor, $0.beatsPerMinute < ClipPlan.slow, $0.touch == .soft)
      },
      TagRule(.mood, "calm") { $0.onsetsPerSecond < 4 },
      TagRule(.mood, "energetic") { $0.onsetsPerSecond >= 7.5 },
      TagRule(.instrument, "piano") { $0.players.contains(.piano) },
      TagRule(.instrument, "organ") { $0.players.contains(.organ) },
      TagRule(.instrument, "strings") { $0.players.contains(.strings) },
      TagRule(.instrument, "flute") { $0.players.contains(.flute) },
      TagRule(.instrument, "voice") { $0.players.contains(.voice) },
      TagRule(.instrument, "guitar") {
        $0.players.contains(.acousticGuitar) || $0.players.contains(.electricGuitar)
      },
      TagRule(.instrument, "drums") { $0.drums != nil },
      TagRule(.era, "30s") { $0.production == .shellac },
      TagRule(.era, "60s") { $0.production == .tape },
      TagRule(.era, "80s") { $0.production == .digital },
    ]

  private static func twoOf(_ signs: Bool...) -> Bool { signs.count { $0 } >= 2 }
}
