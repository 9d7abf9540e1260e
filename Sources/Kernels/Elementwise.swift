/// Arithmetic of matrices element by element. None of it sums, so none of it has an order, but for the
/// last two.
extension Matrix {
  /// self += x
  package func add(_ x: Matrix) { kernels.apply(.add, to: self, x) }
  /// Every row += the one row `bias`.
  package func add(row bias: Tensor) { kernels.add(row: bias, to: self) }
  /// self *= factor
  package func scale(_ factor: Float) { kernels.apply(.scale(factor), to: self) }
  /// self = x ∘ y
  package func hadamard(_ x: Matrix, _ y: Matrix) { kernels.apply(.hadamard, to: self, x, y) }
  /// self += x ∘ y
  package func addHadamard(_ x: Matrix, _ y: Matrix) { kernels.apply(.addHadamard, to: self, x, y) }
  /// self += (1 − x) ∘ y
  package func addComplementHadamard(_ x: Matrix, _ y: Matrix) {
    kernels.apply(.addComplementHadamard, to: self, x, y)
  }
  /// self = (1 − share) · self + share · x
  package func blend(_ x: Matrix, share: Float) { kernels.apply(.blend(share: share), to: self, x) }
  /// self = x − y
  package func difference(_ x: Matrix, _ y: Matrix) { kernels.apply(.difference, to: self, x, y) }

  package func sigmoid() { kernels.apply(.sigmoid, to: self) }
  package func hardSigmoid() { kernels.apply(.hardSigmoid, to: self) }
  package func tanh() { kernels.apply(.tanh, to: self) }
  package func elu() { kernels.apply(.elu, to: self) }
  package func relu() { kernels.apply(.relu, to: self) }

  /// self ∘= y (1 − y), for y = sigmoid(x)
  package func multiplySigmoidSlope(_ y: Matrix) { kernels.apply(.sigmoidSlope, to: self, y) }
  /// self ∘= 0.2 where 0 < y < 1, else 0, for y = hardSigmoid(x)
  package func multiplyHardSigmoidSlope(_ y: Matrix) {
    kernels.apply(.hardSigmoidSlope, to: self, y)
  }
  /// self ∘= 1 − y², for y = tanh(x)
  package func multiplyTanhSlope(_ y: Matrix) { kernels.apply(.tanhSlope, to: self, y) }
  /// self ∘= 1 where y > 0, else y + 1, for y = elu(x)
  package func multiplyELUSlope(_ y: Matrix) { kernels.apply(.eluSlope, to: self, y) }
  /// self = self where y > 0, else 0, for y = relu(x)
  package func multiplyReLUSlope(_ y: Matrix) { kernels.apply(.reluSlope, to: self, y) }

  /// row = the sum of self's rows, added from the first to the last.
  package func columnSums(into row: Tensor) { kernels.sumRows(self, into: row) }
  /// The mean of all values: in vectors along a row, from row to row in double. NaN if one is.
  package var mean: Float { kernels.mean(self) }
}
