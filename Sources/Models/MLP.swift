import Layers

/// A baseline without convolution: time-averaged mel frames into three dense layers.
package enum MLP: Architecture {
  package static let name = "mlp"
  package static let sizes: [String: [Int]] = [:]
  package static let proportions = [601, 601]

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    chain.add { BandNormalization(name: "bn0", input: $0) }
    try chain.averageTime(settings.poolFrames ?? 136, settings)
    let dropout = settings.denseDropout ?? 0.5
    chain.dense(1, widths[0], .relu, dropout: dropout)
    chain.dense(2, widths[1], .relu, dropout: dropout)
    chain.output(settings.tags)
  }
}

extension Chain {
  /// Averages every `frames` frames.
  package mutating func averageTime(_ frames: Int, _ settings: NetworkSettings)
    throws(NetworkError)
  {
    guard frames >= 1, frames <= shape[2] else {
      throw NetworkError(
        "model.poolFrames is \(frames); \(settings.network) can average 1 to \(shape[2]) frames")
    }
    add { TimePooling(name: "average", input: $0, frames: frames) }
  }
}
