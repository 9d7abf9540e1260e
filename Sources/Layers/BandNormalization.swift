import Kernels

/// Batch normalization of a mel map, band by band: each of the bands has its own mean and deviation
/// over the clips and frames of the batch.
///
/// Input and output `[channels, bands, frames]`; a band of a channel counts as one feature.
package struct BandNormalization: Layer {
  package let name: String
  package let input: Shape
  package var output: Shape { input }
  package var summary: String { "batch normalization of \(features) bands" }

  package init(name: String, input: Shape) {
    precondition(input.rank == 3, "BandNormalization: input \(input)")
    self.name = name
    self.input = input
  }

  private var features: Int { input[0] * input[1] }

  package var parameters: [Parameter] { BatchNorm.parameters(name, features) }
  package var statistics: [Statistic] { BatchNorm.statistics(name, features) }

  package func savedCount(clips: Int, trains: Bool) -> Int { BatchNorm.savedCount(features) }

  package func forward(_ pass: Pass) {
    let kernel = normalization(pass)
    let norm = BatchNorm(pass.saved, features)
    norm.prepare(
      kernel, raw: pass.x, pass: pass, gamma: pass.parameters[0], beta: pass.parameters[1],
      count: pass.clips * input[2])
    kernel.forward(pass.x, clips: pass.clips, scale: norm.scale, shift: norm.shift, into: pass.y)
  }

  package func backward(_ pass: Pass) {
    let kernel = normalization(pass)
    let norm = BatchNorm(pass.saved, features)
    kernel.gradientSums(
      pass.outputGradient, pass.x, clips: pass.clips, mean: norm.mean,
      inverseDeviation: norm.inverseDeviation, gammaGradient: pass.gradients[0],
      betaGradient: pass.gradients[1])
    if let dx = pass.dx {
      kernel.inputGradient(
        pass.outputGradient, pass.x, clips: pass.clips, mean: norm.mean,
        inverseDeviation: norm.inverseDeviation, scale: norm.scale,
        gammaGradient: pass.gradients[0], betaGradient: pass.gradients[1], into: dx)
    }
  }

  private func normalization(_ pass: Pass) -> ChannelNormalization {
    ChannelNormalization(
      channels: features, planeCount: input[2], rowLength: input[2], pool: pass.pool)
  }
}

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
    _ kernel: ChannelNormalization, raw: Tensor, pass: Pass, gamma: Tensor, beta: Tensor, count: Int
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
    ChannelNormalization.fold(
      mean: mean, variance: variance, gamma: gamma, beta: beta, scale: scale, shift: shift,
      inverseDeviation: inverseDeviation)
  }
}
