/// Plays notes with a `Timbre`: two wave tables, of which the bright one gives way to the dull one.
///
/// Loudness, pitch and colour change once in 32 samples; between, loudness moves in a straight line.
struct Oscillator {
  private static let block = 32

  private let timbre: Timbre
  /// Cents that the whole instrument is out of tune.
  private let detune: Double
  private let vibratoHertz: Double
  private var noise: NoiseSource
  private var tables: [(bright: WaveTable, dull: WaveTable)?]

  init(_ timbre: Timbre, random: inout RandomSource) {
    self.timbre = timbre
    detune = random.uniform(-12...12)
    vibratoHertz = random.uniform(4.6...6.4)
    noise = NoiseSource(&random)
    tables = Array(repeating: nil, count: 128)
  }

  mutating func play(_ notes: [Note], into sound: inout Sound, random: inout RandomSource) {
    for note in notes {
      for player in 0..<timbre.unison {
        let place = Double(player) - Double(timbre.unison - 1) / 2
        let cents = detune + place * timbre.unisonCents + random.uniform(-3...3)
        play(note, cents: cents, phase: UInt32(truncatingIfNeeded: random.next()), into: &sound)
      }
    }
  }

  private mutating func tables(of pitch: Int) -> (bright: WaveTable, dull: WaveTable) {
    if let known = tables[pitch] { return known }
    let hertz = Elementary.hertz(midi: Double(pitch))
    let bright = WaveTable(hertz: hertz, harmonics: timbre.bright)
    let dull =
      timbre.mellowing == nil ? bright : WaveTable(hertz: hertz, harmonics: timbre.dull)
    tables[pitch] = (bright, dull)
    return (bright, dull)
  }

  private mutating func play(_ note: Note, cents: Double, phase: UInt32, into sound: inout Sound) {
    let (bright, dull) = tables(of: note.pitch)
    let start = Sound.index(seconds: note.start)
    let held = max(1, Sound.index(seconds: max(note.duration, timbre.attack)))
    let end = min(sound.samples.count, start + held + Sound.index(seconds: timbre.release))
    let hertz = Elementary.hertz(midi: Double(note.pitch) + cents / 100)
    var envelope = Envelope(timbre, held: held, pitch: note.pitch)
    let gain = note.velocity / Float(Double(timbre.unison).squareRoot())

    sound.samples.withUnsafeMutableBufferPointer { output in
      bright.samples.withUnsafeBufferPointer { bright in
        dull.samples.withUnsafeBufferPointer { dull in
          var phase = phase
          var level = Float(0)
          var position = start
          while position < end {
            let next = min(end, position + Self.block)
            let age = Double(next - start) / Sound.rate
            let wave = Elementary.sine(turns: vibratoHertz * age)
            let vibrato = timbre.vibratoCents * wave * min(1, age / 0.4)
            let increment = UInt32(
              hertz * Elementary.exp2(vibrato / 1_200) / Sound.rate * 0x1p32)
            let swell = Float(1 - timbre.tremolo * (0.5 + wave / 2))
            let target = gain * swell * envelope.advance(next - position)
            let step = (target - level) / Float(next - position)
            let mellow = envelope.mellow
            for i in position..<next {
              let index = Int(phase >> UInt32(32 - WaveTable.bits))
              let part =
                Float(phase & (1 << UInt32(32 - WaveTable.bits) - 1))
                * (1 / Float(1 << UInt32(32 - WaveTable.bits)))
              let b = bright[index] + part * (bright[index + 1] - bright[index])
              let d = dull[index] + part * (dull[index + 1] - dull[index])
              level += step
              output[i] += level * (b + mellow * (d - b))
              phase &+= increment
            }
            if timbre.breath > 0 {
              for i in position..<next { output[i] += level * timbre.breath * noise.next() }
            }
            position = next
          }
        }
      }
    }
  }
}

/// How loud and how mellow a note is, block by block.
private struct Envelope {
  private let attack, held, release: Int
  private let decayPerSample: Double
  private let mellowPerSample: Double
  private var age = 0
  /// 0 is bright, 1 is dull.
  private(set) var mellow: Float = 0

  init(_ timbre: Timbre, held: Int, pitch: Int) {
    attack = max(1, Sound.index(seconds: timbre.attack))
    self.held = held
    release = max(1, Sound.index(seconds: timbre.release))
    // Low strings ring longer: an octave down, half as long again.
    let length = timbre.decay.map { $0 * Elementary.exp2(Double(60 - pitch) / 20) }
    decayPerSample = length.map { 9.97 / ($0 * Sound.rate) } ?? 0
    mellowPerSample = timbre.mellowing.map { 3 / ($0 * Sound.rate) } ?? 0
  }

  /// The level after so many more samples.
  mutating func advance(_ count: Int) -> Float {
    age += count
    mellow = Float(1 - Elementary.exp2(-mellowPerSample * Double(age)))
    let rising = min(1, Double(age) / Double(attack))
    let falling = Elementary.exp2(-decayPerSample * Double(age))
    let leaving = max(0, min(1, 1 - Double(age - held) / Double(release)))
    return Float(rising * falling * leaving * leaving)
  }
}
