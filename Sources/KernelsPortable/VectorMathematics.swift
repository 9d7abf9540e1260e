import CVector
import Tensors

/// Exponential, logarithm and their kin as fixed-width polynomials: the same bits on every
/// processor of one instruction set, where a libm picks a variant at run time.
///
/// Errors against the exact value, over the ranges the tests sweep: `exp` and `expm1` below
/// 1e-7 relative, `log` below 1e-7 relative away from 1 and absolute near it, `tanh` and `sigmoid`
/// below 2e-7 relative. NaN stays NaN, and an infinite argument becomes NaN: neither trains on in silence.
enum Mathematics {
  /// eˣ for x in −87…88; saturates beyond, without infinities.
  @inline(__always) static func exp(_ x: Vector) -> Vector {
    let (power, fraction) = split(clamp(x, -87, 88))
    return power.adding(power, times: fraction) + (x - x)
  }

  /// eˣ − 1 for x ≤ 0, accurate near zero; −1 below −30.
  @inline(__always) static func expm1(_ x: Vector) -> Vector {
    let (power, fraction) = split(clamp(x, -30, 0))
    return (power - splat(1)).adding(power, times: fraction) + (x - x)
  }

  /// The natural logarithm of x > 0 (normal numbers); 0 and below give a large negative number.
  @inline(__always) static func log(_ x: Vector) -> Vector {
    // x = 2^e · m with m in √½…√2, and log m = 2·atanh((m − 1)/(m + 1))
    let bits = unsafeBitCast(cv_max(x, splat(0x1p-126)), to: Integers.self)
    let shifted = bits &- Integers(repeating: 0x3F35_04F3)
    let exponent = shifted &>> Integers(repeating: 23)
    let mantissa = unsafeBitCast(bits &- (exponent &<< Integers(repeating: 23)), to: Vector.self)
    let e = Vector(exponent)
    let s = (mantissa - splat(1)) / (mantissa + splat(1))
    let s2 = s * s
    var series = splat(0.22222222)
    series = splat(0.28571430).adding(series, times: s2)
    series = splat(0.40000000).adding(series, times: s2)
    series = splat(0.66666667).adding(series, times: s2)
    let low = (s * s2 * series).adding(e, times: splat(-2.12194440e-4))
    return (s + s + low).adding(e, times: splat(0.693359375)) + (x - x)
  }

  /// log(1 + u) for u in 0…1, accurate near zero (Kahan's correction).
  @inline(__always) static func log1p(_ u: Vector) -> Vector {
    let w = u + splat(1)
    let d = w - splat(1)
    let corrected = log(w) * (u / cv_max(d, splat(1e-30)))
    return cv_select_greater(d, .zero, corrected, u)
  }

  @inline(__always) static func sigmoid(_ x: Vector) -> Vector {
    // e^{-|x|} never overflows
    let e = exp(-magnitude(x))
    let denominator = splat(1) + e
    return cv_select_greater(x, .zero, splat(1) / denominator, e / denominator) + (x - x)
  }

  /// clip(0.2 x + 0.5, 0, 1)
  @inline(__always) static func hardSigmoid(_ x: Vector) -> Vector {
    clamp(splat(0.5).adding(splat(0.2), times: x), 0, 1) + (x - x)
  }

  @inline(__always) static func tanh(_ x: Vector) -> Vector {
    // tanh |x| = −expm1(−2|x|) / (2 + expm1(−2|x|))
    let m = expm1(splat(-2) * magnitude(x))
    let t = -m / (splat(2) + m)
    return cv_select_greater(.zero, x, -t, t) + (x - x)
  }

  @inline(__always) static func elu(_ x: Vector) -> Vector {
    cv_select_greater(x, .zero, x, expm1(cv_min(x, .zero))) + (x - x)
  }

  @inline(__always) static func magnitude(_ x: Vector) -> Vector { cv_max(x, -x) }

  @inline(__always) private static func clamp(_ x: Vector, _ low: Float, _ high: Float) -> Vector {
    cv_min(cv_max(x, splat(low)), splat(high))
  }

  /// eˣ = power · (1 + fraction), power = 2ⁿ, |fraction| < 0.42
  @inline(__always) private static func split(_ x: Vector) -> (power: Vector, fraction: Vector) {
    let magic = splat(12_582_912)  // 1.5 · 2²³: adding it rounds to an integer in the low bits
    let t = magic.adding(x, times: splat(1.44269504))
    let n = t - magic
    let r = x.adding(n, times: splat(-0.693145751953125))
      .adding(n, times: splat(-1.42860682030941723212e-6))
    var q = splat(1.9875691500e-4)
    q = splat(1.3981999507e-3).adding(q, times: r)
    q = splat(8.3334519073e-3).adding(q, times: r)
    q = splat(4.1665795894e-2).adding(q, times: r)
    q = splat(1.6666665459e-1).adding(q, times: r)
    q = splat(5.0000001201e-1).adding(q, times: r)
    let bits =
      (unsafeBitCast(t, to: Integers.self) &- unsafeBitCast(magic, to: Integers.self)
        &+ Integers(repeating: 127)) &<< Integers(repeating: 23)
    return (unsafeBitCast(bits, to: Vector.self), r.adding(q * r, times: r))
  }
}
