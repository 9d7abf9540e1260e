/// One pass over flat vectors: the optimizer's update, a norm, a look for what is not finite.
extension Tensor {
  /// One Adam update (Kingma and Ba, 2015), in place.
  ///
  /// - Parameters:
  ///   - gradient, firstMoment, secondMoment: as long as `self`; the moments are updated
  ///   - scale: multiplies the gradient first (clipping)
  ///   - rate: learning rate
  ///   - firstCorrection, secondCorrection: 1 − β₁ᵗ and 1 − β₂ᵗ
  package func adam(
    into next: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, scale: Float,
    rate: Float, beta1: Float, beta2: Float, epsilon: Float, firstCorrection: Float,
    secondCorrection: Float, pool: ThreadPool
  ) {
    kernels.adam(
      self, into: next, gradient: gradient, firstMoment: firstMoment, secondMoment: secondMoment,
      AdamUpdate(
        scale: scale, rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon,
        firstCorrection: firstCorrection, secondCorrection: secondCorrection), pool: pool)
  }

  /// The sum of squares. Its order is a function of `count` alone.
  package func sumOfSquares() -> Double { kernels.sumOfSquares(self) }

  /// The first value that is NaN or infinite.
  package var firstNotFinite: Int? { kernels.firstNotFinite(self) }
}

extension Dropout {
  /// Drops or scales every value of `x`, which starts the stream.
  package func apply(to x: Tensor) { kernels.drop(self, x) }
}
