/// Chords for a melody, by a simple rule.
///
/// Each span of `Meter.beatsPerChord` beats gets the triad of the scale that covers most of its
/// melody, with some preference for the common triads, for staying, and for the tonic at both ends.
struct Chord: Equatable, Sendable {
  /// Step of the scale that the triad stands on, 0…6.
  var root: Int
  /// True for the dominant of a minor key, whose third is raised.
  var isRaised = false

  /// Semitones above the tonic of root, third and fifth.
  func semitones(_ mode: Mode) -> [Int] {
    [0, 2, 4].map { step in
      mode.semitones(degree: root + step) + (isRaised && step == 2 ? 1 : 0)
    }
  }
}

enum Harmony {
  /// How welcome a triad is, in beats of melody that it would have to cover otherwise.
  private static func preference(_ root: Int, _ mode: Mode) -> Double {
    switch (mode, root) {
    case (_, 0): 0.5
    case (_, 4): 0.4
    case (_, 3): 0.35
    case (.major, 5): 0.1
    case (.minor, 2), (.minor, 5), (.minor, 6): 0.2
    case (.major, 1): 0.05
    default: -0.5
    }
  }

  /// One chord for each span of the tune.
  static func chords(of tune: Tune, mode: Mode) -> [Chord] {
    let spans = tune.meter.beatsPerBar * tune.bars.count / tune.meter.beatsPerChord
    var chords: [Chord] = []
    for span in 0..<spans {
      let weights = coverage(of: tune, span: span)
      var best = (root: 0, score: -Double.infinity)
      for root in 0..<7 {
        var score = preference(root, mode)
        for step in [0, 2, 4] { score += weights[(root + step) % 7] }
        if chords.last?.root == root { score += 0.3 }
        if root == 0, span == 0 || span == spans - 1 { score += 2 }
        if root == 4, span == spans - 2 { score += 0.5 }
        if score > best.score { best = (root, score) }
      }
      chords.append(Chord(root: best.root, isRaised: mode == .minor && best.root == 4))
    }
    return chords
  }

  /// Beats of melody on each step of the scale within a span; what sounds at its start counts twice.
  private static func coverage(of tune: Tune, span: Int) -> [Double] {
    let length = tune.meter.beatsPerChord * Tune.ticksPerBeat
    let range = span * length..<(span + 1) * length
    var weights = [Double](repeating: 0, count: 7)
    var start = 0
    for note in tune.notes {
      let overlap = min(start + note.ticks, range.upperBound) - max(start, range.lowerBound)
      if let degree = note.degree, overlap > 0 {
        let beats = Double(overlap) / Double(Tune.ticksPerBeat)
        weights[(degree + 70) % 7] += start <= range.lowerBound ? 2 * beats : beats
      }
      start += note.ticks
    }
    return weights
  }
}
