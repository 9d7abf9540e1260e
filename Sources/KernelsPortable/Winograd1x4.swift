import Tensors

/// F(1×5, 1×4): 8 products for 20.
///
/// The points are 0, ±½, ±1, ±2, ∞ (see `Winograd`): every factor but a few is a power of two. They leave
/// an error of 7e-7 of the outputs, four to five times that of direct summation (root mean square), which
/// is what the tiles of the 3×3 kernels leave too.
enum Winograd1x4: WinogradTile {
  static var outputs: (f: Int, t: Int) { (1, 5) }
  static var points: Int { 8 }

  @inline(__always) private static var a: Float { 0.5 }
  @inline(__always) private static var b: Float { 1 }
  @inline(__always) private static var c: Float { 2 }
  @inline(__always) private static var a2: Float { a * a }
  @inline(__always) private static var b2: Float { b * b }
  @inline(__always) private static var c2: Float { c * c }
  /// Products of the differences between a point and all others.
  @inline(__always) private static var n0: Float { -a2 * b2 * c2 }
  @inline(__always) private static var na: Float { 2 * a2 * (a2 - b2) * (a2 - c2) }
  @inline(__always) private static var nb: Float { 2 * b2 * (b2 - a2) * (b2 - c2) }
  @inline(__always) private static var nc: Float { 2 * c2 * (c2 - a2) * (c2 - b2) }
  /// Coefficients of (x² − a²)(x² − b²)(x² − c²) before x⁴ and x².
  @inline(__always) private static var s4: Float { -a2 - b2 - c2 }
  @inline(__always) private static var s2: Float { a2 * b2 + a2 * c2 + b2 * c2 }

  /// Even and odd part of a polynomial's values at ±p: stores even + p · odd and even − p · odd.
  @inline(__always)
  private static func store(
    _ p: Float, _ even: Vector, _ odd: Vector, _ to: Pointer, _ number: Int, _ point: Int
  ) {
    even.adding(splat(p), times: odd).store(to, number &* point)
    even.adding(splat(-p), times: odd).store(to, (number &+ 1) &* point)
  }

  @inline(__always)
  static func transformInput(
    _ x: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    @inline(__always) func d(_ t: Int) -> Vector { Vector(loading: x, t &* column) }
    let (d1, d2, d3, d4, d5, d6) = (d(1), d(2), d(3), d(4), d(5), d(6))
    let none = d6.adding(splat(s4), times: d4).adding(splat(s2), times: d2)
    none.adding(splat(n0), times: d(0)).store(to, 0)
    @inline(__always) func pair(_ p: Float, _ q2: Float, _ r2: Float, _ number: Int) {
      let (sum, product) = (splat(-q2 - r2), splat(q2 * r2))
      store(
        p, d6.adding(sum, times: d4).adding(product, times: d2),
        d5.adding(sum, times: d3).adding(product, times: d1), to, number, point)
    }
    pair(a, b2, c2, 1)
    pair(b, a2, c2, 3)
    pair(c, a2, b2, 5)
    let all = d(7).adding(splat(s4), times: d5).adding(splat(s2), times: d3)
    all.adding(splat(n0), times: d1).store(to, 7 &* point)
  }

  @inline(__always)
  static func transformOutputGradient(
    _ dy: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    @inline(__always) func y(_ t: Int) -> Vector { Vector(loading: dy, t &* column) }
    let (y0, y1, y2, y3, y4) = (y(0), y(1), y(2), y(3), y(4))
    y0.store(to, 0)
    @inline(__always) func pair(_ p: Float, _ p2: Float, _ number: Int) {
      store(
        p, y0.adding(splat(p2), times: y2).adding(splat(p2 * p2), times: y4),
        y1.adding(splat(p2), times: y3), to, number, point)
    }
    pair(a, a2, 1)
    pair(b, b2, 3)
    pair(c, c2, 5)
    y4.store(to, 7 &* point)
  }

  @inline(__always)
  static func transformOutput(
    _ m: Pointer, point: Int, into y: Pointer, row: Int, column: Int, scratch: Pointer
  ) {
    let (sumA, differenceA) = pair(m, 1, point)
    let (sumB, differenceB) = pair(m, 3, point)
    let (sumC, differenceC) = pair(m, 5, point)
    @inline(__always) func sums(_ p: Float, _ q: Float, _ r: Float) -> Vector {
      (splat(p) * sumA).adding(splat(q), times: sumB).adding(splat(r), times: sumC)
    }
    @inline(__always) func differences(_ p: Float, _ q: Float, _ r: Float) -> Vector {
      (splat(p) * differenceA).adding(splat(q), times: differenceB)
        .adding(splat(r), times: differenceC)
    }
    (Vector(loading: m, 0) + sums(1, 1, 1)).store(y, 0)
    differences(a, b, c).store(y, column)
    sums(a2, b2, c2).store(y, 2 &* column)
    differences(a * a2, b * b2, c * c2).store(y, 3 &* column)
    (Vector(loading: m, 7 &* point) + sums(a2 * a2, b2 * b2, c2 * c2)).store(y, 4 &* column)
  }

  @inline(__always)
  static func transformWeight(_ w: Pointer, into to: Pointer, point: Int, scratch: Pointer) {
    let (w0, w1) = (Vector(loading: w, 0), Vector(loading: w, 8))
    let (w2, w3) = (Vector(loading: w, 16), Vector(loading: w, 24))
    (w0 * splat(1 / n0)).store(to, 0)
    @inline(__always) func pair(_ p: Float, _ p2: Float, _ n: Float, _ number: Int) {
      store(
        p, w0.adding(splat(p2), times: w2) * splat(1 / n),
        w1.adding(splat(p2), times: w3) * splat(1 / n), to, number, point)
    }
    pair(a, a2, na, 1)
    pair(b, b2, nb, 3)
    pair(c, c2, nc, 5)
    w3.store(to, 7 &* point)
  }

  @inline(__always)
  static func transformWeightGradient(
    _ u: Pointer, point: Int, into dw: Pointer, scratch: Pointer
  ) {
    let (sumA, differenceA) = pair(u, 1, point)
    let (sumB, differenceB) = pair(u, 3, point)
    let (sumC, differenceC) = pair(u, 5, point)
    @inline(__always) func sums(_ p: Float, _ q: Float, _ r: Float) -> Vector {
      (splat(p / na) * sumA).adding(splat(q / nb), times: sumB).adding(splat(r / nc), times: sumC)
    }
    @inline(__always) func differences(_ p: Float, _ q: Float, _ r: Float) -> Vector {
      (splat(p / na) * differenceA).adding(splat(q / nb), times: differenceB)
        .adding(splat(r / nc), times: differenceC)
    }
    sums(1, 1, 1).adding(splat(1 / n0), times: Vector(loading: u, 0)).store(dw, 0)
    differences(a, b, c).store(dw, 8)
    sums(a2, b2, c2).store(dw, 16)
    (Vector(loading: u, 7 &* point) + differences(a * a2, b * b2, c * c2)).store(dw, 24)
  }

  /// Sum and difference of the values at ±p.
  @inline(__always)
  private static func pair(
    _ m: Pointer, _ number: Int, _ point: Int
  ) -> (sum: Vector, difference: Vector) {
    let (plus, minus) = (
      Vector(loading: m, number &* point), Vector(loading: m, (number &+ 1) &* point)
    )
    return (plus + minus, plus - minus)
  }
}
