/// The players that a style can call for. How they sound is in `Timbre` and `PluckedString`.

package enum Instrument: String, Sendable, CaseIterable {
  case piano, organ, strings, flute, voice, brass, vibraphone
  case acousticGuitar, electricGuitar
  case synthLead, synthPad
  case uprightBass, electricBass, synthBass
}

package enum Drums: String, Sendable, CaseIterable {
  /// A frame drum and a shaker.
  case hand
  /// Bass drum on one and three, snare on two and four, hi-hat eighths.
  case rock
  /// Bass drum on every beat, hi-hat between, clap on two and four.
  case fourOnTheFloor
  /// Ride cymbal with the swung pattern, a soft bass drum.
  case swing

  /// Strokes in a beat, on the average.
  var strokesPerBeat: Double {
    switch self {
    case .hand: 2
    case .rock: 3
    case .fourOnTheFloor: 2.5
    case .swing: 1.75
    }
  }
}

/// How the players touch their instruments.
package enum Touch: String, Sendable, CaseIterable {
  /// Bound notes, little treble.
  case soft
  case plain
  /// Short notes, much treble.
  case crisp

  /// Part of its written length that a note is held.
  var held: Double {
    switch self {
    case .soft: 1.05
    case .plain: 0.92
    case .crisp: 0.4
    }
  }

  /// Decibels added to the treble of all but the drums.
  var treble: Double {
    switch self {
    case .soft: -10
    case .plain: 0
    case .crisp: 7
    }
  }
}

/// How the accompanying instrument plays its chords.
package enum Pattern: String, Sendable, CaseIterable {
  /// The whole chord for as long as it lasts.
  case held
  /// One note of the chord after the other, two a beat.
  case broken
  /// The whole chord on every beat, spread a little, with an upstroke between.
  case strummed
  /// The root's fifth in eighths, short.
  case driven
  /// Short chords between the beats.
  case offbeat
  /// A few syncopated chords.
  case comped

  /// Strokes in a beat, on the average.
  var strokesPerBeat: Double {
    switch self {
    case .held: 0.4
    case .broken: 2
    case .strummed: 1.6
    case .driven: 2
    case .offbeat: 1
    case .comped: 0.9
    }
  }
}
