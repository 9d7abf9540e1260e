import Kernels
import Layers
import Testing

@Suite("Layers agree with PyTorch")
struct GoldenTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let file: String
    let layer: any Layer
    let clips: Int
    var training = true
    var testDescription: String { file }
  }

  static let cases = [
    Case(file: "dense", layer: Dense(name: "dense1", input: [7], outputs: 5), clips: 3),
    Case(file: "elu", layer: Activation(name: "elu", input: [3, 5, 7], .elu), clips: 2),
    Case(
      file: "band-norm-training", layer: BandNormalization(name: "bn0", input: [1, 7, 11]),
      clips: 3),
    Case(
      file: "band-norm-evaluation", layer: BandNormalization(name: "bn0", input: [1, 7, 11]),
      clips: 3, training: false),
    Case(
      file: "frame-norm-training", layer: FrameNormalization(name: "bn0", input: [1, 7, 11]),
      clips: 3),
    Case(
      file: "frame-norm-evaluation", layer: FrameNormalization(name: "bn0", input: [1, 7, 11]),
      clips: 3, training: false),
    // Batch normalization per channel is that of bands, with the whole map for a band.
    Case(
      file: "batch-norm-training", layer: BandNormalization(name: "bn0", input: [5, 1, 77]),
      clips: 3),
    Case(
      file: "batch-norm-evaluation", layer: BandNormalization(name: "bn0", input: [5, 1, 77]),
      clips: 3, training: false),
    Case(
      file: "block-max", layer: block((3, 5), map: (7, 19), kernel: (3, 3), pool: (2, 4)),
      clips: 3),
    Case(
      file: "block-average",
      layer: block((3, 5), map: (5, 17), kernel: (1, 4), pool: (1, 5), .average), clips: 3),
    Case(
      file: "block-96x4",
      layer: block((1, 3), map: (96, 15), kernel: (96, 4), padding: .valid, pool: (1, 4)),
      clips: 3),
    Case(
      file: "block-evaluation", layer: block((3, 5), map: (7, 19), kernel: (3, 3), pool: (3, 5)),
      clips: 2, training: false),
    Case(file: "tanh", layer: TanhRecurrence(name: "rnn1", input: [9, 7], hidden: 5), clips: 3),
    Case(file: "gru-before", layer: GRU(name: "gru1", input: [9, 7], hidden: 5), clips: 3),
    Case(
      file: "gru-after", layer: GRU(name: "gru1", input: [9, 7], hidden: 5, reset: .after),
      clips: 3),
    Case(
      file: "gru-hard-sigmoid",
      layer: GRU(name: "gru1", input: [9, 7], hidden: 5, gate: .hardSigmoid), clips: 3),
    Case(file: "lstm", layer: LSTM(name: "rnn1", input: [9, 7], hidden: 5), clips: 3),
    Case(
      file: "output-to-hidden",
      layer: OutputRecurrence(
        name: "rnn1", outputName: "output", input: [9, 7], hidden: 5, outputs: 3), clips: 3),
  ]

  @Test("outputs, gradients and statistics are PyTorch's", arguments: cases)
  func layer(_ example: Case) throws {
    let (golden, layer) = (try Golden(example.file), example.layer)
    let run = LayerRun(
      LayerCase(layer, clips: example.clips), training: example.training)
    run.x.fill(try #require(golden["input"]))
    for (window, parameter) in zip(run.parameters, layer.parameters) {
      window.fill(try #require(golden.tensor("parameter", parameter.name)))
    }
    for (window, statistic) in zip(run.statistics, layer.statistics) {
      window.fill(try #require(golden.tensor("before", statistic.name)))
    }
    run.forward()
    try expectGolden(run.y, golden["output"], "output")
    guard example.training else { return }

    for (place, statistic) in layer.statistics.enumerated() {
      // PyTorch's running statistics move a tenth of the way to the batch's.
      let before = run.statistics[place].tensor.values
      let merged = zip(before, run.batchStatistics[place].tensor.values).map { 0.9 * $0 + 0.1 * $1 }
      let after = Fenced(statistic.shape)
      after.fill(merged)
      try expectGolden(after, golden.tensor("after", statistic.name), statistic.name)
    }
    let upstream = try #require(golden["upstream"])
    run.backward(upstream)
    try expectGolden(try #require(run.dx), golden["gradient.input"], "gradient of the input")
    for (window, parameter) in zip(run.gradients, layer.parameters) {
      try expectGolden(window, golden.tensor("gradient", parameter.name), parameter.name)
    }
  }

  private static func block(
    _ channels: (from: Int, to: Int), map: (f: Int, t: Int), kernel: (f: Int, t: Int),
    padding: ConvolutionShape.Padding = .same, pool: (f: Int, t: Int) = (1, 1),
    _ pooling: ConvolutionBlock.Pooling = .max
  ) -> ConvolutionBlock {
    let shape = ConvolutionShape(
      inChannels: channels.from, outChannels: channels.to, inF: map.f, inT: map.t,
      kernelF: kernel.f, kernelT: kernel.t, paddingF: padding)
    return ConvolutionBlock(number: 1, shape: shape, pool: pool, pooling: pooling)
  }

  /// PyTorch in single precision is within 6e-7 of these values, relative to a tensor's largest
  /// magnitude (the files' metadata say so for each); three times that is allowed.
  private func expectGolden(_ actual: Fenced, _ golden: [Float]?, _ what: String) throws {
    let exact = try #require(golden, "no \(what)").map(Double.init)
    let largest = exact.map(abs).max() ?? 0
    expectClose(actual.tensor.values, exact, within: { _ in 2e-6 * largest }, "\(what)")
  }
}
