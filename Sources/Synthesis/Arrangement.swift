/// Turns a plan into a score: the tune from some bar on, over and over, with chords, bass and drums.

extension Score {
  /// - Parameter seconds: how long the clip lasts; notes that begin later, or before the clip does, are left out
  init(_ plan: ClipPlan, seconds: Double, seed: UInt64) {
    var random = RandomSource(seed: seed, purpose: .arrangement, index: plan.index)
    let clock = BeatClock(plan, shift: random.uniform(-0.4...0))
    let key = Key(tonic: plan.tonic, mode: plan.mode, isNative: plan.mode == plan.tune.mode)
    let chords = Harmony.chords(of: plan.tune, mode: plan.mode)
    let meter = plan.tune.meter
    let spansPerBar = meter.beatsPerBar / meter.beatsPerChord

    var bar = random.index(below: plan.tune.bars.count)
    var beat = 0
    while clock.seconds(Double(beat)) < seconds {
      addLead(plan.tune.bars[bar], from: beat, plan, key, clock)
      for span in 0..<spansPerBar {
        let passage = Passage(
          beat: beat + span * meter.beatsPerChord, beats: meter.beatsPerChord,
          chord: chords[bar * spansPerBar + span], key: key, clock: clock)
        let isLow = plan.accompaniment == .electricGuitar
        accompaniment += passage.notes(plan.pattern, isLow: isLow).map { note in
          var note = note
          if plan.touch == .crisp { note.duration *= 0.6 }
          return note
        }
        if let player = plan.bass { bass += passage.bass(of: plan.style, player) }
      }
      if let drums = plan.drums {
        for inBar in 0..<meter.beatsPerBar {
          strokes += drums.strokes(beat: inBar, of: meter).map { part, sound, velocity in
            Stroke(
              start: clock.seconds(Double(beat + inBar) + part), sound: sound, velocity: velocity)
          }
        }
      }
      beat += meter.beatsPerBar
      bar = (bar + 1) % plan.tune.bars.count
    }
    play(by: &random, precisely: plan.style == .dance, until: seconds)
  }

  private mutating func addLead(
    _ bar: [TuneNote], from beat: Int, _ plan: ClipPlan, _ key: Key, _ clock: BeatClock
  ) {
    var tick = beat * Tune.ticksPerBeat
    for note in bar {
      let (start, end) = (clock.seconds(tick: tick), clock.seconds(tick: tick + note.ticks))
      if let degree = note.degree {
        let pitch = key.pitch(degree, alteration: note.alteration) + plan.lead.register
        let accent: Float = tick % (Tune.ticksPerBeat * 2) == 0 ? 0.9 : 0.75
        let held = (end - start) * plan.touch.held
        lead.append(Note(start: start, duration: held, pitch: pitch, velocity: accent))
      }
      tick += note.ticks
    }
  }

  /// Nobody plays exactly on the beat, and no two strokes are equally loud.
  private mutating func play(
    by random: inout RandomSource, precisely: Bool, until seconds: Double
  ) {
    let spread = precisely ? 0.001 : 0.009
    func vary(_ notes: inout [Note]) {
      notes.removeAll { $0.start < 0 || $0.start >= seconds }
      for place in notes.indices {
        notes[place].start = max(0, notes[place].start + random.uniform(-spread...spread))
        notes[place].velocity *= Float(random.uniform(0.82...1.0))
      }
    }
    vary(&lead)
    vary(&accompaniment)
    vary(&bass)
    strokes.removeAll { $0.start < 0 || $0.start >= seconds }
    for place in strokes.indices {
      let start = strokes[place].start + random.uniform(-spread...spread) / 2
      strokes[place].start = max(0, start)
      strokes[place].velocity *= Float(random.uniform(0.8...1.0))
    }
  }
}

/// When a beat is due. Swung beats are divided 2 : 1.
struct BeatClock: Sendable {
  private let secondsPerBeat: Double
  private let isSwung: Bool
  private let shift: Double

  init(_ plan: ClipPlan, shift: Double) {
    secondsPerBeat = plan.secondsPerBeat
    isSwung = plan.isSwung
    self.shift = shift
  }

  func seconds(_ beat: Double) -> Double {
    let whole = beat.rounded(.down)
    var part = beat - whole
    if isSwung { part = part < 0.5 ? part * 4 / 3 : 2 / 3 + (part - 0.5) * 2 / 3 }
    return (whole + part) * secondsPerBeat + shift
  }

  func seconds(tick: Int) -> Double { seconds(Double(tick) / Double(Tune.ticksPerBeat)) }
}

/// Degrees of a scale to keys of a keyboard.
struct Key: Sendable {
  let tonic: Int
  let mode: Mode
  /// Whether the tune was written in this mode. If not, its accidentals are left out: a raised
  /// seventh of a minor tune is what the major scale has anyway.
  let isNative: Bool

  func pitch(_ degree: Int, alteration: Int) -> Int {
    tonic + mode.semitones(degree: degree) + (isNative ? alteration : 0)
  }
}

extension Instrument {
  /// Semitones between the written and the sounding melody.
  var register: Int {
    switch self {
    case .flute, .vibraphone: 12
    default: 0
    }
  }
}
