/// Everything that is decided about a clip before a note of it is arranged, and all that its tags
/// depend on.

package enum Split: String, Sendable, CaseIterable {
  case train, validation, test
}

package struct ClipPlan: Equatable, Sendable {
  package var index: Int
  package var split: Split
  package var tune: Tune
  package var style: Style
  package var mode: Mode
  /// Felt beats: quarters, or, in 6/8, pairs of eighths.
  package var beatsPerMinute: Double
  package var isSwung: Bool
  package var touch: Touch
  /// MIDI note of the tonic in the middle of the keyboard.
  package var tonic: Int
  package var lead: Instrument
  package var accompaniment: Instrument
  package var pattern: Pattern
  package var bass: Instrument?
  package var drums: Drums?
  package var production: Production

  /// Draws what the style leaves open.
  init(index: Int, split: Split, tune: Tune, style: Style, random: inout RandomSource) {
    let table = style.table
    self.index = index
    self.split = split
    self.tune = tune
    self.style = style
    mode = random.chance(0.75) ? tune.mode : tune.mode == .major ? .minor : .major
    beatsPerMinute = random.uniform(table.beatsPerMinute)
    isSwung = random.chance(table.swing)
    touch = random.pick(Self.touches(mode, beatsPerMinute))
    tonic = 55 + random.index(below: 12)
    lead = random.pick(table.leads)
    accompaniment = random.pick(table.accompaniments)
    pattern = random.pick(table.patterns)
    bass = random.pick(table.basses)
    drums = random.pick(table.drums)
    production = random.pick(table.productions)
  }

  /// Fast major tunes are mostly played crisply, and slow minor ones softly, but nobody has to.
  private static func touches(
    _ mode: Mode, _ beatsPerMinute: Double
  ) -> [(Touch, weight: Double)] {
    if mode == .major, beatsPerMinute >= fast { return [(.crisp, 6), (.plain, 3), (.soft, 1)] }
    if mode == .minor, beatsPerMinute < slow { return [(.crisp, 1), (.plain, 3), (.soft, 6)] }
    return [(.crisp, 2), (.plain, 6), (.soft, 2)]
  }

  /// Felt beats a minute from which on a clip is fast, and below which it is slow.
  static let fast = 118.0
  static let slow = 96.0

  package var players: [Instrument] { [lead, accompaniment] + (bass.map { [$0] } ?? []) }

  package var secondsPerBeat: Double {
    60 / beatsPerMinute / Double(tune.meter.beatsPerPulse)
  }

  /// Notes, chords and strokes that begin in a second, on the average. Of drums and bass every
  /// second one counts: the others fall together with the melody.
  package var onsetsPerSecond: Double {
    let perBeat =
      tune.notesPerBeat + pattern.strokesPerBeat + (drums?.strokesPerBeat ?? 0) / 2
      + (bass == nil ? 0 : 0.5)
    return perBeat / secondsPerBeat
  }

  package var tags: [String] { TagRule.all.filter { $0.holds(self) }.map(\.name) }
}
