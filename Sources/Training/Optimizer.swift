import Kernels

/// Adam over the flat parameter vector, with optional clipping of the gradient's norm.
///
/// Elementwise but for the norm, which is summed in fixed blocks: the result does not depend on
/// threads. It holds the moments; how many updates it has made is the run's step.
package struct Optimizer {
  package let settings: Configuration.Optimizer
  /// The largest L2 norm of a gradient; nil leaves gradients as they are.
  package let clipNorm: Double?
  package let firstMoment: Storage
  package let secondMoment: Storage

  package init(_ settings: Configuration.Optimizer, clipNorm: Double?, count: Int) {
    self.settings = settings
    self.clipNorm = clipNorm
    firstMoment = Storage(count: count)
    secondMoment = Storage(count: count)
  }

  /// One update.
  ///
  /// - Parameters:
  ///   - next: where the new parameters are made, which may be `parameters`
  ///   - gradient: as long as `parameters`
  ///   - updates: updates made so far
  ///   - rate: learning rate
  /// - Returns: the gradient's norm, before clipping
  @discardableResult
  package func update(
    _ parameters: Tensor, into next: Tensor, gradient: Tensor, updates: Int, rate: Double,
    pool: ThreadPool
  ) -> Double {
    let norm = gradient.sumOfSquares().squareRoot()
    let scale = clipNorm.map { norm > $0 ? Float($0 / norm) : 1 } ?? 1
    parameters.adam(
      into: next, gradient: gradient, firstMoment: Tensor(firstMoment, shape: [parameters.count]),
      secondMoment: Tensor(secondMoment, shape: [parameters.count]), scale: scale,
      rate: Float(rate), beta1: Float(settings.beta1), beta2: Float(settings.beta2),
      epsilon: Float(settings.epsilon),
      firstCorrection: Float(1 - power(settings.beta1, updates + 1)),
      secondCorrection: Float(1 - power(settings.beta2, updates + 1)), pool: pool)
    return norm
  }

  /// xⁿ by squaring: products alone, so the same bits everywhere.
  private func power(_ x: Double, _ n: Int) -> Double {
    var (result, base, n) = (1.0, x, n)
    while n > 0 {
      if n & 1 == 1 { result *= base }
      base *= base
      n >>= 1
    }
    return result
  }
}
