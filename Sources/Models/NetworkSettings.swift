import Kernels
import Layers

/// Everything a network's shape depends on.
package struct NetworkSettings: Sendable, Hashable {
  /// How wide the layers are.
  package enum Widths: Sendable, Hashable {
    /// A published size, such as `0.25M`.
    case size(String)
    /// The common scale whose number of weights and biases comes nearest.
    case parameters(Int)
    /// Outright, in the order of the layers.
    case explicit([Int])
  }

  /// The cell and the recurrence of the `rnn` baseline.
  package enum Cell: String, Sendable, CaseIterable { case tanh, gru, lstm }
  package enum Recurrence: String, Sendable, CaseIterable {
    case everyStep, lastStep, outputToHidden
  }

  /// What of the input has its own mean and deviation: each mel band, or each frame, those that pad
  /// the time axis among them.
  package enum InputNormalization: String, Sendable, CaseIterable { case band, frame }

  package var network: String
  package var widths: Widths
  package var tags: Int
  /// One clip's input, `[1, bands, frames]`.
  package var input: Shape
  package var pooling: ConvolutionBlock.Pooling
  /// Nil is the network's own default.
  package var convolutionDropout: Float?
  package var denseDropout: Float?
  package var inputNormalization: InputNormalization
  package var reset: GRU.Reset
  package var gate: Gate
  package var cell: Cell
  package var recurrence: Recurrence
  /// Frames pooled before the baselines; nil is the network's own default.
  package var poolFrames: Int?

  package init(
    network: String, widths: Widths, tags: Int, input: Shape = [1, 96, 1366],
    pooling: ConvolutionBlock.Pooling = .max, convolutionDropout: Float? = nil,
    denseDropout: Float? = nil, inputNormalization: InputNormalization = .band,
    reset: GRU.Reset = .before, gate: Gate = .sigmoid, cell: Cell = .gru,
    recurrence: Recurrence = .lastStep, poolFrames: Int? = nil
  ) {
    self.network = network
    self.widths = widths
    self.tags = tags
    self.input = input
    self.pooling = pooling
    self.convolutionDropout = convolutionDropout
    self.denseDropout = denseDropout
    self.inputNormalization = inputNormalization
    self.reset = reset
    self.gate = gate
    self.cell = cell
    self.recurrence = recurrence
    self.poolFrames = poolFrames
  }
}
