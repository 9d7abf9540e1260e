import CVector
import Tensors

/// Losses from logits, and their gradients. Few values a clip, so a row at a time and no threads;
/// the sum over rows is in double, from the first to the last.
extension VectorKernels {
  package func binaryCrossEntropy(
    logits: Matrix, labels: Matrix, gradient: Matrix, scale: Float, positiveWeights: Tensor?
  ) -> Double {
    let columns = logits.columns
    let weights = positiveWeights ?? Tensor([Float](repeating: 1, count: columns), shape: [columns])
    precondition(weights.count == columns, "\(weights.count) weights for \(columns) tags")
    let w = weights.base
    var sum = 0.0
    for r in 0..<logits.rows {
      let (x, y, dx) = (logits.row(r), labels.row(r), gradient.row(r))
      forVectors(columns) { i in
        let terms = BinaryTerms(
          Vector(loading: x, i), Vector(loading: y, i), Vector(loading: w, i))
        (terms.slope * splat(scale)).store(dx, i)
        sum += Double(terms.loss.total)
      } ragged: { i, n in
        let terms = BinaryTerms(
          Vector(loading: x, i, first: n), Vector(loading: y, i, first: n),
          Vector(loading: w, i, first: n))
        (terms.slope * splat(scale)).store(dx, i, first: n)
        for k in 0..<n { sum += Double(terms.loss[k]) }
      }
    }
    return sum
  }

  /// Loss and slope of eight logits x with labels y and positive weights w. With v = 1 + (w − 1)·y:
  private struct BinaryTerms {
    /// v·max(x, 0) − w·x·y + v·log(1 + e^{−|x|})
    let loss: Vector
    /// v·sigmoid(x) − w·y; NaN where x is
    let slope: Vector

    @inline(__always) init(_ x: Vector, _ y: Vector, _ w: Vector) {
      let v = splat(1) + (w - splat(1)) * y
      let tail = Mathematics.log1p(Mathematics.exp(-Mathematics.magnitude(x)))
      loss = v * cv_max(x, .zero) - w * (x * y) + v * tail
      slope = x - x + v * Mathematics.sigmoid(x) - w * y
    }
  }

  package func softmaxCrossEntropy(
    logits: Matrix, labels: Matrix, gradient: Matrix, scale: Float
  ) -> Double {
    let columns = logits.columns
    var sum = 0.0
    for r in 0..<logits.rows {
      let (x, y, dx) = (logits.row(r), labels.row(r), gradient.row(r))
      let largest = largest(x, columns)
      map(x, into: dx, columns) { Mathematics.exp($0 - splat(largest)) }
      var total: Float = 0
      for c in 0..<columns { total += dx[c] }
      let logTotal = Mathematics.log(splat(total))[0]
      for c in 0..<columns {
        sum += Double(y[c] * (logTotal - (x[c] - largest)))
        dx[c] = (dx[c] / total - y[c]) * scale
      }
    }
    return sum
  }

  package func softmax(_ matrix: Matrix) {
    let columns = matrix.columns
    for r in 0..<matrix.rows {
      let x = matrix.row(r)
      let largest = largest(x, columns)
      map(x, into: x, columns) { Mathematics.exp($0 - splat(largest)) }
      var total: Float = 0
      for c in 0..<columns { total += x[c] }
      map(x, into: x, columns) { $0 / splat(total) }
    }
  }

  private func largest(_ x: Pointer, _ count: Int) -> Float {
    var largest = -Float.infinity
    for i in 0..<count { largest = max(largest, x[i]) }
    return largest
  }
}
