/// Plays a plan: score, players, mixing desk, recording.
///
/// A clip is a function of (plan, seed); clips can be rendered in any order and on any thread.
package enum ClipRenderer {
  package static let seconds = 29.12
  package static let sampleRateHz = Sound.sampleRateHz
  package static let sampleCount = 642_096

  /// The clip's samples within −1…1, `sampleCount` of them.
  package static func render(_ plan: ClipPlan, seed: UInt64) -> [Float] {
    let score = Score(plan, seconds: seconds, seed: seed)
    var random = RandomSource(seed: seed, purpose: .sound, index: plan.index)

    var mix = Sound(count: sampleCount)
    func add(_ track: Sound, decibels: ClosedRange<Double>) {
      // Tracks are made equally strong first, so that an instrument is known by its sound.
      var track = track
      track.normalize(to: 0.1)
      mix.add(track, gain: Float(Elementary.amplitude(decibels: random.uniform(decibels))))
    }
    add(track(plan.lead, score.lead, &random), decibels: -2...2)
    add(track(plan.accompaniment, score.accompaniment, &random), decibels: -6 ... -1)
    if let bass = plan.bass { add(track(bass, score.bass, &random), decibels: -7 ... -2) }
    Filter.highShelf(1_600, decibels: plan.touch.treble).apply(to: &mix)
    if plan.drums != nil {
      var drums = Sound(count: sampleCount)
      DrumKit(random: &random).play(score.strokes, into: &drums)
      add(drums, decibels: -6 ... -1)
    }

    plan.production.record(&mix, style: plan.style, random: &random)
    finish(&mix, &random)
    return mix.samples
  }

  /// One long note of an instrument, dry, of no particular loudness.
  package static func tone(
    _ instrument: Instrument, pitch: Int, seconds: Double, seed: UInt64
  ) -> [Float] {
    var random = RandomSource(seed: seed, purpose: .sound)
    let note = Note(start: 0, duration: seconds, pitch: pitch, velocity: 1)
    return track(instrument, [note], count: Sound.index(seconds: seconds), &random).samples
  }

  private static func track(
    _ instrument: Instrument, _ notes: [Note], count: Int = sampleCount,
    _ random: inout RandomSource
  ) -> Sound {
    var sound = Sound(count: count)
    if let timbre = instrument.timbre {
      var oscillator = Oscillator(timbre, random: &random)
      oscillator.play(notes, into: &sound, random: &random)
    } else if var string = PluckedString(instrument, random: &random) {
      string.play(notes, into: &sound, random: &random)
    }
    if instrument == .electricGuitar {
      sound.normalize(to: 0.2)
      sound.saturate(drive: Float(random.uniform(5...12)))
      Filter.lowPass(random.uniform(3_200...4_600)).apply(to: &sound)
    }
    return sound
  }

  /// All clips are about equally loud, whatever is in them; the rest is chance.
  private static func finish(_ sound: inout Sound, _ random: inout RandomSource) {
    Filter.highPass(25).apply(to: &sound)
    sound.normalize(to: Float(Elementary.amplitude(decibels: random.uniform(-27 ... -20))))
    let peak = sound.samples.reduce(0) { max($0, abs($1)) }
    if peak > 0.98 { sound.scale(by: 0.98 / peak) }
  }
}
