/// What moves numbers and computes nothing.
extension Matrix {
  /// Sets every element.
  package func fill(_ value: Float) {
    for r in 0..<rows { row(r).update(repeating: value, count: columns) }
  }

  package func copy(_ x: Matrix) {
    expectSameSize(x)
    for r in 0..<rows { row(r).update(from: x.row(r), count: columns) }
  }

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

  package func expectSameSize(_ x: Matrix) {
    precondition(
      rows == x.rows && columns == x.columns,
      "elementwise: \(rows) × \(columns) against \(x.rows) × \(x.columns)")
  }
}
