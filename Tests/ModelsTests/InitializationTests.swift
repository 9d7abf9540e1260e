import Kernels
import Layers
import Models
import Testing

/// The first weights: a function of the seed, distributed as each tensor asks.
@Suite struct InitializationTests {
  private static func weights(_ network: Network, seed: UInt64) -> [Float] {
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: seed)
    return weights.values
  }

  /// Every parameter of every network with its first values.
  private static func tensors() throws -> [(parameter: Parameter, values: [Float])] {
    try TinyNetwork.all.flatMap { tiny in
      let network = try tiny.network()
      let weights = weights(network, seed: 3)
      return zip(network.layers.flatMap(\.parameters), network.parameters).map {
        ($0, Array(weights[$1.range]))
      }
    }
  }

  @Test("the seed decides, and nothing else", arguments: TinyNetwork.all)
  func seed(tiny: TinyNetwork) throws {
    let network = try tiny.network()
    let first = Self.weights(network, seed: 1)
    #expect(Self.weights(try tiny.network(), seed: 1) == first)
    let other = Self.weights(network, seed: 2)
    for window in network.parameters where window.name.hasSuffix("weight") {
      let isDrawn = !window.name.hasPrefix("bn")
      #expect((first[window.range] != other[window.range]) == isDrawn, "\(window.name)")
    }
    // tensors of one shape are drawn apart
    let drawn = network.parameters.filter { Set(first[$0.range]).count > 1 }
    #expect(Set(drawn.map { Array(first[$0.range].prefix(4)) }).count == drawn.count)
  }

  @Test("Glorot's bound is kept and filled")
  func glorot() throws {
    var seen = 0
    for (parameter, values) in try Self.tensors() {
      guard case .glorotUniform(let fanIn, let fanOut) = parameter.initializer else { continue }
      seen += 1
      let bound = (6 / Float(fanIn + fanOut)).squareRoot()
      #expect(values.allSatisfy { abs($0) <= bound }, "\(parameter.name)")
      guard values.count >= 100 else { continue }
      // of 100 or more uniform values the largest is beyond 0.8 of the bound but once in 5e9 draws
      #expect((values.map(abs).max() ?? 0) > 0.8 * bound, "\(parameter.name)")
      let mean = values.reduce(0, +) / Float(values.count)
      #expect(abs(mean) < 5 * bound / Float(3 * values.count).squareRoot(), "\(parameter.name)")
    }
    #expect(seen > 20)
  }

  @Test("a convolution's fans count its taps")
  func fans() throws {
    let network = try Architectures.network(
      NetworkSettings(network: "k2c1", widths: .size("0.1M"), tags: 50))
    let fans = network.layers.flatMap(\.parameters).filter { $0.name.hasSuffix("weight") }
      .map(\.initializer)
    #expect(fans[0] == .glorotUniform(fanIn: 96 * 4, fanOut: 43 * 96 * 4))
    #expect(fans.last == .glorotUniform(fanIn: 87, fanOut: 50))
  }

  @Test("every gate of a recurrent matrix is orthogonal")
  func orthogonal() throws {
    var blocks = 0
    for (parameter, values) in try Self.tensors() {
      guard case .orthogonal(let gates) = parameter.initializer else { continue }
      let (rows, columns) = (parameter.shape[0] / gates, parameter.shape[1])
      for gate in 0..<gates {
        blocks += 1
        let block = values[(gate * rows * columns)..<((gate + 1) * rows * columns)].map(Double.init)
        let (count, length) = (min(rows, columns), max(rows, columns))
        func element(_ vector: Int, _ i: Int) -> Double {
          rows <= columns ? block[vector * columns + i] : block[i * columns + vector]
        }
        for a in 0..<count {
          for b in 0...a {
            let dot = (0..<length).reduce(0) { $0 + element(a, $1) * element(b, $1) }
            #expect(abs(dot - (a == b ? 1 : 0)) < 1e-6, "\(parameter.name), gate \(gate)")
          }
        }
      }
    }
    // CRNN's two GRUs, one GRU, one LSTM, tanh; the gates of the resets before and of the LSTM
    #expect(blocks >= 2 * 3 + 3 + 4 + 1)
  }

  @Test("biases begin at zero, normalization at one and zero, statistics at mean 0, variance 1")
  func constants() throws {
    for (parameter, values) in try Self.tensors() {
      switch parameter.role {
      case .bias: #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
      case .normalization:
        let first: Float = parameter.name.hasSuffix("weight") ? 1 : 0
        #expect(values.allSatisfy { $0 == first }, "\(parameter.name)")
      case .weight: #expect(Set(values).count > 1, "\(parameter.name)")
      }
    }
    let network = try TinyNetwork.all[3].network()
    let weights = Self.weights(network, seed: 3)
    for window in network.statistics {
      let first: Float = window.name.hasSuffix("running_var") ? 1 : 0
      #expect(weights[window.range].allSatisfy { $0 == first }, "\(window.name)")
    }
  }
}
