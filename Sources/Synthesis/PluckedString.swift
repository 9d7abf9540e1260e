/// A plucked string: a burst of noise that goes round in a delay line and loses its treble on the way.
///
/// Karplus and Strong, "Digital Synthesis of Plucked-String and Drum Timbres" (1983), tuned by the
/// all-pass of Jaffe and Smith, "Extensions of the Karplus-Strong Plucked-String Algorithm" (1983).
struct PluckedString {
  /// Seconds in which the tone falls by 60 dB.
  let decay: Double
  /// Treble of the pluck: 0 is a thumb, 1 a pick of steel.
  let brightness: Float
  private let detune: Double
  private var noise: NoiseSource

  /// Nil for instruments that are not plucked.
  init?(_ instrument: Instrument, random: inout RandomSource) {
    switch instrument {
    case .acousticGuitar: (decay, brightness) = (2.6, 0.75)
    case .electricGuitar: (decay, brightness) = (5.0, 0.6)
    case .electricBass: (decay, brightness) = (2.5, 0.35)
    default: return nil
    }
    detune = random.uniform(-10...10)
    noise = NoiseSource(&random)
  }

  mutating func play(_ notes: [Note], into sound: inout Sound, random: inout RandomSource) {
    for note in notes {
      let cents = detune + random.uniform(-4...4)
      play(note, hertz: Elementary.hertz(midi: Double(note.pitch) + cents / 100), into: &sound)
    }
  }

  private mutating func play(_ note: Note, hertz: Double, into sound: inout Sound) {
    let start = Sound.index(seconds: note.start)
    let damped = start + Sound.index(seconds: note.duration)
    let end = min(sound.samples.count, damped + Sound.index(seconds: 0.12))

    // The two-point mean delays by half a sample, the all-pass by the rest of the period.
    let period = Sound.rate / hertz - 0.5
    let count = max(2, Int(period - 0.2))
    let rest = period - Double(count)
    let allPass = Float((1 - rest) / (1 + rest))
    var loss = Float(Elementary.exp2(-9.97 / (decay * hertz)))
    var line = pluck(count, velocity: note.velocity)

    sound.samples.withUnsafeMutableBufferPointer { output in
      line.withUnsafeMutableBufferPointer { line in
        var place = 0
        var (before, input, tuned): (Float, Float, Float) = (0, 0, 0)
        for i in start..<max(start, end) {
          if i == damped { loss *= 0.9 }
          let current = line[place]
          output[i] += current
          let mean = loss * 0.5 * (current + before)
          before = current
          tuned = allPass * (mean - tuned) + input
          input = mean
          line[place] = tuned
          place += 1
          if place == count { place = 0 }
        }
      }
    }
  }

  /// The shape of the string when the finger leaves it.
  private mutating func pluck(_ count: Int, velocity: Float) -> [Float] {
    var line = [Float](repeating: 0, count: count)
    var smooth: Float = 0
    for i in 0..<count {
      smooth += brightness * (noise.next() - smooth)
      line[i] = smooth
    }
    let mean = line.reduce(0, +) / Float(count)
    for i in 0..<count { line[i] = (line[i] - mean) * velocity * 1.6 }
    return line
  }
}
