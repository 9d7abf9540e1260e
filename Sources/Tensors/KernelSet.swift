/// All arithmetic that runs in vectors of a processor, as one value: there is a set for each kind of
/// processor, made of one source, and one is chosen at start (see `Kernels`).
///
/// A call here is for a whole matrix, vector or pass. Tensors and pointers cross this boundary, never
/// vectors: the two sides do not agree on the registers these are passed in.
package protocol KernelSet: Sendable {
  /// What it is compiled for. Sets of different names round differently.
  var name: String { get }

  // MARK: Matrices

  func apply(_ function: InPlaceFunction, to y: Matrix)
  func apply(_ function: CombiningFunction, to y: Matrix, _ x: Matrix)
  func apply(_ function: JoiningFunction, to z: Matrix, _ x: Matrix, _ y: Matrix)
  /// Every row += the one row `bias`.
  func add(row bias: Tensor, to y: Matrix)
  /// sum = the sum of x's rows, added from the first to the last.
  func sumRows(_ x: Matrix, into sum: Tensor)
  /// The mean of all values: in vectors along a row, from row to row in double. NaN if one is.
  func mean(_ x: Matrix) -> Float
  /// Every row becomes its softmax.
  func softmax(_ x: Matrix)

  // MARK: Losses

  /// See `Matrix.binaryCrossEntropy`.
  func binaryCrossEntropy(
    logits: Matrix, labels: Matrix, gradient: Matrix, scale: Float, positiveWeights: Tensor?
  ) -> Double
  /// See `Matrix.softmaxCrossEntropy`.
  func softmaxCrossEntropy(
    logits: Matrix, labels: Matrix, gradient: Matrix, scale: Float
  ) -> Double

  // MARK: Flat vectors

  /// One Adam update (Kingma and Ba, 2015), in place.
  func adam(
    _ weights: Tensor, into next: Tensor, gradient: Tensor, firstMoment: Tensor,
    secondMoment: Tensor, _ update: AdamUpdate, pool: ThreadPool)
  /// The sum of squares, in an order that is a function of the count alone.
  func sumOfSquares(_ x: Tensor) -> Double
  /// The first value that is NaN or infinite.
  func firstNotFinite(_ x: Tensor) -> Int?
  /// Drops or scales every value.
  func drop(_ dropout: Dropout, _ x: Tensor)

  // MARK: Passes

  var block: any BlockKernel.Type { get }
  var normalization: any NormalizationKernel.Type { get }
}

/// y = f(y), element by element.
package enum InPlaceFunction: Sendable {
  case scale(Float)
  case sigmoid, hardSigmoid, tanh, elu, relu
}

/// y = f(y, x), element by element.
package enum CombiningFunction: Sendable {
  case add
  case blend(share: Float)
  /// y is a gradient, x the function's value.
  case sigmoidSlope, hardSigmoidSlope, tanhSlope, eluSlope, reluSlope
}

/// z = f(z, x, y), element by element.
package enum JoiningFunction: Sendable {
  case hadamard, addHadamard, addComplementHadamard, difference
}

/// The numbers of one Adam update.
package struct AdamUpdate: Sendable {
  /// Multiplies the gradient first (clipping).
  package let scale: Float
  /// The learning rate.
  package let rate: Float
  package let beta1, beta2, epsilon: Float
  /// 1 − β₁ᵗ and 1 − β₂ᵗ.
  package let firstCorrection, secondCorrection: Float

  package init(
    scale: Float, rate: Float, beta1: Float, beta2: Float, epsilon: Float, firstCorrection: Float,
    secondCorrection: Float
  ) {
    self.scale = scale
    self.rate = rate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.firstCorrection = firstCorrection
    self.secondCorrection = secondCorrection
  }
}
