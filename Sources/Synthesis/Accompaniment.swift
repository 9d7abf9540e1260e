/// What chords and bass play under a few beats of melody.
struct Passage: Sendable {
  let beat: Int
  let beats: Int
  let chord: Chord
  let key: Key
  let clock: BeatClock

  private var last: Double { Double(beat + beats) }

  private func note(_ pitch: Int, at: Double, until: Double, _ velocity: Float) -> Note {
    let start = clock.seconds(at)
    return Note(
      start: start, duration: clock.seconds(until) - start, pitch: pitch, velocity: velocity)
  }

  /// The pitch nearest above `floor` with the same name.
  private static func folded(_ pitch: Int, above floor: Int) -> Int {
    floor + ((pitch - floor) % 12 + 12) % 12
  }

  /// The triad in close position above F♯ below the middle C.
  private var voicing: [Int] {
    chord.semitones(key.mode).map { Self.folded(key.tonic + $0, above: 54) }.sorted()
  }

  private var root: Int { key.tonic + chord.semitones(key.mode)[0] }

  func notes(_ pattern: Pattern, isLow: Bool) -> [Note] {
    let start = Double(beat)
    let halves = (0..<2 * beats).map { start + Double($0) / 2 }
    let spread = clock.seconds(start + 1) - clock.seconds(start)
    switch pattern {
    case .held:
      return power(isLow).map { note($0, at: start, until: last, 0.8) }
    case .broken:
      let order = [0, 2, 1, 2]
      return halves.enumerated().map { place, at in
        note(voicing[order[place % 4]], at: at, until: min(last, at + 1), place == 0 ? 0.9 : 0.7)
      }
    case .strummed:
      return (0..<beats).flatMap { inPassage in
        let at = start + Double(inPassage)
        let down = strum(power(isLow), at: at, until: at + 1, 0.012 / spread, 0.85)
        guard inPassage % 2 == 1 else { return down }
        return down
          + strum(power(isLow).reversed(), at: at + 0.5, until: at + 1, 0.009 / spread, 0.6)
      }
    case .driven:
      return halves.enumerated().flatMap { place, at in
        power(isLow).prefix(2).map { note($0, at: at, until: at + 0.42, place == 0 ? 0.95 : 0.75) }
      }
    case .offbeat:
      return (0..<beats).flatMap { inPassage in
        let at = start + Double(inPassage) + 0.5
        return voicing.map { note($0, at: at, until: at + 0.3, 0.8) }
      }
    case .comped:
      return [0, 1.5].flatMap { offset in
        let at = start + offset
        return voicing.map { note($0, at: at, until: at + (offset == 0 ? 0.9 : 0.4), 0.75) }
      }
    }
  }

  /// The triad, or, for a distorted guitar, root, fifth and octave.
  private func power(_ isLow: Bool) -> [Int] {
    guard isLow else { return voicing }
    let root = Self.folded(root, above: 40)
    return [root, root + 7, root + 12]
  }

  private func strum(
    _ pitches: [Int], at: Double, until: Double, _ gap: Double, _ velocity: Float
  ) -> [Note] {
    pitches.enumerated().map { place, pitch in
      note(pitch, at: at + Double(place) * gap, until: until, velocity)
    }
  }

  func bass(of style: Style, _ player: Instrument) -> [Note] {
    let root = Self.folded(root, above: player == .strings ? 36 : 31)
    let start = Double(beat)
    switch style {
    case .jazz:
      // Walks through the triad, a beat a step.
      let steps = chord.semitones(key.mode)
      return (0..<beats).map { step in
        let at = start + Double(step)
        return note(root + steps[step % 3] - steps[0], at: at, until: at + 0.95, 0.85)
      }
    case .rock:
      return (0..<2 * beats).map { half in
        let at = start + Double(half) / 2
        return note(root, at: at, until: at + 0.45, 0.85)
      }
    case .dance:
      return (0..<beats).map { step in
        let at = start + Double(step) + 0.5
        return note(root + (step % 2) * 12, at: at, until: at + 0.4, 0.9)
      }
    case .folk:
      return [
        note(root, at: start, until: start + 0.9, 0.9),
        note(root + 7, at: start + 1, until: last, 0.7),
      ]
    case .classical, .ambient:
      return [note(root, at: start, until: last, 0.8)]
    }
  }
}

extension Drums {
  /// The strokes of one beat: when within the beat, what, how hard.
  func strokes(beat: Int, of meter: Meter) -> [(part: Double, DrumSound, velocity: Float)] {
    let inGroup = beat % meter.beatsPerChord
    let (isFirst, isBack) = (inGroup == 0, inGroup == meter.beatsPerChord - 1)
    switch self {
    case .hand:
      return [(0, isFirst ? .frameDrum : .shaker, 0.8), (0.5, .shaker, 0.5)]
    case .rock:
      let main: DrumSound? = isFirst ? .bassDrum : isBack ? .snare : nil
      return (main.map { [(0, $0, 0.95)] } ?? []) + [(0, .hiHat, 0.5), (0.5, .hiHat, 0.35)]
    case .fourOnTheFloor:
      return [(0, .bassDrum, 1), (0.5, .hiHat, 0.6)] + (isBack ? [(0, .clap, 0.8)] : [])
    case .swing:
      return [(0, .ride, 0.8)] + (isBack ? [(0.5, .ride, 0.5), (0, .hiHat, 0.5)] : [])
        + (beat == 0 ? [(0, .bassDrum, 0.4)] : [])
    }
  }
}
