/// Convolution, batch statistics, pooling, normalization, ELU and dropout as one kernel.
///
/// Forward in training is `convolve`, then `activate`; backward is `gradientSums`, then `gradients`.
package protocol BlockKernel {
  /// - Parameters:
  ///   - poolF, poolT: at most 255 positions; what does not fill a window is left out
  ///   - averages: pool by the mean instead of the maximum
  init(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, pool: ThreadPool)

  /// Floats that the forward pass keeps for the backward pass.
  static func savedCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int
  ) -> Int

  /// Floats of scratch that a pass needs.
  static func scratchCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, threads: Int
  ) -> Int

  /// First half: the raw map, its statistics, its pooled values.
  ///
  /// - Parameters:
  ///   - x: `[N, inChannels, F, T]`
  ///   - gamma: `[channels]`, whose sign decides between maximum and minimum
  ///   - mean, variance: receive the batch's, without the bias; the variance is biased
  func convolve(
    _ x: Tensor, weight: Tensor, gamma: Tensor, saved: Tensor, mean: Tensor, variance: Tensor,
    scratch: Tensor)

  /// Second half: y = dropout(pool(elu(scale · raw + shift))).
  ///
  /// - Parameter y: receives `[N, channels, F / poolF, T / poolT]`
  func activate(
    saved: Tensor, scale: Tensor, shift: Tensor, dropout: Dropout?, into y: Tensor, scratch: Tensor)

  /// y = pool(elu(scale · (w ∗ x) + shift)), nothing kept.
  func evaluate(
    _ x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, into y: Tensor, scratch: Tensor)

  /// First half: the gradients of γ and β, which are the sums of dz · x̂ and of dz; z is the
  /// normalized, scaled and shifted map before ELU.
  ///
  /// - Parameters:
  ///   - dy: gradient of the output; on return, of what went into dropout
  ///   - dropout: as in the forward pass
  func gradientSums(
    _ dy: Tensor, saved: Tensor, _ channels: NormalizedChannels, dropout: Dropout?,
    gammaGradient: Tensor, betaGradient: Tensor, scratch: Tensor)

  /// Second half: the gradients of the weights and of x.
  ///
  /// - Parameter dx: receives `[N, inChannels, F, T]`, if anybody needs it
  func gradients(
    _ x: Tensor, weight: Tensor, saved: Tensor, _ channels: NormalizedChannels,
    gammaGradient: Tensor, betaGradient: Tensor, into dw: Tensor, dx: Tensor?, scratch: Tensor)
}

/// What the normalization knows of each channel.
package struct NormalizedChannels {
  package let mean, inverseDeviation, scale, shift: Pointer

  /// - Parameters:
  ///   - mean: of the raw map, without the bias
  ///   - inverseDeviation: 1 / √(variance + ε)
  ///   - scale: γ · inverseDeviation
  ///   - shift: β − mean · scale
  package init(mean: Tensor, inverseDeviation: Tensor, scale: Tensor, shift: Tensor) {
    self.mean = mean.base
    self.inverseDeviation = inverseDeviation.base
    self.scale = scale.base
    self.shift = shift.base
  }
}
