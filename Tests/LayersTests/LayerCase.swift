import Kernels
import Layers
import Testing

/// The table of layers that every check runs over. A new layer is one more line: it gets the checks
/// of windows, gradients, determinism and evaluation, and, once it says in `References.swift` what
/// it computes, the comparison with that.
struct LayerCase: Sendable, CustomTestStringConvertible {
  let layer: any Layer
  let clips: Int
  /// Windows (bands × frames) in which the input's values are far apart (see `LayerRun`), so that a
  /// step of a central difference does not change which of them is the largest.
  let separated: (f: Int, t: Int)?
  /// Positions of each tensor at which gradients are checked, at most.
  let samples: Int

  static let all = [
    LayerCase(Dense(name: "dense1", input: [7], outputs: 5)),
    LayerCase(Dense(name: "dense1", input: [3, 5, 2], outputs: 17), clips: 1),
    LayerCase(Activation(name: "elu1", input: [3, 5], .elu)),
    LayerCase(Activation(name: "relu1", input: [37], .relu)),
    LayerCase(DropoutLayer(name: "dropout1", input: [13], rate: 0.5)),
    LayerCase(DropoutLayer(name: "dropout1", input: [3, 7], rate: 0)),
    LayerCase(BandNormalization(name: "bn0", input: [1, 7, 11])),
    LayerCase(BandNormalization(name: "bn0", input: [2, 3, 17]), clips: 2),
    LayerCase(FrameNormalization(name: "bn0", input: [1, 7, 11])),
    LayerCase(FrameNormalization(name: "bn0", input: [2, 17, 3]), clips: 2),
    LayerCase(TimePadding(name: "pad", input: [1, 3, 7], frames: 12)),
    LayerCase(TimePadding(name: "pad", input: [2, 3, 5], frames: 5)),
    LayerCase(TimePooling(name: "pool", input: [1, 5, 17], frames: 4)),
    LayerCase(TimePooling(name: "pool", input: [2, 3, 6], frames: 6)),
    LayerCase(TimeMajor(name: "sequence", input: [3, 2, 7])),
    LayerCase(TimeMajor(name: "sequence", input: [5, 1, 9]), clips: 1),
    LayerCase(StepReadout(name: "readout", input: [5, 7], .last)),
    LayerCase(StepReadout(name: "readout", input: [5, 7], .mean)),
    LayerCase(GRU(name: "gru1", input: [6, 5], hidden: 3)),
    LayerCase(GRU(name: "gru1", input: [1, 3], hidden: 9), clips: 1),
    LayerCase(GRU(name: "gru1", input: [6, 5], hidden: 3, reset: .after)),
    LayerCase(GRU(name: "gru1", input: [1, 3], hidden: 9, reset: .after), clips: 1),
    LayerCase(GRU(name: "gru1", input: [7, 5], hidden: 4, gate: .hardSigmoid)),
    LayerCase(GRU(name: "gru1", input: [9, 5], hidden: 5, reset: .after, gate: .hardSigmoid)),
    LayerCase(LSTM(name: "rnn1", input: [6, 5], hidden: 3)),
    LayerCase(LSTM(name: "rnn1", input: [7, 5], hidden: 4, gate: .hardSigmoid)),
    LayerCase(LSTM(name: "rnn1", input: [1, 3], hidden: 9), clips: 1),
    LayerCase(TanhRecurrence(name: "rnn1", input: [6, 5], hidden: 3)),
    LayerCase(TanhRecurrence(name: "rnn1", input: [1, 3], hidden: 9), clips: 1),
    LayerCase(
      OutputRecurrence(name: "rnn1", outputName: "output", input: [6, 5], hidden: 7, outputs: 3)),
    LayerCase(
      OutputRecurrence(name: "rnn1", outputName: "output", input: [1, 3], hidden: 2, outputs: 9)),
    .block(channels: (3, 5), map: (7, 11), kernel: (3, 3), pool: (2, 2)),
    .block(channels: (1, 7), map: (6, 17), kernel: (3, 3), pool: (2, 4), dropout: 0.1),
    .block(channels: (2, 3), map: (5, 19), kernel: (1, 4), pool: (1, 5)),
    .block(channels: (3, 3), map: (7, 11), kernel: (1, 1), pool: (3, 5), dropout: 0.5),
    .block(channels: (2, 4), map: (9, 9), kernel: (3, 3), pool: (1, 1), clips: 1),
    .block(channels: (1, 3), map: (96, 13), kernel: (96, 4), validBands: true, pool: (1, 4)),
    .block(channels: (3, 5), map: (7, 11), kernel: (3, 3), pool: (2, 3), .average),
    .block(channels: (1, 4), map: (5, 17), kernel: (1, 4), pool: (1, 8), .average, dropout: 0.2),
    // several tiles of the convolution
    .block(channels: (16, 9), map: (24, 61), kernel: (3, 3), pool: (4, 4), clips: 2, samples: 5),
  ]

  init(
    _ layer: any Layer, clips: Int = 3, separated: (f: Int, t: Int)? = nil, samples: Int = 40
  ) {
    self.layer = layer
    self.clips = clips
    self.separated = separated
    self.samples = samples
  }

  static func block(
    channels: (from: Int, to: Int), map: (f: Int, t: Int), kernel: (f: Int, t: Int),
    validBands: Bool = false, pool: (f: Int, t: Int), _ pooling: ConvolutionBlock.Pooling = .max,
    dropout: Float = 0, clips: Int = 3, samples: Int = 40
  ) -> LayerCase {
    let shape = ConvolutionShape(
      inChannels: channels.from, outChannels: channels.to, inF: map.f, inT: map.t,
      kernelF: kernel.f, kernelT: kernel.t, paddingF: validBands ? .valid : .same)
    return LayerCase(
      ConvolutionBlock(number: 1, shape: shape, pool: pool, pooling: pooling, dropout: dropout),
      clips: clips, separated: pooling == .max && pool != (1, 1) ? pool : nil, samples: samples)
  }

  var testDescription: String { "\(layer.summary), \(layer.input) to \(layer.output), \(clips)" }
}
