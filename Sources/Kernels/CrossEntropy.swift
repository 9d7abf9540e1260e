import CVector

/// Losses from logits, and their gradients. Few values a clip, so a row at a time and no threads;
/// the sum over rows is in double, from the first to the last.
extension Matrix {
  /// Binary cross-entropy of logits `self` `[N, K]` against labels 0…1, in nats.
  ///
  /// - Parameters:
  ///   - gradient: receives (sigmoid(x) − label) · scale
  /// - Returns: the sum over rows and columns, not scaled. NaN if any logit or label is.
  package func binaryCrossEntropy(labels: Matrix, gradient: Matrix, scale: Float) -> Double {
    var sum = 0.0
    for r in 0..<rows {
      let (x, y, dx) = (row(r), labels.row(r), gradient.row(r))
      map(x, y, into: dx, columns) { ($0 - $0 + Mathematics.sigmoid($0) - $1) * splat(scale) }
      forVectors(columns) { i in
        sum += Double(Self.loss(Vector(loading: x, i), Vector(loading: y, i)).total)
      } ragged: { i, n in
        let losses = Self.loss(
          Vector(loading: x, i, first: n), Vector(loading: y, i, first: n))
        for k in 0..<n { sum += Double(losses[k]) }
      }
    }
    return sum
  }

  /// max(x, 0) − x·y + log(1 + e^{−|x|})
  @inline(__always) private static func loss(_ x: Vector, _ y: Vector) -> Vector {
    cv_max(x, .zero) - x * y + Mathematics.log1p(Mathematics.exp(-Mathematics.magnitude(x)))
  }

  /// Softmax cross-entropy of logits `self` `[N, K]` against labels that sum to one a row, in nats.
  ///
  /// - Parameters:
  ///   - gradient: receives (softmax(x) − label) · scale
  /// - Returns: the sum over rows, not scaled
  package func softmaxCrossEntropy(labels: Matrix, gradient: Matrix, scale: Float) -> Double {
    var sum = 0.0
    for r in 0..<rows {
      let (x, y, dx) = (row(r), labels.row(r), gradient.row(r))
      let largest = largestOfRow(r)
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

  /// Every row becomes its softmax.
  package func softmax() {
    for r in 0..<rows {
      let x = row(r)
      let largest = largestOfRow(r)
      map(x, into: x, columns) { Mathematics.exp($0 - splat(largest)) }
      var total: Float = 0
      for c in 0..<columns { total += x[c] }
      map(x, into: x, columns) { $0 / splat(total) }
    }
  }

  private func largestOfRow(_ r: Int) -> Float {
    var largest = -Float.infinity
    for c in 0..<columns { largest = max(largest, row(r)[c]) }
    return largest
  }
}
