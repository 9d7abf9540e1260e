import Layers

/// k2c2: five 3 × 3 convolutions; the last map is a point, and goes straight to the output.
package enum K2C2: Architecture {
  package static let name = "k2c2"
  package static let sizes = [
    "0.1M": [20, 41, 41, 62, 83],
    "0.25M": [33, 66, 66, 100, 133],
    "0.5M": [47, 95, 95, 142, 190],
    "1M": [67, 135, 135, 203, 271],
    "3M": [118, 236, 236, 355, 473],
  ]

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    for (channels, pool) in zip(widths, [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)]) {
      try chain.convolution(
        channels, kernel: (3, 3), pool: pool, dropout: settings.convolutionDropout ?? 0, settings)
    }
    chain.output(settings.tags)
  }
}
