/// A melody that belongs to nobody: scale degrees and lengths, without key, mode or tempo.

/// Which of the two scales the degrees mean.
package enum Mode: String, Sendable, CaseIterable {
  case major
  /// Natural minor; raised sixths and sevenths are written out in the tunes.
  case minor

  /// Semitones above the tonic of degrees 0…6.
  var semitones: [Int] {
    switch self {
    case .major: [0, 2, 4, 5, 7, 9, 11]
    case .minor: [0, 2, 3, 5, 7, 8, 10]
    }
  }

  /// Semitones above the tonic of any degree: 7 is an octave above 0, and −7 one below.
  package func semitones(degree: Int) -> Int {
    let octave = degree >= 0 ? degree / 7 : -((6 - degree) / 7)
    return semitones[degree - 7 * octave] + 12 * octave
  }
}

/// A note of a tune, or a rest.
package struct TuneNote: Equatable, Sendable {
  /// Steps of the scale above the tonic, from 0; nil is a rest.
  package var degree: Int?
  /// Semitones that an accidental adds.
  package var alteration: Int
  /// Length in ticks.
  package var ticks: Int

  package init(degree: Int?, alteration: Int = 0, ticks: Int) {
    self.degree = degree
    self.alteration = alteration
    self.ticks = ticks
  }
}

package struct Tune: Equatable, Sendable {
  /// A beat has 24 ticks: enough for dotted eighths and triplets of a quarter.
  package static let ticksPerBeat = 24

  package let title: String
  package let mode: Mode
  package let meter: Meter
  package let bars: [[TuneNote]]

  package var notes: [TuneNote] { bars.flatMap { $0 } }
  package var ticks: Int { bars.count * meter.beatsPerBar * Tune.ticksPerBeat }

  /// Melody notes in a beat, on the average.
  package var notesPerBeat: Double {
    Double(notes.count { $0.degree != nil }) * Double(Tune.ticksPerBeat) / Double(ticks)
  }
}

/// Beats in a bar, and the groups that beats come in.
package enum Meter: Int, Sendable, CaseIterable {
  /// 4/4, and 2/4 written in fours.
  case four = 4
  /// 3/4.
  case three = 3
  /// 6/8: its beats are eighths.
  case six = 6

  package var beatsPerBar: Int { rawValue }

  /// How many beats one chord lasts.
  package var beatsPerChord: Int { self == .four ? 2 : 3 }

  /// Written beats in a felt one: eighths pass twice as fast as quarters.
  package var beatsPerPulse: Int { self == .six ? 2 : 1 }
}
