/// Second-order filters, from Bristow-Johnson's "Cookbook formulae for audio equalizer biquad filter
/// coefficients".
struct Filter {
  private let b0, b1, b2, a1, a2: Float

  private init(_ b: (Double, Double, Double), _ a: (Double, Double, Double)) {
    b0 = Float(b.0 / a.0)
    b1 = Float(b.1 / a.0)
    b2 = Float(b.2 / a.0)
    a1 = Float(a.1 / a.0)
    a2 = Float(a.2 / a.0)
  }

  static func lowPass(_ hertz: Double, q: Double = 0.707) -> Filter {
    let (sine, cosine) = trigonometry(hertz)
    let alpha = sine / (2 * q)
    return Filter(
      ((1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2), (1 + alpha, -2 * cosine, 1 - alpha))
  }

  static func highPass(_ hertz: Double, q: Double = 0.707) -> Filter {
    let (sine, cosine) = trigonometry(hertz)
    let alpha = sine / (2 * q)
    return Filter(
      ((1 + cosine) / 2, -1 - cosine, (1 + cosine) / 2), (1 + alpha, -2 * cosine, 1 - alpha))
  }

  static func bandPass(_ hertz: Double, q: Double) -> Filter {
    let (sine, cosine) = trigonometry(hertz)
    let alpha = sine / (2 * q)
    return Filter((alpha, 0, -alpha), (1 + alpha, -2 * cosine, 1 - alpha))
  }

  /// Raises (or lowers) what lies above `hertz`.
  static func highShelf(_ hertz: Double, decibels: Double) -> Filter {
    let (sine, cosine) = trigonometry(hertz)
    let a = Elementary.amplitude(decibels: decibels / 2)
    let slope = 2 * a.squareRoot() * sine / 2 * 2.0.squareRoot()
    return Filter(
      (
        a * ((a + 1) + (a - 1) * cosine + slope), -2 * a * ((a - 1) + (a + 1) * cosine),
        a * ((a + 1) + (a - 1) * cosine - slope)
      ),
      (
        (a + 1) - (a - 1) * cosine + slope, 2 * ((a - 1) - (a + 1) * cosine),
        (a + 1) - (a - 1) * cosine - slope
      ))
  }

  private static func trigonometry(_ hertz: Double) -> (sine: Double, cosine: Double) {
    let turns = min(hertz, Sound.rate * 0.45) / Sound.rate
    return (Elementary.sine(turns: turns), Elementary.cosine(turns: turns))
  }

  func apply(to sound: inout Sound) {
    sound.samples.withUnsafeMutableBufferPointer { samples in
      var (s1, s2): (Float, Float) = (0, 0)
      for i in samples.indices {
        let x = samples[i]
        let y = b0 * x + s1
        s1 = b1 * x - a1 * y + s2
        s2 = b2 * x - a2 * y
        samples[i] = y
      }
    }
  }
}
