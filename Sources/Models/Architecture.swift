import Kernels
import Layers

/// A way to build a network from widths. A new one is a file like its siblings and a line in
/// `Architectures.all`.
package protocol Architecture: Sendable {
  static var name: String { get }
  /// Widths of the published sizes, in the order of the layers; empty where none were published.
  static var sizes: [String: [Int]] { get }
  /// Widths that all scales are multiples of.
  static var proportions: [Int] { get }
  /// The layers up to the tags' logits.
  static func build(_ chain: inout Chain, widths: [Int], settings: NetworkSettings)
    throws(NetworkError)
}

extension Architecture {
  package static var proportions: [Int] { sizes["1M"] ?? [] }
}

/// The networks there are.
package enum Architectures {
  package static let all: [any Architecture.Type] = [
    K1C2.self, K2C1.self, K2C2.self, CRNN.self, MLP.self, RNN.self,
  ]

  /// - Throws: `NetworkError` if there is no such network or size, or if the widths do not fit
  package static func network(_ settings: NetworkSettings) throws(NetworkError) -> Network {
    guard let architecture = all.first(where: { $0.name == settings.network }) else {
      let names = all.map { $0.name }.joined(separator: ", ")
      throw NetworkError("there is no network \"\(settings.network)\"; there are \(names)")
    }
    return try network(
      architecture, widths: try widths(architecture, settings), settings: settings)
  }

  private static func network(
    _ architecture: any Architecture.Type, widths: [Int], settings: NetworkSettings
  ) throws(NetworkError) -> Network {
    let expected = architecture.proportions.count
    guard widths.count == expected, widths.allSatisfy({ $0 > 0 }) else {
      throw NetworkError(
        "\(architecture.name) has \(expected) widths, all positive, in the order of its layers; "
          + "model.widths gives \(widths)")
    }
    var chain = Chain(input: settings.input)
    try architecture.build(&chain, widths: widths, settings: settings)
    return Network(name: architecture.name, layers: chain.layers)
  }

  private static func widths(
    _ architecture: any Architecture.Type, _ settings: NetworkSettings
  ) throws(NetworkError) -> [Int] {
    switch settings.widths {
    case .explicit(let widths): return widths
    case .size(let size):
      if let widths = architecture.sizes[size] { return widths }
      guard let budget = nominalCounts[size] else {
        let sizes = nominalCounts.sorted { $0.value < $1.value }.map(\.key)
        throw NetworkError(
          "there is no size \"\(size)\"; there are \(sizes.joined(separator: ", "))")
      }
      return try self.widths(architecture, nearest: budget, settings)
    case .parameters(let budget):
      return try self.widths(architecture, nearest: budget, settings)
    }
  }

  /// What a size's name promises, for networks whose widths nobody published.
  private static let nominalCounts = [
    "0.1M": 100_000, "0.25M": 250_000, "0.5M": 500_000, "1M": 1_000_000, "3M": 3_000_000,
  ]

  /// The widest layer that a search considers.
  private static let largestWidth = 65_536.0

  /// The count grows with the scale in small jumps: bisect to the jump that passes the budget, and
  /// take its nearer side.
  private static func widths(
    _ architecture: any Architecture.Type, nearest budget: Int, _ settings: NetworkSettings
  ) throws(NetworkError) -> [Int] {
    func scaled(_ scale: Double) -> [Int] {
      architecture.proportions.map { max(1, Int((Double($0) * scale).rounded())) }
    }
    func count(_ scale: Double) throws(NetworkError) -> Int {
      try network(architecture, widths: scaled(scale), settings: settings).weightsAndBiases
    }
    var (low, high) = (0.0, largestWidth / Double(architecture.proportions.max() ?? 1))
    let (smallest, largest) = (try count(low), try count(high))
    guard budget >= smallest, budget <= largest else {
      throw NetworkError(
        "\(architecture.name) can have from \(smallest) to \(largest) weights and biases; "
          + "model.parameters asks for \(budget)")
    }
    for _ in 0..<50 {
      let middle = (low + high) / 2
      if try count(middle) <= budget { low = middle } else { high = middle }
    }
    let (below, above) = (try count(low), try count(high))
    return scaled(budget - below <= above - budget ? low : high)
  }
}

/// Layers in a row, each fed by the one before.
package struct Chain {
  package private(set) var layers: [any Layer] = []
  package private(set) var shape: Shape

  package init(input: Shape) { shape = input }

  package mutating func add(_ make: (Shape) -> any Layer) {
    let layer = make(shape)
    layers.append(layer)
    shape = layer.output
  }

  /// One convolution block; the first is number 1.
  package mutating func convolution(
    _ channels: Int, kernel: (f: Int, t: Int), paddingF: ConvolutionShape.Padding = .same,
    pool: (f: Int, t: Int), dropout: Float = 0, _ settings: NetworkSettings
  ) throws(NetworkError) {
    let number = layers.filter { $0 is ConvolutionBlock }.count + 1
    guard paddingF == .same || shape[1] >= kernel.f else {
      throw NetworkError("a kernel over \(kernel.f) bands needs as many; clips have \(shape[1])")
    }
    let convolution = ConvolutionShape(
      inChannels: shape[0], outChannels: channels, inF: shape[1], inT: shape[2],
      kernelF: kernel.f, kernelT: kernel.t, paddingF: paddingF)
    guard convolution.outF >= pool.f, convolution.outT >= pool.t else {
      throw NetworkError(
        "the map before pool \(number) is \(convolution.outF) bands × \(convolution.outT) frames, "
          + "less than its window of \(pool.f) × \(pool.t): clips of \(settings.input[1]) bands × "
          + "\(settings.input[2]) frames are too small for \(settings.network)")
    }
    add { _ in
      ConvolutionBlock(
        number: number, shape: convolution, pool: pool, pooling: settings.pooling,
        dropout: dropout)
    }
  }

  /// `dense1`, … with its activation and, if there is any, dropout.
  package mutating func dense(
    _ number: Int, _ outputs: Int, _ function: Activation.Function, dropout: Float = 0
  ) {
    add { Dense(name: "dense\(number)", input: $0, outputs: outputs) }
    add { Activation(name: "activation\(number)", input: $0, function) }
    if dropout > 0 { add { DropoutLayer(name: "dropout\(number)", input: $0, rate: dropout) } }
  }

  package mutating func output(_ tags: Int) {
    add { Dense(name: "output", input: $0, outputs: tags) }
  }
}
