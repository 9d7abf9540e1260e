/// The drums of one clip: each sound is made once, a little different every time, and then struck.
struct DrumKit {
  private let sounds: [[Float]]

  init(random: inout RandomSource) {
    sounds = DrumSound.allCases.map { Self.make($0, &random) }
  }

  func play(_ strokes: [Stroke], into sound: inout Sound) {
    for stroke in strokes {
      let samples = sounds[stroke.sound.rawValue]
      let start = Sound.index(seconds: stroke.start)
      let count = max(0, min(samples.count, sound.samples.count - start))
      for i in 0..<count { sound.samples[start + i] += stroke.velocity * samples[i] }
    }
  }

  private static func make(_ sound: DrumSound, _ random: inout RandomSource) -> [Float] {
    let tuning = random.uniform(0.85...1.18)
    switch sound {
    case .bassDrum: return tone(from: 150 * tuning, to: 48 * tuning, fall: 0.03, decay: 0.35)
    case .frameDrum:
      return mix(
        tone(from: 130 * tuning, to: 95 * tuning, fall: 0.05, decay: 0.5),
        noise(0.06, .lowPass(1_800 * tuning), &random), 0.3)
    case .snare:
      return mix(
        tone(from: 240 * tuning, to: 180 * tuning, fall: 0.02, decay: 0.16),
        noise(0.28, .highPass(1_200 * tuning), &random), 0.8)
    case .clap: return noise(0.22, .bandPass(1_500 * tuning, q: 1.2), &random)
    case .hiHat: return noise(0.09, .highPass(5_200 * tuning), &random).map { $0 * 0.5 }
    case .ride:
      return mix(
        noise(0.9, .highPass(4_200 * tuning), &random).map { $0 * 0.25 },
        noise(0.05, .bandPass(3_000 * tuning, q: 2), &random), 0.3)
    case .shaker: return noise(0.07, .bandPass(4_500 * tuning, q: 1), &random).map { $0 * 0.4 }
    }
  }

  /// A sine that falls from one pitch to another; all times are those of a fall by 60 dB.
  private static func tone(
    from high: Double, to low: Double, fall: Double, decay: Double
  ) -> [Float] {
    var phase = 0.0
    return (0..<Sound.index(seconds: decay)).map { i in
      let age = Double(i) / Sound.rate
      phase += (low + (high - low) * Elementary.exp2(-3 * age / fall)) / Sound.rate
      let attack = min(1, age / 0.002)
      return Float(
        attack * Elementary.sine(turns: phase) * Elementary.exp2(-9.97 * age / decay))
    }
  }

  private static func noise(
    _ decay: Double, _ filter: Filter, _ random: inout RandomSource
  ) -> [Float] {
    var source = NoiseSource(&random)
    var sound = Sound(count: Sound.index(seconds: decay))
    for i in sound.samples.indices {
      let age = Double(i) / Sound.rate
      sound.samples[i] = source.next() * Float(Elementary.exp2(-9.97 * age / decay))
    }
    filter.apply(to: &sound)
    return sound.samples
  }

  private static func mix(_ first: [Float], _ second: [Float], _ gain: Float) -> [Float] {
    (0..<max(first.count, second.count)).map { i in
      (i < first.count ? first[i] : 0) + gain * (i < second.count ? second[i] : 0)
    }
  }
}
