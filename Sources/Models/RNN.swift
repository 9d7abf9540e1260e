import Layers

/// A baseline without convolution: time-averaged mel frames, step by step, into one recurrent layer.
///
/// The recurrence is hidden to hidden, read out at every step (the logits' mean) or at the last, or
/// from the output to the hidden layer, which tanh alone offers.
package enum RNN: Architecture {
  package static let name = "rnn"
  package static let sizes: [String: [Int]] = [:]
  package static let proportions = [521]

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    let hidden = widths[0]
    chain.add { BandNormalization(name: "bn0", input: $0) }
    try chain.averageTime(settings.poolFrames ?? 16, settings)
    chain.add { TimeMajor(name: "steps", input: $0) }
    if settings.recurrence == .outputToHidden {
      guard settings.cell == .tanh else {
        throw NetworkError(
          "model.recurrence outputToHidden needs model.cell tanh; "
            + "\(settings.cell.rawValue) keeps a state of its own")
      }
      chain.add {
        OutputRecurrence(
          name: "rnn1", outputName: "output", input: $0, hidden: hidden, outputs: settings.tags)
      }
      chain.add { StepReadout(name: "last", input: $0, .last) }
      return
    }
    switch settings.cell {
    case .tanh: chain.add { TanhRecurrence(name: "rnn1", input: $0, hidden: hidden) }
    case .gru:
      chain.add {
        GRU(name: "rnn1", input: $0, hidden: hidden, reset: settings.reset, gate: settings.gate)
      }
    case .lstm: chain.add { LSTM(name: "rnn1", input: $0, hidden: hidden, gate: settings.gate) }
    }
    chain.add {
      StepReadout(name: "readout", input: $0, settings.recurrence == .everyStep ? .mean : .last)
    }
    if let dropout = settings.denseDropout, dropout > 0 {
      chain.add { DropoutLayer(name: "dropout1", input: $0, rate: dropout) }
    }
    chain.output(settings.tags)
  }
}
