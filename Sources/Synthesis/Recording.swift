/// What the studio and the record do to the music, in the order in which a signal meets them.

extension Production {
  func record(_ sound: inout Sound, style: Style, random: inout RandomSource) {
    // Every room and every console colours a little, so that no era is "the one without effects".
    let hall = style == .ambient || style == .classical
    let seconds = hall ? random.uniform(1.2...2.6) : random.uniform(0.3...1.0)
    sound.reverberate(seconds: seconds, gain: Float(random.uniform(hall ? 0.2...0.7 : 0...0.3)))
    Filter.highShelf(random.uniform(1_500...3_000), decibels: random.uniform(-3...3))
      .apply(to: &sound)

    switch self {
    case .plain:
      hiss(&sound, decibels: random.uniform(-75 ... -48), &random)
    case .shellac:
      sound = sound.wavering(seconds: 0.003, depth: 0.0006, hertz: 1.3, phase: random.unit())
      let (low, high) = (random.uniform(220...340), random.uniform(2_600...3_500))
      hiss(&sound, decibels: random.uniform(-38 ... -27), &random)
      crackle(&sound, perSecond: random.uniform(8...30), &random)
      for filter in [Filter.highPass(low), .lowPass(high), .lowPass(high)] {
        filter.apply(to: &sound)
      }
    case .tape:
      sound.normalize(to: 0.3)
      sound.saturate(drive: Float(random.uniform(1.2...2.0)))
      sound.echo(
        seconds: random.uniform(0.09...0.15), feedback: 0.3, gain: Float(random.uniform(0.2...0.4)))
      sound = sound.wavering(seconds: 0.004, depth: 0.0012, hertz: 0.7, phase: random.unit())
      hiss(&sound, decibels: random.uniform(-46 ... -36), &random)
      let high = random.uniform(3_000...4_300)
      for _ in 0..<2 { Filter.lowPass(high).apply(to: &sound) }
    case .digital:
      let chorus = sound.wavering(
        seconds: 0.011, depth: 0.004, hertz: random.uniform(0.5...0.9), phase: random.unit())
      sound.add(chorus, gain: 0.8)
      sound.reverberate(seconds: random.uniform(2.0...3.2), gain: Float(random.uniform(0.35...0.6)))
      Filter.highShelf(2_200, decibels: random.uniform(5...9)).apply(to: &sound)
      hiss(&sound, decibels: random.uniform(-80 ... -65), &random)
    }
  }

  /// White noise, so many decibels below the music.
  private func hiss(_ sound: inout Sound, decibels: Double, _ random: inout RandomSource) {
    var noise = NoiseSource(&random)
    let gain = sound.level * Float(Elementary.amplitude(decibels: decibels) * 1.732)
    for i in sound.samples.indices { sound.samples[i] += gain * noise.next() }
  }

  /// Scratches and dust: single clicks of all sizes.
  private func crackle(_ sound: inout Sound, perSecond: Double, _ random: inout RandomSource) {
    let level = Double(sound.level)
    let count = Int(perSecond * Double(sound.samples.count) / Sound.rate)
    for _ in 0..<count {
      let size = level * Elementary.exp2(random.uniform(-1...2.5))
      let place = random.index(below: sound.samples.count - 1)
      sound.samples[place] += Float(size)
      sound.samples[place + 1] -= Float(size / 2)
    }
  }
}
