/// One period of a sum of harmonics, none of them above the band.
struct WaveTable {
  static let bits = 11
  static let count = 1 << bits
  /// Harmonics above this are left out, so nothing folds back, not even with vibrato.
  private static let highestHertz = Sound.rate * 0.46

  /// `count` samples and the first one again, for interpolation.
  let samples: [Float]

  private static let sine: [Float] = (0..<count).map {
    Float(Elementary.sine(turns: Double($0) / Double(count)))
  }

  /// The table has the power of a sine of amplitude 1, whatever its harmonics.
  init(hertz: Double, harmonics: (_ k: Double, _ hertz: Double) -> Double) {
    let highest = max(1, min(64, Int(Self.highestHertz / hertz)))
    var amplitudes = (1...highest).map { harmonics(Double($0), hertz) }
    let power = amplitudes.reduce(0) { $0 + $1 * $1 }
    if power > 0 { amplitudes = amplitudes.map { $0 / power.squareRoot() } }

    var table = [Float](repeating: 0, count: Self.count + 1)
    for (place, amplitude) in amplitudes.enumerated() where amplitude > 1e-4 {
      // Harmonics start at scattered phases, or they would add to a needle.
      let (k, shift) = (place + 1, place * place * 331)
      let a = Float(amplitude)
      for i in 0..<Self.count { table[i] += a * Self.sine[(i * k + shift) & (Self.count - 1)] }
    }
    table[Self.count] = table[0]
    samples = table
  }
}
