import Tensors

/// What the gradients of a block with one input channel need of the whole map, without the map.
///
/// The gradient of the raw map is slope · raw + offset in every position of a channel, plus what pooling
/// chose. raw itself is Σ w · x over the taps, so the first part's share of the weights' gradient,
///
///     Σ_q x[q + tap] · (slope · raw[q] + offset) = slope · Σ_tap' w[tap'] · R[tap, tap'] + offset · S[tap],
///
/// depends on the input's moments R[tap, tap'] = Σ_q x[q + tap] x[q + tap'] and S[tap] = Σ_q x[q + tap]
/// alone, some 50 numbers that all channels share. Its share of the input's gradient is a stencil of
/// as many taps.
struct PlaneMoments {
  let taps: Int
  /// R, both halves of it, then S; double, because most of it cancels against the chosen values' part.
  private(set) var values: [Double]

  /// Of a window: R's upper triangle, then S.
  static func count(taps: Int) -> Int { taps * (taps + 1) / 2 + taps }

  /// - Parameter windows: `[windows, count(taps:)]`, summed in their order
  init(taps: Int, windows: Pointer, _ number: Int) {
    self.taps = taps
    let count = Self.count(taps: taps)
    var sums = [Double](repeating: 0, count: count)
    for window in 0..<number {
      for i in 0..<count { sums[i] += Double(windows[window * count + i]) }
    }
    values = [Double](repeating: 0, count: taps * taps + taps)
    var next = 0
    for a in 0..<taps {
      for b in a..<taps {
        values[a * taps + b] = sums[next]
        values[b * taps + a] = sums[next]
        next += 1
      }
    }
    for a in 0..<taps { values[taps * taps + a] = sums[next + a] }
  }

  /// The moments of one window.
  ///
  /// - Parameters:
  ///   - x: what the first output's first tap meets; rows are `xRow` floats apart
  ///   - into: receives `count(taps:)` floats
  static func measure(
    _ x: Pointer, xRow: Int, rows: Int, columns: Int, kernelF: Int, kernelT: Int,
    into: Pointer
  ) {
    let taps = kernelF * kernelT
    func place(_ tap: Int) -> Pointer { x + (tap / kernelT * xRow + tap % kernelT) }
    var next = into
    for a in 0..<taps {
      for b in a..<taps {
        next.pointee = sum(place(a), place(b), xRow: xRow, rows: rows, columns: columns) { $0 * $1 }
        next += 1
      }
    }
    for a in 0..<taps {
      next[a] = sum(place(a), place(a), xRow: xRow, rows: rows, columns: columns) { x, _ in x }
    }
  }

  /// Σ f(x, y), row by row.
  @inline(__always)
  private static func sum(
    _ x: Pointer, _ y: Pointer, xRow: Int, rows: Int, columns: Int, _ f: (Vector, Vector) -> Vector
  ) -> Float {
    var total = Vector.zero
    for row in 0..<rows {
      let (x, y) = (x + row &* xRow, y + row &* xRow)
      var (even, odd) = (Vector.zero, Vector.zero)
      var i = 0
      while i &+ 16 <= columns {
        even += f(Vector(loading: x, i), Vector(loading: y, i))
        odd += f(Vector(loading: x, i &+ 8), Vector(loading: y, i &+ 8))
        i &+= 16
      }
      forVectors(columns &- i) { j in
        even += f(Vector(loading: x, i &+ j), Vector(loading: y, i &+ j))
      } ragged: { j, n in
        odd += f(Vector(loading: x, i &+ j, first: n), Vector(loading: y, i &+ j, first: n))
      }
      total += even + odd
    }
    return total.total
  }

  /// The share of one channel's weights' gradient.
  func gradient(tap: Int, weight: Pointer, slope: Float, offset: Float) -> Double {
    var sum = 0.0
    for other in 0..<taps { sum += Double(weight[other]) * values[tap * taps + other] }
    return Double(slope) * sum + Double(offset) * values[taps * taps + tap]
  }
}
