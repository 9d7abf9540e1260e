import CVector

/// Arithmetic of matrices element by element, row by row. None of it sums, so none of it has an
/// order; the ragged end of a row takes the same vector path as the rest.
extension Matrix {
  /// Sets every element.
  package func fill(_ value: Float) {
    forRows { $0.update(repeating: value, count: columns) }
  }

  package func copy(_ x: Matrix) {
    forRows(x) { y, x in y.update(from: x, count: columns) }
  }

  /// self += x
  package func add(_ x: Matrix) {
    forRows(x) { y, x in map(x, y, into: y, columns) { $1 + $0 } }
  }

  /// Every row += the one row `bias`.
  package func add(row bias: Tensor) {
    precondition(bias.count == columns, "add(row:): \(bias.count) values for \(columns) columns")
    let b = bias.base
    forRows { y in map(b, y, into: y, columns) { $1 + $0 } }
  }

  /// self *= factor
  package func scale(_ factor: Float) {
    forRows { y in map(y, into: y, columns) { $0 * splat(factor) } }
  }

  /// self = x ∘ y
  package func hadamard(_ x: Matrix, _ y: Matrix) {
    forRows(x, y) { z, x, y in map(x, y, into: z, columns) { $0 * $1 } }
  }

  /// self += x ∘ y
  package func addHadamard(_ x: Matrix, _ y: Matrix) {
    forRows(x, y) { z, x, y in
      forVectors(columns) { i in
        Vector(loading: z, i).adding(Vector(loading: x, i), times: Vector(loading: y, i))
          .store(z, i)
      } ragged: { i, n in
        Vector(loading: z, i, first: n)
          .adding(Vector(loading: x, i, first: n), times: Vector(loading: y, i, first: n))
          .store(z, i, first: n)
      }
    }
  }

  /// self += (1 − x) ∘ y
  package func addComplementHadamard(_ x: Matrix, _ y: Matrix) {
    forRows(x, y) { z, x, y in
      forVectors(columns) { i in
        Vector(loading: z, i).adding(splat(1) - Vector(loading: x, i), times: Vector(loading: y, i))
          .store(z, i)
      } ragged: { i, n in
        Vector(loading: z, i, first: n)
          .adding(
            splat(1) - Vector(loading: x, i, first: n), times: Vector(loading: y, i, first: n)
          )
          .store(z, i, first: n)
      }
    }
  }

  /// self = (1 − share) · self + share · x
  package func blend(_ x: Matrix, share: Float) {
    forRows(x) { y, x in
      map(x, y, into: y, columns) { ($1 * splat(1 - share)).adding($0, times: splat(share)) }
    }
  }

  /// self = x − y
  package func difference(_ x: Matrix, _ y: Matrix) {
    forRows(x, y) { z, x, y in map(x, y, into: z, columns) { $0 - $1 } }
  }

  package func sigmoid() { apply(Mathematics.sigmoid) }
  package func hardSigmoid() { apply(Mathematics.hardSigmoid) }
  package func tanh() { apply(Mathematics.tanh) }
  package func elu() { apply(Mathematics.elu) }
  package func relu() { apply { cv_max($0, .zero) + ($0 - $0) } }

  /// self ∘= y (1 − y), for y = sigmoid(x)
  package func multiplySigmoidSlope(_ y: Matrix) {
    forRows(y) { dx, y in map(dx, y, into: dx, columns) { $0 * ($1 * (splat(1) - $1)) } }
  }

  /// self ∘= 0.2 where 0 < y < 1, else 0, for y = hardSigmoid(x)
  package func multiplyHardSigmoidSlope(_ y: Matrix) {
    forRows(y) { dx, y in
      map(dx, y, into: dx, columns) {
        $0 * cv_select_greater($1 * (splat(1) - $1), .zero, splat(0.2), .zero)
      }
    }
  }

  /// self ∘= 1 − y², for y = tanh(x)
  package func multiplyTanhSlope(_ y: Matrix) {
    forRows(y) { dx, y in map(dx, y, into: dx, columns) { $0 * (splat(1) - $1 * $1) } }
  }

  /// self ∘= 1 where y > 0, else y + 1, for y = elu(x)
  package func multiplyELUSlope(_ y: Matrix) {
    forRows(y) { dx, y in
      map(dx, y, into: dx, columns) { $0 * cv_select_greater($1, .zero, splat(1), $1 + splat(1)) }
    }
  }

  /// self = self where y > 0, else 0, for y = relu(x)
  package func multiplyReLUSlope(_ y: Matrix) {
    forRows(y) { dx, y in
      map(dx, y, into: dx, columns) { $0 * cv_select_greater($1, .zero, splat(1), .zero) }
    }
  }

  /// row = the sum of self's rows, added from the first to the last.
  package func columnSums(into row: Tensor) {
    precondition(row.count == columns, "columnSums: \(row.count) for \(columns) columns")
    let sum = row.base
    sum.update(repeating: 0, count: columns)
    forRows { x in map(x, sum, into: sum, columns) { $1 + $0 } }
  }

  @inline(__always) private func apply(_ f: (Vector) -> Vector) {
    forRows { y in map(y, into: y, columns, f) }
  }

  @inline(__always) private func forRows(_ body: (Pointer) -> Void) {
    for r in 0..<rows { body(row(r)) }
  }

  @inline(__always) private func forRows(_ x: Matrix, _ body: (Pointer, Pointer) -> Void) {
    expectSameSize(x)
    for r in 0..<rows { body(row(r), x.row(r)) }
  }

  @inline(__always)
  private func forRows(_ x: Matrix, _ y: Matrix, _ body: (Pointer, Pointer, Pointer) -> Void) {
    expectSameSize(x)
    expectSameSize(y)
    for r in 0..<rows { body(row(r), x.row(r), y.row(r)) }
  }

  private func expectSameSize(_ x: Matrix) {
    precondition(
      rows == x.rows && columns == x.columns,
      "elementwise: \(rows) × \(columns) against \(x.rows) × \(x.columns)")
  }
}

extension Matrix {
  /// self = xᵀ
  package func transpose(_ x: Matrix) {
    precondition(
      rows == x.columns && columns == x.rows,
      "transpose: \(x.rows) × \(x.columns) into \(rows) × \(columns)")
    for r in 0..<rows {
      let to = row(r)
      for c in 0..<columns { to[c] = x.base[c * x.stride + r] }
    }
  }
}
