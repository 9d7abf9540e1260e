/// What every batch normalization is made of, apart from its sums.
package enum Normalization {
  package static let epsilon: Float = 1e-5

  /// scale = γ/√(variance + ε), shift = β − mean · scale, inverse = 1/√(variance + ε).
  package static func fold(
    mean: Tensor, variance: Tensor, gamma: Tensor, beta: Tensor, scale: Tensor, shift: Tensor,
    inverseDeviation: Tensor
  ) {
    for c in 0..<gamma.count {
      let inverse = 1 / (variance.base[c] + epsilon).squareRoot()
      inverseDeviation.base[c] = inverse
      scale.base[c] = gamma.base[c] * inverse
      shift.base[c] = beta.base[c] - mean.base[c] * scale.base[c]
    }
  }
}

/// Batch normalization of a map `[N, channels, …]`: sums, the affine map, and its gradient.
package protocol NormalizationKernel {
  /// - Parameters:
  ///   - planeCount: values of one channel of one clip
  ///   - rowLength: divides `planeCount`
  init(channels: Int, planeCount: Int, rowLength: Int, pool: ThreadPool)

  /// Mean and biased variance of each channel over clips and positions, in two passes.
  func statistics(of x: Tensor, clips: Int, mean: Tensor, variance: Tensor)

  /// y = scale · x + shift.
  func forward(_ x: Tensor, clips: Int, scale: Tensor, shift: Tensor, into y: Tensor)

  /// Writes the sums of dy and of dy · x̂, which are the gradients of β and γ.
  func gradientSums(
    _ dy: Tensor, _ x: Tensor, clips: Int, mean: Tensor, inverseDeviation: Tensor,
    gammaGradient: Tensor, betaGradient: Tensor)

  /// dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)); dx may be dy.
  func inputGradient(
    _ dy: Tensor, _ x: Tensor, clips: Int, mean: Tensor, inverseDeviation: Tensor, scale: Tensor,
    gammaGradient: Tensor, betaGradient: Tensor, into dx: Tensor)
}
