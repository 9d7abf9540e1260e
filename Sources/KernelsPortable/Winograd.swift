import Tensors

/// Winograd's minimal filtering F(4×4, 3×3): 36 products where a 3×3 kernel over 4×4 outputs has 144.
///
/// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308). With x̂ =
/// Bᵀ x B of a 6×6 tile and ŵ = G w Gᵀ, the 4×4 outputs are Aᵀ (Σ ŵ ⊙ x̂) A. The gradient of the
/// weights is the same read backwards: Gᵀ (Σ (A dy Aᵀ) ⊙ x̂) G, and that of the input is a
/// convolution with the kernel turned. All transforms run on vectors of eight channels.
///
/// The points 0, ±¾, ±1½, ∞ leave an error of some 1e-6 of the largest output, twice that of direct
/// summation (root mean square); the usual 0, ±1, ±2, ∞ leave four times it.
enum Winograd {
  static let outputs = 4
  static let tile = 6
  /// Products of a tile.
  static let points = 36

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
  @inline(__always) private static func input(_ d: Six) -> Six {
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
  @inline(__always) private static func output(_ m: Six) -> Four {
    let (sumA, differenceA) = (m.1 + m.2, m.1 - m.2)
    let (sumB, differenceB) = (m.3 + m.4, m.3 - m.4)
    return (
      m.0 + sumA + sumB, (splat(a) * differenceA).adding(splat(b), times: differenceB),
      (splat(a2) * sumA).adding(splat(b2), times: sumB),
      m.5.adding(splat(a * a2), times: differenceA).adding(splat(b * b2), times: differenceB)
    )
  }

  /// A y
  @inline(__always) private static func outputGradient(_ y: Four) -> Six {
    let (evenA, oddA) = (y.0.adding(splat(a2), times: y.2), y.1.adding(splat(a2), times: y.3))
    let (evenB, oddB) = (y.0.adding(splat(b2), times: y.2), y.1.adding(splat(b2), times: y.3))
    return (
      y.0, evenA.adding(splat(a), times: oddA), evenA.adding(splat(-a), times: oddA),
      evenB.adding(splat(b), times: oddB), evenB.adding(splat(-b), times: oddB), y.3
    )
  }

  /// G w
  @inline(__always) private static func weight(_ w: (Vector, Vector, Vector)) -> Six {
    let (evenA, oddA) = (w.0.adding(splat(a2), times: w.2) * splat(1 / na), w.1 * splat(a / na))
    let (evenB, oddB) = (w.0.adding(splat(b2), times: w.2) * splat(1 / nb), w.1 * splat(b / nb))
    return (splat(1 / n0) * w.0, evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, w.2)
  }

  /// Gᵀ u
  @inline(__always) private static func weightGradient(_ u: Six) -> (Vector, Vector, Vector) {
    let (sumA, differenceA) = (splat(1 / na) * (u.1 + u.2), splat(a / na) * (u.1 - u.2))
    let (sumB, differenceB) = (splat(1 / nb) * (u.3 + u.4), splat(b / nb) * (u.3 - u.4))
    return (
      (sumA + sumB).adding(splat(1 / n0), times: u.0), differenceA + differenceB,
      u.5.adding(splat(a2), times: sumA).adding(splat(b2), times: sumB)
    )
  }

  @inline(__always)
  private static func six(_ p: Pointer, _ at: Int, _ step: Int) -> Six {
    (
      Vector(loading: p, at), Vector(loading: p, at &+ step), Vector(loading: p, at &+ 2 &* step),
      Vector(loading: p, at &+ 3 &* step), Vector(loading: p, at &+ 4 &* step),
      Vector(loading: p, at &+ 5 &* step)
    )
  }

  @inline(__always)
  private static func store(_ v: Six, _ p: Pointer, _ at: Int, _ step: Int) {
    v.0.store(p, at)
    v.1.store(p, at &+ step)
    v.2.store(p, at &+ 2 &* step)
    v.3.store(p, at &+ 3 &* step)
    v.4.store(p, at &+ 4 &* step)
    v.5.store(p, at &+ 5 &* step)
  }

  /// Floats that a transform keeps between its two directions.
  static let scratchCount = 36 * 8

  /// One tile of one vector of channels: x̂ = Bᵀ x B.
  ///
  /// - Parameters:
  ///   - x: the tile's first position; the next is `column` floats on, the next row `row`
  ///   - point: floats from one product's x̂ to the next's
  @inline(__always)
  static func transformInput(
    _ x: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    for j in 0..<6 { store(input(six(x, j &* column, row)), scratch, j &* 8, 48) }
    for i in 0..<6 {
      store(input(six(scratch, i &* 48, 8)), to, i &* 6 &* point, point)
    }
  }

  /// One tile: A dy Aᵀ.
  @inline(__always)
  static func transformOutputGradient(
    _ dy: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    for j in 0..<4 {
      let y = (
        Vector(loading: dy, j &* column), Vector(loading: dy, j &* column &+ row),
        Vector(loading: dy, j &* column &+ 2 &* row), Vector(loading: dy, j &* column &+ 3 &* row)
      )
      store(outputGradient(y), scratch, j &* 8, 32)
    }
    for i in 0..<6 {
      let y = (
        Vector(loading: scratch, i &* 32), Vector(loading: scratch, i &* 32 &+ 8),
        Vector(loading: scratch, i &* 32 &+ 16), Vector(loading: scratch, i &* 32 &+ 24)
      )
      store(outputGradient(y), to, i &* 6 &* point, point)
    }
  }

  /// One tile: y = Aᵀ m A.
  @inline(__always)
  static func transformOutput(
    _ m: Pointer, point: Int, into y: Pointer, row: Int, column: Int, scratch: Pointer
  ) {
    for j in 0..<6 {
      let o = output(six(m, j &* point, 6 &* point))
      o.0.store(scratch, j &* 8)
      o.1.store(scratch, j &* 8 &+ 48)
      o.2.store(scratch, j &* 8 &+ 96)
      o.3.store(scratch, j &* 8 &+ 144)
    }
    for i in 0..<4 {
      let o = output(six(scratch, i &* 48, 8))
      o.0.store(y, i &* row)
      o.1.store(y, i &* row &+ column)
      o.2.store(y, i &* row &+ 2 &* column)
      o.3.store(y, i &* row &+ 3 &* column)
    }
  }

  /// Kernels of eight outputs for one input: ŵ = G w Gᵀ.
  ///
  /// - Parameter w: nine vectors, row by row of the kernel
  @inline(__always)
  static func transformWeight(
    _ w: Pointer, into to: Pointer, point: Int, scratch: Pointer
  ) {
    for j in 0..<3 {
      let column = (
        Vector(loading: w, j &* 8), Vector(loading: w, j &* 8 &+ 24),
        Vector(loading: w, j &* 8 &+ 48)
      )
      store(weight(column), scratch, j &* 8, 24)
    }
    for i in 0..<6 {
      let row = (
        Vector(loading: scratch, i &* 24), Vector(loading: scratch, i &* 24 &+ 8),
        Vector(loading: scratch, i &* 24 &+ 16)
      )
      store(weight(row), to, i &* 6 &* point, point)
    }
  }

  /// Back: Gᵀ u G, nine vectors.
  @inline(__always)
  static func transformWeightGradient(
    _ u: Pointer, point: Int, into dw: Pointer, scratch: Pointer
  ) {
    for j in 0..<6 {
      let o = weightGradient(six(u, j &* point, 6 &* point))
      o.0.store(scratch, j &* 8)
      o.1.store(scratch, j &* 8 &+ 48)
      o.2.store(scratch, j &* 8 &+ 96)
    }
    for i in 0..<3 {
      let o = weightGradient(six(scratch, i &* 48, 8))
      o.0.store(dw, i &* 24)
      o.1.store(dw, i &* 24 &+ 8)
      o.2.store(dw, i &* 24 &+ 16)
    }
  }
}
