import Layers

/// k2c1: the first kernel spans all bands, what follows is convolution along time.
package enum K2C1: Architecture {
  package static let name = "k2c1"
  package static let sizes = [
    "0.1M": [43, 43, 43, 87, 87, 87, 87],
    "0.25M": [72, 72, 72, 145, 145, 145, 145],
    "0.5M": [106, 106, 106, 212, 212, 212, 212],
    "1M": [152, 152, 152, 304, 304, 304, 304],
    "3M": [265, 265, 265, 535, 535, 535, 535],
  ]

  package static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
  {
    let pools = [4, 4, 5, 4, 4]
    for (number, (channels, frames)) in zip(widths, pools).enumerated() {
      try chain.convolution(
        channels, kernel: (number == 0 ? settings.input[1] : 1, 4),
        paddingF: number == 0 ? .valid : .same, pool: (1, frames),
        dropout: settings.convolutionDropout ?? 0, settings)
    }
    let dropout = settings.denseDropout ?? 0.5
    chain.dense(1, widths[5], .elu, dropout: dropout)
    chain.dense(2, widths[6], .elu, dropout: dropout)
    chain.output(settings.tags)
  }
}
