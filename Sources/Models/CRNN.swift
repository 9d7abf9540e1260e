import Layers

/// CRNN: four 3 × 3 convolutions leave 15 steps of one vector each, which two GRU layers sum up.
package enum CRNN: Architecture {
  package static let name = "crnn"
  package static let sizes = [
    "0.1M": [30, 60, 60, 60, 30, 30],
    "0.25M": [48, 96, 96, 96, 48, 48],
    "0.5M": [68, 137, 137, 137, 68, 68],
    "1M": [96, 195, 195, 195, 96, 96],
    "3M": [169, 339, 339, 339, 169, 169],
  ]
  private static let frames = 1440

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    guard settings.input[2] <= frames else {
      throw NetworkError("crnn pads time to \(frames) frames; the clips have \(settings.input[2])")
    }
    switch settings.inputNormalization {
    case .band:
      chain.add { BandNormalization(name: "bn0", input: $0) }
      chain.add { TimePadding(name: "pad", input: $0, frames: frames) }
    case .frame:
      chain.add { TimePadding(name: "pad", input: $0, frames: frames) }
      chain.add { FrameNormalization(name: "bn0", input: $0) }
    }
    for (channels, pool) in zip(widths, [(2, 2), (3, 3), (4, 4), (4, 4)]) {
      try chain.convolution(
        channels, kernel: (3, 3), pool: pool, dropout: settings.convolutionDropout ?? 0.1,
        settings)
    }
    chain.add { TimeMajor(name: "steps", input: $0) }
    chain.add {
      GRU(
        name: "gru1", input: $0, hidden: widths[4], reset: settings.reset, gate: settings.gate)
    }
    chain.add {
      GRU(
        name: "gru2", input: $0, hidden: widths[5], reset: settings.reset, gate: settings.gate)
    }
    chain.add { StepReadout(name: "last", input: $0, .last) }
    if let dropout = settings.denseDropout, dropout > 0 {
      chain.add { DropoutLayer(name: "dropout1", input: $0, rate: dropout) }
    }
    chain.output(settings.tags)
  }
}
