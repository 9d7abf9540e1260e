import Kernels
import Layers
import Testing

/// A layer with everything that a pass needs, each tensor in a window of exactly the stated size
/// between fences; what the layer has to write starts as NaN.
final class LayerRun {
  /// Decides what dropout drops, in training.
  static let stream = RandomStream(seed: 3, purpose: .dropout, time: 5, lane: 1, place: 2)

  let layer: any Layer
  let clips: Int
  let training: RandomStream?
  let x, y, dy, saved, scratch: Fenced
  let dx: Fenced?
  let parameters, statistics, batchStatistics, gradients: [Fenced]
  /// The gradient of the output, which is also what the loss weighs the output by.
  let upstream: [Float]
  private let pool: ThreadPool

  /// - Parameters:
  ///   - separated: use an input that stays away from where the layer's slope jumps: the case's
  ///     separated one, with weights that keep it so, or a small one
  ///   - needsInputGradient: false is how the first layer of a network runs
  init(
    _ example: LayerCase, threads: Int = 1, training: Bool = true, separated: Bool = false,
    needsInputGradient: Bool = true
  ) {
    let layer = example.layer
    let clips = example.clips
    self.layer = layer
    self.clips = clips
    self.training = training ? Self.stream : nil
    pool = ThreadPool(threads: threads, spins: 0)
    let input = Shape([clips] + layer.input.extents)
    let output = Shape([clips] + layer.output.extents)
    x = Fenced(input)
    y = Fenced(output)
    dy = Fenced(output)
    dx = training && needsInputGradient ? Fenced(input) : nil
    saved = Fenced([layer.savedCount(clips: clips, trains: training)])
    scratch = Fenced([layer.scratchCount(clips: clips, threads: threads)])
    parameters = layer.parameters.map { Fenced($0.shape) }
    gradients = training ? layer.parameters.map { Fenced($0.shape) } : []
    statistics = layer.statistics.map { Fenced($0.shape) }
    batchStatistics = training ? layer.statistics.map { Fenced($0.shape) } : []
    upstream = noiseValues(output.count, seed: 99)

    for (place, parameter) in layer.parameters.enumerated() {
      parameters[place].fill(Self.values(of: parameter, seed: 10 + place))
    }
    for (place, statistic) in layer.statistics.enumerated() {
      let range: ClosedRange<Float> = statistic.initial == 1 ? 0.5...1.5 : -0.5...0.5
      statistics[place].fill(noiseValues(statistic.shape.count, seed: 20 + place, in: range))
    }
    // Nothing within 0.1 of zero, where ReLU has its corner.
    x.fill(noiseValues(input.count, seed: 1, in: -2...2).map { $0 + ($0 < 0 ? -0.1 : 0.1) })
    if separated, let window = example.separated, let block = layer as? ConvolutionBlock {
      separate(window, block.shape)
    }
    let gate = (layer as? GRU)?.gate ?? (layer as? LSTM)?.gate
    if separated, gate == .hardSigmoid {
      // A small input keeps every gate between the corners.
      x.fill(x.tensor.values.map { $0 / 4 })
    }
  }

  deinit { pool.stop() }

  func forward() { layer.forward(pass(backward: false)) }

  /// - Parameter upstream: the gradient of the output, unless it is to be the loss's
  func backward(_ upstream: [Float]? = nil) {
    dy.fill(upstream ?? self.upstream)
    layer.backward(pass(backward: true))
  }

  /// The loss that gradients are checked with: the output weighed by `upstream`.
  var loss: Double {
    zip(y.tensor.values, upstream).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  private var all: [Fenced] {
    [x, y, dy, saved, scratch] + [dx].compactMap { $0 } + parameters + statistics
      + batchStatistics + gradients
  }

  var isIntact: Bool { all.allSatisfy { $0.isIntact } }

  private func pass(backward: Bool) -> Pass {
    Pass(
      clips: clips, training: training, x: x.tensor, y: y.tensor,
      parameters: parameters.map(\.tensor), statistics: statistics.map(\.tensor),
      batchStatistics: batchStatistics.map(\.tensor), saved: saved.tensor,
      scratch: scratch.tensor, dy: backward ? dy.tensor : nil, dx: backward ? dx?.tensor : nil,
      gradients: backward ? gradients.map(\.tensor) : [], pool: pool)
  }

  /// Weights of the size that initialization draws, γ of both signs, nothing 0 or 1.
  private static func values(of parameter: Parameter, seed: Int) -> [Float] {
    let count = parameter.shape.count
    switch (parameter.role, parameter.initializer) {
    case (.weight, _):
      let inputs = count / max(parameter.shape[0], 1)
      let range = 1.5 / Float(inputs).squareRoot()
      return noiseValues(count, seed: seed, in: -range...range)
    case (.normalization, .one):
      return noiseValues(count, seed: seed, in: 0.5...1.5).enumerated().map { i, value in
        i % 3 == 1 ? -value : value
      }
    default: return noiseValues(count, seed: seed, in: -0.4...0.4)
    }
  }

  /// In each window of the input the values become a permutation of −w/2, −w/2 + 1, …; each output
  /// channel looks at one position of one input channel, and a little at all others.
  private func separate(_ window: (f: Int, t: Int), _ shape: ConvolutionShape) {
    let size = window.f * window.t
    for plane in 0..<(clips * shape.inChannels) {
      for f in 0..<shape.inF {
        for t in 0..<shape.inT {
          let turn = 7 * plane + 3 * (f / window.f) + 5 * (t / window.t)
          let rank = (f % window.f * window.t + t % window.t + turn) % size
          x.tensor.base[(plane * shape.inF + f) * shape.inT + t] = Float(rank) - Float(size) / 2
        }
      }
    }
    let little = 0.7 / (Float(shape.inner).squareRoot() * Float(size))
    let weight = parameters[0]
    weight.fill(noiseValues(shape.weightCount, seed: 10, in: -little...little))
    for o in 0..<shape.outChannels {
      // The tap that meets the input at the output's own place.
      let plane = (o * shape.inChannels + o % shape.inChannels) * shape.kernelF
      weight.tensor.base[(plane + shape.padF) * shape.kernelT + shape.padT] += 1
    }
  }
}

extension Fenced {
  func fill(_ values: [Float]) {
    precondition(values.count == tensor.count, "\(values.count) values for \(tensor.shape)")
    _ = tensor.buffer.update(from: values)
  }
}
