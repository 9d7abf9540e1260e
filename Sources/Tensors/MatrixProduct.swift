import COpenBLAS

/// A matrix as an operand of a product: read as it lies, or across.
package protocol MatrixOperand {
  var operand: (matrix: Matrix, transposed: Bool) { get }
}

extension Matrix: MatrixOperand {
  package var operand: (matrix: Matrix, transposed: Bool) { (self, false) }

  /// This matrix, read across by a product.
  package var transposed: TransposedMatrix { TransposedMatrix(matrix: self) }

  /// self = a·b, or self += a·b.
  ///
  /// One call of OpenBLAS on one thread: its bits depend on the sizes alone.
  ///
  /// - Precondition: a is [rows, inner], b is [inner, columns], after transposition
  package func product(_ a: some MatrixOperand, _ b: some MatrixOperand, adding: Bool = false) {
    let (a, transposeA) = a.operand
    let (b, transposeB) = b.operand
    let inner = transposeA ? a.rows : a.columns
    precondition(
      (transposeA ? a.columns : a.rows) == rows && (transposeB ? b.rows : b.columns) == columns
        && (transposeB ? b.columns : b.rows) == inner,
      "product: [\(a.rows), \(a.columns)]\(transposeA ? "ᵀ" : "") · [\(b.rows), \(b.columns)]"
        + "\(transposeB ? "ᵀ" : "") into [\(rows), \(columns)]")
    multiply(
      a.base, a.stride, transposeA, b.base, b.stride, transposeB, into: base, stride,
      rows: rows, columns: columns, inner: inner, adding: adding)
  }
}

package struct TransposedMatrix: MatrixOperand {
  let matrix: Matrix
  package var operand: (matrix: Matrix, transposed: Bool) { (matrix, true) }
}

/// C = A·B or C += A·B over bare pointers, leading dimensions beside them.
private func multiply(
  _ a: UnsafePointer<Float>, _ lda: Int, _ transposeA: Bool,
  _ b: UnsafePointer<Float>, _ ldb: Int, _ transposeB: Bool,
  into c: Pointer, _ ldc: Int, rows: Int, columns: Int, inner: Int, adding: Bool
) {
  if rows == 0 || columns == 0 { return }
  _ = oneThread
  cblas_sgemm(
    CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
    blasint(rows), blasint(columns), blasint(inner), 1, a, blasint(max(lda, 1)), b,
    blasint(max(ldb, 1)), adding ? 1 : 0, c, blasint(max(ldc, 1)))
}

/// Splitting work is ours (see `ThreadPool`): OpenBLAS gets one thread, once.
private let oneThread: Void = openblas_set_num_threads(1)
