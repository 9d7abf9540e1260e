/// One track of samples, and what can be done to a whole one.

struct Sound {
  static let sampleRateHz = 22_050
  static let rate = Double(sampleRateHz)

  var samples: [Float]

  init(count: Int) { samples = [Float](repeating: 0, count: count) }

  static func index(seconds: Double) -> Int { Int((seconds * rate).rounded()) }

  /// Root of the mean square, of the whole clip.
  var level: Float {
    var sum = 0.0
    for x in samples { sum += Double(x * x) }
    return Float((sum / Double(max(1, samples.count))).squareRoot())
  }

  /// Brings the level to `target`; silence stays silence.
  mutating func normalize(to target: Float) {
    let level = level
    guard level > 1e-9 else { return }
    scale(by: target / level)
  }

  mutating func scale(by factor: Float) {
    for i in samples.indices { samples[i] *= factor }
  }

  mutating func add(_ other: Sound, gain: Float) {
    precondition(samples.count == other.samples.count, "mixing tracks of different lengths")
    for i in samples.indices { samples[i] += gain * other.samples[i] }
  }

  mutating func saturate(drive: Float) {
    for i in samples.indices { samples[i] = Elementary.softClip(samples[i] * drive) }
  }
}

/// White noise for samples, cheap and repeatable: a linear congruence, of which the high bits are used.
struct NoiseSource {
  private var state: UInt32

  init(_ random: inout RandomSource) { state = UInt32(truncatingIfNeeded: random.next()) }

  /// Uniform in −1…1.
  @inline(__always)
  mutating func next() -> Float {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(Int32(bitPattern: state)) * 0x1p-31
  }
}
