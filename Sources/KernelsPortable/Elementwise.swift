import CVector
import Tensors

/// Arithmetic of matrices element by element, row by row. None of it sums, so none of it has an
/// order; the ragged end of a row takes the same vector path as the rest.
extension VectorKernels {
  package func apply(_ function: InPlaceFunction, to y: Matrix) {
    switch function {
    case .scale(let factor): each(y) { $0 * splat(factor) }
    case .sigmoid: each(y, Mathematics.sigmoid)
    case .hardSigmoid: each(y, Mathematics.hardSigmoid)
    case .tanh: each(y, Mathematics.tanh)
    case .elu: each(y, Mathematics.elu)
    case .relu: each(y) { cv_max($0, .zero) + ($0 - $0) }
    }
  }

  package func apply(_ function: CombiningFunction, to y: Matrix, _ x: Matrix) {
    switch function {
    case .add: each(y, x) { $0 + $1 }
    case .blend(let share):
      each(y, x) { ($0 * splat(1 - share)).adding($1, times: splat(share)) }
    case .sigmoidSlope: each(y, x) { $0 * ($1 * (splat(1) - $1)) }
    case .hardSigmoidSlope:
      each(y, x) { $0 * cv_select_greater($1 * (splat(1) - $1), .zero, splat(0.2), .zero) }
    case .tanhSlope: each(y, x) { $0 * (splat(1) - $1 * $1) }
    case .eluSlope: each(y, x) { $0 * cv_select_greater($1, .zero, splat(1), $1 + splat(1)) }
    case .reluSlope: each(y, x) { $0 * cv_select_greater($1, .zero, splat(1), .zero) }
    }
  }

  package func apply(_ function: JoiningFunction, to z: Matrix, _ x: Matrix, _ y: Matrix) {
    switch function {
    case .hadamard: each(z, x, y) { $1 * $2 }
    case .addHadamard: each(z, x, y) { $0.adding($1, times: $2) }
    case .addComplementHadamard: each(z, x, y) { $0.adding(splat(1) - $1, times: $2) }
    case .difference: each(z, x, y) { $1 - $2 }
    }
  }

  package func add(row bias: Tensor, to y: Matrix) {
    precondition(
      bias.count == y.columns, "add(row:): \(bias.count) values for \(y.columns) columns")
    let (b, columns) = (bias.base, y.columns)
    forRows(y) { y in map(b, y, into: y, columns) { $1 + $0 } }
  }

  package func sumRows(_ x: Matrix, into sum: Tensor) {
    precondition(sum.count == x.columns, "columnSums: \(sum.count) for \(x.columns) columns")
    let (sum, columns) = (sum.base, x.columns)
    sum.update(repeating: 0, count: columns)
    forRows(x) { x in map(x, sum, into: sum, columns) { $1 + $0 } }
  }

  package func mean(_ x: Matrix) -> Float {
    let columns = x.columns
    var sum = 0.0
    forRows(x) { x in
      var total = Vector.zero
      forVectors(columns) { i in
        total += Vector(loading: x, i)
      } ragged: { i, n in
        total += Vector(loading: x, i, first: n)
      }
      sum += Double(total.total)
    }
    return Float(sum / Double(x.rows * columns))
  }

  @inline(__always) private func each(_ y: Matrix, _ f: (Vector) -> Vector) {
    let columns = y.columns
    forRows(y) { y in map(y, into: y, columns, f) }
  }

  @inline(__always)
  private func each(_ y: Matrix, _ x: Matrix, _ f: (Vector, Vector) -> Vector) {
    y.expectSameSize(x)
    let columns = y.columns
    var from = x.base
    forRows(y) { y in
      map(y, from, into: y, columns, f)
      from += x.stride
    }
  }

  @inline(__always)
  private func each(
    _ z: Matrix, _ x: Matrix, _ y: Matrix, _ f: (Vector, Vector, Vector) -> Vector
  ) {
    z.expectSameSize(x)
    z.expectSameSize(y)
    let columns = z.columns
    let (xStride, yStride) = (x.stride, y.stride)
    var (x, y) = (x.base, y.base)
    forRows(z) { z in
      forVectors(columns) { i in
        f(Vector(loading: z, i), Vector(loading: x, i), Vector(loading: y, i)).store(z, i)
      } ragged: { i, n in
        f(
          Vector(loading: z, i, first: n), Vector(loading: x, i, first: n),
          Vector(loading: y, i, first: n)
        ).store(z, i, first: n)
      }
      x += xStride
      y += yStride
    }
  }

  @inline(__always) private func forRows(_ y: Matrix, _ body: (Pointer) -> Void) {
    let (base, stride) = (y.base, y.stride)
    for r in 0..<y.rows { body(base + r * stride) }
  }
}
