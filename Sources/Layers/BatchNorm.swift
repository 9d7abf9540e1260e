import Kernels

/// What every batch normalization keeps and does, whatever it normalizes.
struct BatchNorm {
  let mean, variance, scale, shift, inverseDeviation: Tensor

  static func parameters(_ name: String, _ features: Int) -> [Parameter] {
    [
      Parameter("\(name).weight", [features], .normalization, .one),
      Parameter("\(name).bias", [features], .normalization, .zero),
    ]
  }

  static func statistics(_ name: String, _ features: Int) -> [Statistic] {
    [
      Statistic("\(name).running_mean", [features], initial: 0),
      Statistic("\(name).running_var", [features], initial: 1),
    ]
  }

  static func savedCount(_ features: Int) -> Int { 5 * Cutter.rounded(features) }

  /// - Parameter saved: at least `savedCount` floats
  init(_ saved: Tensor, _ features: Int) {
    var cutter = Cutter(saved)
    mean = cutter.take([features])
    variance = cutter.take([features])
    scale = cutter.take([features])
    shift = cutter.take([features])
    inverseDeviation = cutter.take([features])
  }

  /// Fills scale and shift: from the batch in training, from the running statistics otherwise.
  ///
  /// The batch's mean and its unbiased variance (over `count` values) are left in
  /// `pass.batchStatistics`.
  func prepare(
    _ kernel: any NormalizationKernel, raw: Tensor, pass: Pass, gamma: Tensor, beta: Tensor,
    count: Int
  ) {
    guard pass.training != nil else {
      fold(mean: pass.statistics[0], variance: pass.statistics[1], gamma: gamma, beta: beta)
      return
    }
    kernel.statistics(of: raw, clips: pass.clips, mean: mean, variance: variance)
    publish(pass, count: count)
    fold(mean: mean, variance: variance, gamma: gamma, beta: beta)
  }

  /// Leaves the batch's mean and its unbiased variance (over `count` values) in
  /// `pass.batchStatistics`.
  func publish(_ pass: Pass, count: Int) {
    let (batchMean, batchVariance) = (pass.batchStatistics[0], pass.batchStatistics[1])
    batchMean.matrix().copy(mean.matrix())
    batchVariance.matrix().copy(variance.matrix())
    batchVariance.matrix().scale(Float(count) / Float(max(count - 1, 1)))
  }

  /// Fills scale, shift and inverse deviation.
  func fold(mean: Tensor, variance: Tensor, gamma: Tensor, beta: Tensor) {
    Normalization.fold(
      mean: mean, variance: variance, gamma: gamma, beta: beta, scale: scale, shift: shift,
      inverseDeviation: inverseDeviation)
  }

  /// Writes the gradients of gamma and beta, `pass.gradients`, and into `dx` that of the input, if
  /// it is asked for; `dx` may be `dy`.
  func backward(
    _ kernel: any NormalizationKernel, _ dy: Tensor, _ raw: Tensor, pass: Pass, into dx: Tensor?
  ) {
    kernel.gradientSums(
      dy, raw, clips: pass.clips, mean: mean, inverseDeviation: inverseDeviation,
      gammaGradient: pass.gradients[0], betaGradient: pass.gradients[1])
    guard let dx else { return }
    kernel.inputGradient(
      dy, raw, clips: pass.clips, mean: mean, inverseDeviation: inverseDeviation, scale: scale,
      gammaGradient: pass.gradients[0], betaGradient: pass.gradients[1], into: dx)
  }
}
