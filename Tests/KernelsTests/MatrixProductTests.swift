import Kernels
import Testing

@Suite("Matrix products")
struct MatrixProductTests {
  struct Case: CustomTestStringConvertible {
    let rows, columns, inner: Int
    var testDescription: String { "\(rows) × \(inner) · \(inner) × \(columns)" }
  }

  static let cases = [
    Case(rows: 1, columns: 1, inner: 1), Case(rows: 3, columns: 5, inner: 7),
    Case(rows: 1, columns: 33, inner: 17), Case(rows: 29, columns: 1, inner: 8),
    Case(rows: 8, columns: 16, inner: 32), Case(rows: 31, columns: 50, inner: 65),
    Case(rows: 5, columns: 4, inner: 0), Case(rows: 0, columns: 4, inner: 3),
    Case(rows: 4, columns: 0, inner: 3), Case(rows: 67, columns: 130, inner: 300),
  ]

  @Test(
    "a product equals the sum of its products, across or as it lies, written or added",
    arguments: cases)
  func product(_ size: Case) {
    for (transposeA, transposeB, adding) in [
      (false, false, false), (false, true, true), (true, false, false), (true, true, true),
      (true, false, true), (false, true, false),
    ] {
      let a = Window(transposeA ? (size.inner, size.rows) : (size.rows, size.inner), seed: 1)
      let b = Window(transposeB ? (size.columns, size.inner) : (size.inner, size.columns), seed: 2)
      let c = Window((size.rows, size.columns), seed: 3)
      // What is not added to must not be read either.
      if !adding { c.matrix.fill(.nan) }
      var expected: [ExactSum] = []
      for r in 0..<size.rows {
        for column in 0..<size.columns {
          var sum = ExactSum()
          if adding { sum.add(Double(c[r, column])) }
          for k in 0..<size.inner {
            let x = transposeA ? a[k, r] : a[r, k]
            let y = transposeB ? b[column, k] : b[k, column]
            sum.add(Double(x) * Double(y))
          }
          expected.append(sum)
        }
      }
      switch (transposeA, transposeB) {
      case (false, false): c.matrix.product(a.matrix, b.matrix, adding: adding)
      case (false, true): c.matrix.product(a.matrix, b.matrix.transposed, adding: adding)
      case (true, false): c.matrix.product(a.matrix.transposed, b.matrix, adding: adding)
      case (true, true): c.matrix.product(a.matrix.transposed, b.matrix.transposed, adding: adding)
      }
      expectClose(c.values, expected, "transposed \(transposeA) \(transposeB), adding \(adding)")
      #expect(c.marginIsIntact)
    }
  }

  @Test("a transposed copy is the matrix read across")
  func transposedCopy() {
    let x = Window((5, 9), seed: 4)
    let y = Window((9, 5), seed: 5)
    y.matrix.transpose(x.matrix)
    for r in 0..<9 {
      for c in 0..<5 { #expect(y[r, c] == x[c, r]) }
    }
    #expect(y.marginIsIntact)
  }
}

/// A matrix whose rows do not touch: three floats lie between them, and none of them may change.
struct Window {
  let matrix: Matrix
  private static let gap = 3
  private static let mark: Float = 1234.5

  init(
    _ size: (rows: Int, columns: Int), seed: Int, in range: ClosedRange<Float> = -1...1
  ) {
    let stride = size.columns + Self.gap
    let storage = Storage(count: Self.gap + size.rows * stride)
    storage.buffer.update(repeating: Self.mark)
    matrix = Matrix(
      storage, offset: Self.gap, rows: size.rows, columns: size.columns, stride: stride)
    let values = noiseValues(size.rows * size.columns, seed: seed, in: range)
    for r in 0..<size.rows {
      for c in 0..<size.columns { matrix.row(r)[c] = values[r * size.columns + c] }
    }
  }

  subscript(r: Int, c: Int) -> Float { matrix.row(r)[c] }

  /// The elements, row by row.
  var values: [Float] {
    (0..<matrix.rows).flatMap { r in (0..<matrix.columns).map { self[r, $0] } }
  }

  var marginIsIntact: Bool {
    let all = Array(matrix.storage.buffer)
    let margins = (0..<matrix.rows).map { r in
      all[(Self.gap + r * matrix.stride + matrix.columns)...].prefix(Self.gap)
    }
    return all.prefix(Self.gap).allSatisfy { $0 == Self.mark }
      && margins.allSatisfy { $0.allSatisfy { $0 == Self.mark } }
  }
}
