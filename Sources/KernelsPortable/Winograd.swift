import Tensors

/// Winograd's minimal filtering in one direction: a convolution as the product of two polynomials, which
/// their values at some points determine.
///
/// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308). With x̂ =
/// Bᵀ x and ŵ = G w, the outputs are Aᵀ (Σ ŵ ⊙ x̂). The gradient of the weights is the same read
/// backwards, Gᵀ (Σ (A dy) ⊙ x̂), and that of the input is a convolution with the kernel turned. A
/// evaluates a polynomial at the points; so does G, which also divides by what Lagrange's formula has
/// below.
///
/// Four outputs of a kernel of three take six points, 0, ±¾, ±1½, ∞, which leave an error of some 1e-6
/// of the largest output in two directions, twice that of direct summation (root mean square); the
/// usual 0, ±1, ±2, ∞ leave four times it. For a kernel of four see `Winograd1x4`.
enum Winograd {
  typealias Three = (Vector, Vector, Vector)
  typealias Four = (Vector, Vector, Vector, Vector)
  typealias Six = (Vector, Vector, Vector, Vector, Vector, Vector)

  /// The points are 0, ±a, ±b and ∞.
  @inline(__always) private static var a: Float { 0.75 }
  @inline(__always) private static var b: Float { 1.5 }
  @inline(__always) private static var a2: Float { a * a }
  @inline(__always) private static var b2: Float { b * b }
  /// Products of the differences between a point and all others.
  @inline(__always) private static var n0: Float { a2 * b2 }
  @inline(__always) private static var na: Float { 2 * a2 * (a2 - b2) }
  @inline(__always) private static var nb: Float { 2 * b2 * (b2 - a2) }

  /// Bᵀ d
  @inline(__always) static func input(_ d: Six) -> Six {
    let (evenA, oddA) = (d.4.adding(splat(-b2), times: d.2), d.3.adding(splat(-b2), times: d.1))
    let (evenB, oddB) = (d.4.adding(splat(-a2), times: d.2), d.3.adding(splat(-a2), times: d.1))
    return (
      d.4.adding(splat(-a2 - b2), times: d.2).adding(splat(a2 * b2), times: d.0),
      evenA.adding(splat(a), times: oddA), evenA.adding(splat(-a), times: oddA),
      evenB.adding(splat(b), times: oddB), evenB.adding(splat(-b), times: oddB),
      d.5.adding(splat(-a2 - b2), times: d.3).adding(splat(a2 * b2), times: d.1)
    )
  }

  /// Aᵀ m
  @inline(__always) static func outputs(_ m: Six) -> Four {
    let (sumA, differenceA) = (m.1 + m.2, m.1 - m.2)
    let (sumB, differenceB) = (m.3 + m.4, m.3 - m.4)
    return (
      m.0 + sumA + sumB, (splat(a) * differenceA).adding(splat(b), times: differenceB),
      (splat(a2) * sumA).adding(splat(b2), times: sumB),
      m.5.adding(splat(a * a2), times: differenceA).adding(splat(b * b2), times: differenceB)
    )
  }

  /// A y
  @inline(__always) static func outputGradients(_ y: Four) -> Six {
    let (evenA, oddA) = (y.0.adding(splat(a2), times: y.2), y.1.adding(splat(a2), times: y.3))
    let (evenB, oddB) = (y.0.adding(splat(b2), times: y.2), y.1.adding(splat(b2), times: y.3))
    return (
      y.0, evenA.adding(splat(a), times: oddA), evenA.adding(splat(-a), times: oddA),
      evenB.adding(splat(b), times: oddB), evenB.adding(splat(-b), times: oddB), y.3
    )
  }

  /// G w
  @inline(__always) static func weights(_ w: Three) -> Six {
    let (evenA, oddA) = (w.0.adding(splat(a2), times: w.2) * splat(1 / na), w.1 * splat(a / na))
    let (evenB, oddB) = (w.0.adding(splat(b2), times: w.2) * splat(1 / nb), w.1 * splat(b / nb))
    return (splat(1 / n0) * w.0, evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, w.2)
  }

  /// Gᵀ u
  @inline(__always) static func weightGradients(_ u: Six) -> Three {
    let (sumA, differenceA) = (splat(1 / na) * (u.1 + u.2), splat(a / na) * (u.1 - u.2))
    let (sumB, differenceB) = (splat(1 / nb) * (u.3 + u.4), splat(b / nb) * (u.3 - u.4))
    return (
      (sumA + sumB).adding(splat(1 / n0), times: u.0), differenceA + differenceB,
      u.5.adding(splat(a2), times: sumA).adding(splat(b2), times: sumB)
    )
  }
}
