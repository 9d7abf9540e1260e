import CVector
import Tensors

/// One pass over flat vectors: the optimizer's update, a norm, a look for what is not finite.
extension VectorKernels {
  package func adam(
    _ weights: Tensor, into next: Tensor, gradient: Tensor, firstMoment: Tensor,
    secondMoment: Tensor, _ numbers: AdamUpdate, pool: ThreadPool
  ) {
    let count = weights.count
    precondition(
      [next, gradient, firstMoment, secondMoment].allSatisfy { $0.count == count },
      "adam: \(count) parameters, \(gradient.count) gradients, room for \(next.count)")
    let (w, g, m, v) = (weights.base, gradient.base, firstMoment.base, secondMoment.base)
    let target = next.base
    let block = 16_384
    pool.run((count + block - 1) / block) { b, _ in
      let start = b * block
      forVectors(min(block, count - start)) { i in
        let i = start + i
        let (nw, nm, nv) = update(
          Vector(loading: w, i), Vector(loading: g, i), Vector(loading: m, i),
          Vector(loading: v, i))
        nw.store(target, i)
        nm.store(m, i)
        nv.store(v, i)
      } ragged: { i, n in
        let i = start + i
        let (nw, nm, nv) = update(
          Vector(loading: w, i, first: n), Vector(loading: g, i, first: n),
          Vector(loading: m, i, first: n), Vector(loading: v, i, first: n))
        nw.store(target, i, first: n)
        nm.store(m, i, first: n)
        nv.store(v, i, first: n)
      }
    }

    @inline(__always)
    func update(_ w: Vector, _ g: Vector, _ m: Vector, _ v: Vector) -> (Vector, Vector, Vector) {
      let g = g * splat(numbers.scale)
      let m = (m * splat(numbers.beta1)).adding(g, times: splat(1 - numbers.beta1))
      let v = (v * splat(numbers.beta2)).adding(g * g, times: splat(1 - numbers.beta2))
      let deviation = cv_sqrt(v / splat(numbers.secondCorrection)) + splat(numbers.epsilon)
      return (w - splat(numbers.rate) * (m / splat(numbers.firstCorrection)) / deviation, m, v)
    }
  }

  /// Blocks of 4,096 values in vectors, blocks pairwise in double.
  package func sumOfSquares(_ x: Tensor) -> Double {
    let (x, count) = (x.base, x.count)
    let block = 4096
    var sums: [Double] = []
    for start in stride(from: 0, to: count, by: block) {
      var sum = Vector.zero
      forVectors(min(block, count - start)) { i in
        let v = Vector(loading: x, start + i)
        sum = sum.adding(v, times: v)
      } ragged: { i, n in
        let v = Vector(loading: x, start + i, first: n)
        sum = sum.adding(v, times: v)
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

  package func firstNotFinite(_ x: Tensor) -> Int? {
    let (x, count) = (x.base, x.count)
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
