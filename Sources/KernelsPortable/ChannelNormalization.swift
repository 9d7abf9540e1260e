import Tensors

/// Batch normalization of a map `[N, channels, …]`: sums, the affine map, and its gradient.
///
/// Channels are the unit of work. A sum runs in vectors along a row of `rowLength` values, and from
/// row to row in double, so that its order is fixed and its error is that of one row.
struct ChannelNormalization: NormalizationKernel {
  let channels, planeCount, rowLength: Int
  private let pool: ThreadPool

  /// - Parameters:
  ///   - planeCount: values of one channel of one clip
  ///   - rowLength: divides `planeCount`
  init(channels: Int, planeCount: Int, rowLength: Int, pool: ThreadPool) {
    precondition(planeCount % rowLength == 0, "rows of \(rowLength) in \(planeCount)")
    self.channels = channels
    self.planeCount = planeCount
    self.rowLength = rowLength
    self.pool = pool
  }

  /// Mean and biased variance of each channel over clips and positions, in two passes.
  func statistics(of x: Tensor, clips: Int, mean: Tensor, variance: Tensor) {
    let (x, mean, variance) = (x.base, mean.base, variance.base)
    let share = 1 / Double(clips * planeCount)
    pool.run(channels) { c, _ in
      var sum = 0.0
      forPlanes(x, c, clips) { plane in
        sum += sumRows(plane) { $0 }
      }
      let m = Float(sum * share)
      var squares = 0.0
      forPlanes(x, c, clips) { plane in
        squares += sumRows(plane) { ($0 - splat(m)) * ($0 - splat(m)) }
      }
      mean[c] = m
      variance[c] = Float(squares * share)
    }
  }

  /// y = scale · x + shift.
  func forward(_ x: Tensor, clips: Int, scale: Tensor, shift: Tensor, into y: Tensor) {
    let (x, y, scale, shift) = (x.base, y.base, scale.base, shift.base)
    pool.run(clips * channels) { plane, _ in
      let (a, b) = (splat(scale[plane % channels]), splat(shift[plane % channels]))
      let at = plane * planeCount
      map(x + at, into: y + at, planeCount) { b.adding(a, times: $0) }
    }
  }

  /// Writes the sums of dy and of dy · x̂, which are the gradients of β and γ.
  func gradientSums(
    _ dy: Tensor, _ x: Tensor, clips: Int, mean: Tensor, inverseDeviation: Tensor,
    gammaGradient: Tensor, betaGradient: Tensor
  ) {
    let (x, dy, mean, inverse) = (x.base, dy.base, mean.base, inverseDeviation.base)
    let (dGamma, dBeta) = (gammaGradient.base, betaGradient.base)
    pool.run(channels) { c, _ in
      let (m, i) = (splat(mean[c]), splat(inverse[c]))
      var sum = 0.0
      var products = 0.0
      for n in 0..<clips {
        let at = (n * channels + c) * planeCount
        sum += sumRows(dy + at) { $0 }
        products += sumRows(dy + at, x + at) { $0 * (($1 - m) * i) }
      }
      dBeta[c] = Float(sum)
      dGamma[c] = Float(products)
    }
  }

  /// dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)).
  func inputGradient(
    _ dy: Tensor, _ x: Tensor, clips: Int, mean: Tensor, inverseDeviation: Tensor, scale: Tensor,
    gammaGradient: Tensor, betaGradient: Tensor, into dx: Tensor
  ) {
    let (x, dy, dx) = (x.base, dy.base, dx.base)
    let count = Float(clips * planeCount)
    pool.run(clips * channels) { plane, _ in
      let c = plane % channels
      let slope = -(scale.base[c] * inverseDeviation.base[c] * gammaGradient.base[c] / count)
      let offset = -(scale.base[c] * betaGradient.base[c] / count) - slope * mean.base[c]
      let at = plane * planeCount
      map(x + at, dy + at, into: dx + at, planeCount) {
        splat(offset).adding(splat(slope), times: $0).adding(splat(scale.base[c]), times: $1)
      }
    }
  }

  @inline(__always)
  private func forPlanes(_ x: Pointer, _ c: Int, _ clips: Int, _ body: (Pointer) -> Void) {
    for n in 0..<clips { body(x + (n * channels + c) * planeCount) }
  }

  @inline(__always) private func sumRows(_ x: Pointer, _ f: (Vector) -> Vector) -> Double {
    sumRows(x, x) { u, _ in f(u) }
  }

  @inline(__always)
  private func sumRows(_ x: Pointer, _ y: Pointer, _ f: (Vector, Vector) -> Vector) -> Double {
    var sum = 0.0
    var row = 0
    while row < planeCount {
      var a = Vector.zero
      var b = Vector.zero
      var t = row
      let end = row &+ rowLength
      while t &+ 16 <= end {
        a += f(Vector(loading: x, t), Vector(loading: y, t))
        b += f(Vector(loading: x, t &+ 8), Vector(loading: y, t &+ 8))
        t &+= 16
      }
      var rest: Float = 0
      while t < end {
        rest += f(splat(x[t]), splat(y[t]))[0]
        t &+= 1
      }
      sum += Double((a + b).total) + Double(rest)
      row = end
    }
    return sum
  }
}
