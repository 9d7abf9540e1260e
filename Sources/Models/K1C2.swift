import Layers

/// k1c2: kernels along time only, so every band is treated alike; the dense layers mix the bands.
package enum K1C2: Architecture {
  package static let name = "k1c2"
  package static let sizes = [
    "0.1M": [15, 15, 31, 31, 31, 31],
    "0.25M": [24, 24, 49, 49, 49, 49],
    "0.5M": [35, 35, 69, 69, 69, 69],
    "1M": [49, 49, 98, 98, 98, 98],
    "3M": [85, 85, 170, 170, 170, 170],
  ]

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    for (channels, frames) in zip(widths, [4, 5, 8, 8]) {
      try chain.convolution(
        channels, kernel: (1, 4), pool: (1, frames), dropout: settings.convolutionDropout ?? 0,
        settings)
    }
    let dropout = settings.denseDropout ?? 0.5
    chain.dense(1, widths[4], .elu, dropout: dropout)
    chain.dense(2, widths[5], .elu, dropout: dropout)
    chain.output(settings.tags)
  }
}
