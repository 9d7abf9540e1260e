/// Sine and powers of two in plain double arithmetic.
///
/// The C library picks its variant by the processor, and the last bit with it. The corpus has to be
/// the same bytes everywhere, so what shapes its samples is computed here.
enum Elementary {
  static let pi = 3.141592653589793

  /// The sine of an angle in turns: `sine(turns: 0.25)` is 1. The error is below 1e-10.
  static func sine(turns: Double) -> Double {
    // Folded to a quarter of a turn on either side of zero, where the series ends soon.
    var t = turns - turns.rounded(.down)
    if t > 0.75 { t -= 1 } else if t > 0.25 { t = 0.5 - t }
    let x = 2 * pi * t
    let square = x * x
    var (term, sum) = (x, x)
    for k in stride(from: 3.0, through: 17.0, by: 2.0) {
      term *= -square / (k * (k - 1))
      sum += term
    }
    return sum
  }

  static func cosine(turns: Double) -> Double { sine(turns: turns + 0.25) }

  /// 2 to the power of `x`, for |x| below 1000; the relative error is below 1e-12.
  static func exp2(_ x: Double) -> Double {
    let whole = x.rounded()
    let y = (x - whole) * 0.6931471805599453
    var (term, sum) = (1.0, 1.0)
    for k in 1...13 {
      term *= y / Double(k)
      sum += term
    }
    return Double(sign: .plus, exponent: Int(whole), significand: sum)
  }

  /// The logarithm to base 2 of a positive number; the error is below 1e-10.
  static func log2(_ x: Double) -> Double {
    let significand = x.significand > 1.4142135623730951 ? x.significand / 2 : x.significand
    let exponent = x.significand > 1.4142135623730951 ? x.exponent + 1 : x.exponent
    let y = (significand - 1) / (significand + 1)
    let square = y * y
    var (power, sum) = (y, 0.0)
    for k in stride(from: 1.0, through: 19.0, by: 2.0) {
      sum += power / k
      power *= square
    }
    return Double(exponent) + 2 * sum * 1.4426950408889634
  }

  /// The factor that `decibels` mean for an amplitude.
  static func amplitude(decibels: Double) -> Double { exp2(decibels * 0.16609640474436813) }

  /// Hertz of a (fractional) MIDI note; 69 is 440 Hz.
  static func hertz(midi: Double) -> Double { 440 * exp2((midi - 69) / 12) }

  /// A curve that bends at ±1 and never leaves it; odd, smooth, without a table.
  @inline(__always)
  static func softClip(_ x: Float) -> Float {
    let y = max(-3, min(3, x))
    return y * (27 + y * y) / (27 + 9 * y * y)
  }
}
