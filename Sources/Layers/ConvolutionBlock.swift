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
  private var windows: Int { output.count }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight", [channels, shape.inChannels, shape.kernelF, shape.kernelT], .weight,
        .glorotUniform(fanIn: shape.inner, fanOut: channels * taps)),
      Parameter("\(name).bias", [channels], .bias, .zero),
    ] + BatchNorm.parameters(normalizationName, channels)
  }

  package var statistics: [Statistic] { BatchNorm.statistics(normalizationName, channels) }

  package func savedCount(clips: Int) -> Int {
    BatchNorm.savedCount(channels)
      + Cutter.count(
        [clips * shape.outCount], [ChannelBlock.choiceCount(windows: windows, clips: clips)])
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Convolution.scratchCount(shape, clips: clips, threads: threads)
  }

  package func forward(_ pass: Pass) {
    let (norm, raw, choices) = saved(pass)
    Convolution(shape, pool: pass.pool).forward(
      pass.x, weight: pass.parameters[0], bias: pass.parameters[1], into: raw,
      scratch: pass.scratch)
    norm.prepare(
      ChannelNormalization(
        channels: channels, planeCount: shape.outF * shape.outT, rowLength: shape.outT,
        pool: pass.pool), raw: raw, pass: pass, gamma: pass.parameters[2],
      beta: pass.parameters[3], count: pass.clips * shape.outF * shape.outT)
    block(pass).forward(
      raw, scale: norm.scale, shift: norm.shift, choices: choices, dropout: dropping(pass),
      into: pass.y)
  }

  package func backward(_ pass: Pass) {
    let (norm, raw, choices) = saved(pass)
    let block = block(pass)
    let dy = pass.outputGradient
    block.gradientSums(
      dy, raw: raw, scale: norm.scale, shift: norm.shift, mean: norm.mean,
      inverseDeviation: norm.inverseDeviation, choices: choices,
      keepScale: dropping(pass)?.keepScale ?? 1, gammaGradient: pass.gradients[2],
      betaGradient: pass.gradients[3])
    block.rawGradient(
      inPlaceOf: raw, dz: dy, scale: norm.scale, shift: norm.shift, mean: norm.mean,
      inverseDeviation: norm.inverseDeviation, choices: choices,
      gammaGradient: pass.gradients[2], betaGradient: pass.gradients[3])
    let convolution = Convolution(shape, pool: pass.pool)
    convolution.weightGradient(pass.x, raw, into: pass.gradients[0], scratch: pass.scratch)
    pass.gradients[1].matrix().fill(0)
    if let dx = pass.dx {
      convolution.inputGradient(raw, weight: pass.parameters[0], into: dx, scratch: pass.scratch)
    }
  }

  private func saved(_ pass: Pass) -> (norm: BatchNorm, raw: Tensor, choices: Tensor) {
    var cutter = Cutter(pass.saved)
    let norm = cutter.take([BatchNorm.savedCount(channels)])
    return (
      BatchNorm(norm, channels),
      cutter.take([pass.clips, channels, shape.outF, shape.outT]),
      cutter.take([ChannelBlock.choiceCount(windows: windows, clips: pass.clips)])
    )
  }

  private func block(_ pass: Pass) -> ChannelBlock {
    ChannelBlock(
      channels: channels, bands: shape.outF, frames: shape.outT, poolF: poolF, poolT: poolT,
      averages: pooling == .average, pool: pass.pool)
  }

  private func dropping(_ pass: Pass) -> Dropout? {
    guard let stream = pass.training, dropout > 0 else { return nil }
    return Dropout(rate: dropout, stream: stream)
  }
}
