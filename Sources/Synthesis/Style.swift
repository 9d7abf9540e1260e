/// A style is a table of what its clips may be played on, how, how fast, and how they were recorded.
///
/// The columns overlap between the styles on purpose: no instrument gives a style away alone.

package enum Style: String, Sendable, CaseIterable {
  case folk, rock, dance, jazz, classical, ambient
}

/// The sound of the studio, or of the record.
package enum Production: String, Sendable, CaseIterable {
  case plain
  /// A shellac disc: telephone bandwidth, crackle.
  case shellac
  /// Tape: dull, slowly wavering, with an echo.
  case tape
  /// Early digital: chorus, bright, a long plate reverberation.
  case digital
}

struct StyleTable: Sendable {
  /// Part of the clips.
  var share: Double
  var beatsPerMinute: ClosedRange<Double>
  /// Probability of a long-short division of the beat.
  var swing = 0.0
  var leads: [(Instrument, weight: Double)]
  var accompaniments: [(Instrument, weight: Double)]
  var patterns: [(Pattern, weight: Double)]
  var basses: [(Instrument?, weight: Double)]
  var drums: [(Drums?, weight: Double)]
  var productions: [(Production, weight: Double)]
}

extension Style {
  var table: StyleTable {
    switch self {
    case .folk:
      StyleTable(
        share: 0.23, beatsPerMinute: 76...150,
        leads: [(.flute, 3), (.strings, 3), (.acousticGuitar, 3), (.voice, 3)],
        accompaniments: [(.acousticGuitar, 7), (.organ, 2), (.piano, 2)],
        patterns: [(.strummed, 4), (.broken, 4), (.held, 1)],
        basses: [(nil, 3), (.uprightBass, 3)],
        drums: [(nil, 7), (.hand, 3)],
        productions: [(.plain, 5), (.shellac, 3), (.tape, 3)])
    case .rock:
      StyleTable(
        share: 0.20, beatsPerMinute: 96...164,
        leads: [(.electricGuitar, 4), (.voice, 3), (.organ, 2), (.piano, 1)],
        accompaniments: [(.electricGuitar, 7), (.piano, 2), (.organ, 2)],
        patterns: [(.driven, 6), (.strummed, 2), (.held, 1)],
        basses: [(.electricBass, 1)],
        drums: [(.rock, 8), (nil, 1)],
        productions: [(.plain, 4), (.tape, 4), (.digital, 3)])
    case .dance:
      StyleTable(
        share: 0.14, beatsPerMinute: 112...142,
        leads: [(.synthLead, 5), (.voice, 3), (.piano, 2), (.flute, 1)],
        accompaniments: [(.synthPad, 4), (.piano, 2), (.strings, 2), (.organ, 1)],
        patterns: [(.offbeat, 5), (.held, 2), (.broken, 2)],
        basses: [(.synthBass, 1)],
        drums: [(.fourOnTheFloor, 1)],
        productions: [(.plain, 6), (.digital, 4), (.tape, 1)])
    case .jazz:
      StyleTable(
        share: 0.14, beatsPerMinute: 84...184, swing: 0.9,
        leads: [(.brass, 4), (.vibraphone, 2), (.piano, 3), (.acousticGuitar, 2), (.flute, 1)],
        accompaniments: [(.piano, 6), (.acousticGuitar, 2), (.organ, 2)],
        patterns: [(.comped, 6), (.offbeat, 1), (.strummed, 1)],
        basses: [(.uprightBass, 1)],
        drums: [(.swing, 8), (nil, 2)],
        productions: [(.plain, 4), (.shellac, 4), (.tape, 4)])
    case .classical:
      StyleTable(
        share: 0.20, beatsPerMinute: 60...144,
        leads: [(.strings, 4), (.flute, 3), (.piano, 3), (.voice, 1), (.brass, 1)],
        accompaniments: [(.strings, 3), (.piano, 4), (.organ, 2)],
        patterns: [(.broken, 4), (.held, 4)],
        basses: [(.strings, 1), (nil, 3)],
        drums: [(nil, 1)],
        productions: [(.plain, 7), (.shellac, 2), (.tape, 2)])
    case .ambient:
      StyleTable(
        share: 0.09, beatsPerMinute: 50...84,
        leads: [(.voice, 3), (.flute, 2), (.vibraphone, 3), (.synthLead, 1), (.piano, 2)],
        accompaniments: [(.synthPad, 5), (.strings, 3), (.organ, 2)],
        patterns: [(.held, 8), (.broken, 1)],
        basses: [(nil, 1), (.synthBass, 1)],
        drums: [(nil, 9), (.hand, 1)],
        productions: [(.plain, 5), (.digital, 5)])
    }
  }
}
