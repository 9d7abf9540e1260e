import CVector

/// One pass over flat vectors: the optimizer's update, a norm, a look for what is not finite.
extension Tensor {
  /// One Adam update (Kingma and Ba, 2015), in place.
  ///
  /// - Parameters:
  ///   - gradient, firstMoment, secondMoment: as long as `self`; the moments are updated
  ///   - scale: multiplies the gradient first (clipping)
  ///   - rate: learning rate
  ///   - firstCorrection, secondCorrection: 1 − β₁ᵗ and 1 − β₂ᵗ
  package func adam(
    gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, scale: Float, rate: Float,
    beta1: Float, beta2: Float, epsilon: Float, firstCorrection: Float, secondCorrection: Float,
    pool: ThreadPool
  ) {
    precondition(
      gradient.count == count && firstMoment.count == count && secondMoment.count == count,
      "adam: \(count) parameters, \(gradient.count) gradients")
    let (w, g, m, v) = (base, gradient.base, firstMoment.base, secondMoment.base)
    let block = 16_384
    pool.run((count + block - 1) / block) { b, _ in
      let start = b * block
      forVectors(min(block, count - start)) { i in
        let i = start + i
        let (nw, nm, nv) = update(
          Vector(loading: w, i), Vector(loading: g, i), Vector(loading: m, i),
          Vector(loading: v, i))
        nw.store(w, i)
        nm.store(m, i)
        nv.store(v, i)
      } ragged: { i, n in
        let i = start + i
        let (nw, nm, nv) = update(
          Vector(loading: w, i, first: n), Vector(loading: g, i, first: n),
          Vector(loading: m, i, first: n), Vector(loading: v, i, first: n))
        nw.store(w, i, first: n)
        nm.store(m, i, first: n)
        nv.store(v, i, first: n)
      }
    }

    @inline(__always)
    func update(_ w: Vector, _ g: Vector, _ m: Vector, _ v: Vector) -> (Vector, Vector, Vector) {
      let g = g * splat(scale)
      let m = (m * splat(beta1)).adding(g, times: splat(1 - beta1))
      let v = (v * splat(beta2)).adding(g * g, times: splat(1 - beta2))
      let deviation = cv_sqrt(v / splat(secondCorrection)) + splat(epsilon)
      return (w - splat(rate) * (m / splat(firstCorrection)) / deviation, m, v)
    }
  }

  /// The sum of squares: blocks of 4,096 values in vectors, blocks pairwise in double. The order is
  /// a function of `count` alone.
  package func sumOfSquares() -> Double {
    let block = 4096
    var sums: [Double] = []
    for start in stride(from: 0, to: count, by: block) {
      var sum = Vector.zero
      forVectors(min(block, count - start)) { i in
        let x = Vector(loading: base, start + i)
        sum = sum.adding(x, times: x)
      } ragged: { i, n in
        let x = Vector(loading: base, start + i, first: n)
        sum = sum.adding(x, times: x)
      }
      sums.append(Double(sum.total))
    }
    while sums.count > 1 {
      sums = stride(from: 0, to: sums.count, by: 2).map {
        $0 + 1 < sums.count ? sums[$0] + sums[$0 + 1] : sums[$0]
      }
    }
    return sums.first ?? 0
  }

  /// The first value that is NaN or infinite.
  package var firstNotFinite: Int? {
    let x = base
    var i = 0
    while i + 8 <= count {
      // x − x is zero for finite numbers alone
      let v = Vector(loading: x, i)
      if (v - v) != .zero { break }
      i += 8
    }
    while i < count {
      if !x[i].isFinite { return i }
      i += 1
    }
    return nil
  }
}
