import Kernels

/// Convolution, batch normalization, ELU, pooling and dropout as one layer.
///
/// Every convolution of the four networks is followed by the same four functions, so they are one:
/// what happens between reading the input and writing the pooled output is this layer's affair and
/// the kernels'. Input `[C, F, T]`, output `[widths, F / poolF, T / poolT]`.
///
/// The bias of the convolution is taken away again by the batch's mean: its gradient in training is
/// exactly zero and is written as such (rounding would leave noise for Adam to amplify).
package struct ConvolutionBlock: Layer {
  package enum Pooling: String, Sendable { case max, average }

  package let name: String
  private let normalizationName: String
  package let shape: ConvolutionShape
  package let poolF, poolT: Int
  package let pooling: Pooling
  package let dropout: Float

  /// - Parameter number: 1 names the tensors `conv1.…` and `bn1.…`
  package init(
    number: Int, shape: ConvolutionShape, pool: (f: Int, t: Int), pooling: Pooling = .max,
    dropout: Float = 0
  ) {
    precondition(
      shape.outF >= pool.f && shape.outT >= pool.t,
      "ConvolutionBlock: pool \(pool.f) × \(pool.t) of a map \(shape.outF) × \(shape.outT)")
    name = "conv\(number)"
    normalizationName = "bn\(number)"
    self.shape = shape
    poolF = pool.f
    poolT = pool.t
    self.pooling = pooling
    self.dropout = dropout
  }

  package var input: Shape { [shape.inChannels, shape.inF, shape.inT] }
  package var output: Shape { [channels, shape.outF / poolF, shape.outT / poolT] }
  package var multiplyAdds: Int { shape.multiplyAdds }
  package var summary: String {
    let parts = [
      "convolution \(shape.kernelF) × \(shape.kernelT)", "batch normalization", "ELU",
      "\(pooling.rawValue) pool \(poolF) × \(poolT)",
    ]
    return (parts + (dropout > 0 ? ["dropout \(dropout)"] : [])).joined(separator: ", ")
  }

  private var channels: Int { shape.outChannels }
  private var taps: Int { shape.kernelF * shape.kernelT }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight", [channels, shape.inChannels, shape.kernelF, shape.kernelT], .weight,
        .glorotUniform(fanIn: shape.inner, fanOut: channels * taps)),
      Parameter("\(name).bias", [channels], .bias, .zero),
    ] + BatchNorm.parameters(normalizationName, channels)
  }

  package var statistics: [Statistic] { BatchNorm.statistics(normalizationName, channels) }

  package func savedCount(clips: Int, trains: Bool) -> Int {
    guard trains else { return BatchNorm.savedCount(channels) }
    let fused = kernels.block.savedCount(
      shape, poolF: poolF, poolT: poolT, averages: averages, clips: clips)
    return BatchNorm.savedCount(channels) + Cutter.count([fused])
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    kernels.block.scratchCount(
      shape, poolF: poolF, poolT: poolT, averages: averages, clips: clips, threads: threads)
  }

  package func forward(_ pass: Pass) {
    let (norm, saved) = saved(pass)
    let block = block(pass)
    let weight = pass.parameters[0]
    let (bias, gamma, beta) = (pass.parameters[1], pass.parameters[2], pass.parameters[3])
    // The block works without the bias: it only shifts the mean.
    if pass.training == nil {
      norm.mean.matrix().difference(pass.statistics[0].matrix(), bias.matrix())
      norm.fold(mean: norm.mean, variance: pass.statistics[1], gamma: gamma, beta: beta)
      block.evaluate(
        pass.x, weight: weight, scale: norm.scale, shift: norm.shift, into: pass.y,
        scratch: pass.scratch)
      return
    }
    block.convolve(
      pass.x, weight: weight, gamma: gamma, saved: saved, mean: norm.mean, variance: norm.variance,
      scratch: pass.scratch)
    norm.publish(pass, count: pass.clips * shape.outF * shape.outT)
    pass.batchStatistics[0].matrix().add(bias.matrix())
    norm.fold(mean: norm.mean, variance: norm.variance, gamma: gamma, beta: beta)
    block.activate(
      saved: saved, scale: norm.scale, shift: norm.shift, dropout: dropping(pass), into: pass.y,
      scratch: pass.scratch)
  }

  package func backward(_ pass: Pass) {
    let (norm, saved) = saved(pass)
    let block = block(pass)
    let normalization = NormalizedChannels(
      mean: norm.mean, inverseDeviation: norm.inverseDeviation, scale: norm.scale,
      shift: norm.shift)
    block.gradientSums(
      pass.outputGradient, saved: saved, normalization,
      dropout: dropping(pass), gammaGradient: pass.gradients[2],
      betaGradient: pass.gradients[3], scratch: pass.scratch)
    block.gradients(
      pass.x, weight: pass.parameters[0], saved: saved, normalization,
      gammaGradient: pass.gradients[2], betaGradient: pass.gradients[3], into: pass.gradients[0],
      dx: pass.dx, scratch: pass.scratch)
    pass.gradients[1].matrix().fill(0)
  }

  private var averages: Bool { pooling == .average }

  /// In evaluation nothing is saved but the normalization.
  private func saved(_ pass: Pass) -> (norm: BatchNorm, fused: Tensor) {
    var cutter = Cutter(pass.saved)
    let norm = BatchNorm(cutter.take([BatchNorm.savedCount(channels)]), channels)
    let rest = savedCount(clips: pass.clips, trains: pass.training != nil)
    return (norm, cutter.take([rest - BatchNorm.savedCount(channels)]))
  }

  private func block(_ pass: Pass) -> any BlockKernel {
    kernels.block.init(
      shape, poolF: poolF, poolT: poolT, averages: averages, clips: pass.clips, pool: pass.pool)
  }

  private func dropping(_ pass: Pass) -> Dropout? {
    guard let stream = pass.training, dropout > 0 else { return nil }
    return Dropout(rate: dropout, stream: stream)
  }
}
