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
