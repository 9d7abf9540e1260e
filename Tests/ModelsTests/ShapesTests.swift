import Kernels
import Layers
import Models
import Testing

/// What is left of 96 bands × 1366 frames after the pools, and what cannot be built at all.
@Suite struct ShapesTests {
  private static func output(_ network: Network, _ layer: String) -> Shape? {
    network.layers.first { $0.name == layer }?.output
  }

  private static func network(_ name: String, _ widths: [Int]) throws -> Network {
    try Architectures.network(NetworkSettings(network: name, widths: .explicit(widths), tags: 50))
  }

  @Test("k1c2 flattens 96 bands of its last channels")
  func k1c2() throws {
    let network = try Self.network("k1c2", [3, 4, 5, 6, 7, 8])
    #expect(Self.output(network, "conv4") == [6, 96, 1])
    #expect(network.layers.first { $0.name == "dense1" }?.parameters.first?.shape == [7, 96 * 6])
    #expect(network.tags == 50)
  }

  @Test("k2c1 is left with one value a channel")
  func k2c1() throws {
    let network = try Self.network("k2c1", [3, 4, 5, 6, 7, 8, 9])
    #expect(Self.output(network, "conv1")?.extents[1] == 1)
    #expect(Self.output(network, "conv5") == [7, 1, 1])
    #expect(network.parameters.first { $0.name == "conv1.weight" }?.shape == [3, 1, 96, 4])
  }

  @Test("the last map of k2c2 is 1 × 1 and goes straight to the output")
  func k2c2() throws {
    let network = try Self.network("k2c2", [3, 4, 5, 6, 7])
    #expect(network.layers.suffix(2).map(\.name) == ["conv5", "output"])
    #expect(Self.output(network, "conv5") == [7, 1, 1])
  }

  @Test("crnn hands 15 steps of its channels to the first GRU")
  func crnn() throws {
    let network = try Self.network("crnn", [3, 4, 5, 6, 7, 8])
    #expect(Self.output(network, "pad") == [1, 96, 1440])
    #expect(Self.output(network, "conv1") == [3, 48, 720])
    #expect(Self.output(network, "steps") == [15, 6])
    #expect(Self.output(network, "gru2") == [15, 8])
    #expect(network.statistics.first?.name == "bn0.running_mean")
  }

  @Test("crnn normalizes bands before it pads time, or frames after it")
  func inputNormalization() throws {
    var settings = NetworkSettings(network: "crnn", widths: .size("0.1M"), tags: 50)
    let bands = try Architectures.network(settings)
    #expect(bands.layers.prefix(2).map(\.name) == ["bn0", "pad"])
    #expect(bands.parameters[0].shape == [96])
    settings.inputNormalization = .frame
    let frames = try Architectures.network(settings)
    #expect(frames.layers.prefix(2).map(\.name) == ["pad", "bn0"])
    #expect(frames.parameters[0].shape == [1440])
  }

  @Test("the baselines average time first")
  func baselines() throws {
    #expect(Self.output(try Self.network("mlp", [5, 4]), "average") == [1, 96, 10])
    #expect(Self.output(try Self.network("rnn", [5]), "steps") == [85, 96])
  }

  @Test(
    "names of tensors are unique, their windows tile the flat vector", arguments: TinyNetwork.all)
  func windows(tiny: TinyNetwork) throws {
    let network = try tiny.network()
    var next = 0
    for window in network.parameters + network.statistics {
      #expect(window.offset == next)
      next = window.range.upperBound
    }
    #expect(next == network.weightCount)
    #expect(network.parameters.last?.range.upperBound == network.parameterCount)
    #expect(network.input == tiny.settings.input && network.tags == tiny.settings.tags)
  }

  @Test(
    "what cannot be built is refused in one sentence",
    arguments: [
      (NetworkSettings(network: "vgg", widths: .size("1M"), tags: 5), "k1c2, k2c1, k2c2, crnn"),
      (NetworkSettings(network: "crnn", widths: .size("2M"), tags: 5), "0.1M, 0.25M, 0.5M, 1M, 3M"),
      (NetworkSettings(network: "crnn", widths: .explicit([1, 2, 3]), tags: 5), "6 widths"),
      (NetworkSettings(network: "k2c2", widths: .explicit([1, 2, 3, 4, 0]), tags: 5), "positive"),
      (NetworkSettings(network: "mlp", widths: .explicit([5, -1]), tags: 5), "positive"),
      (NetworkSettings(network: "rnn", widths: .parameters(3), tags: 5), "asks for 3"),
      (NetworkSettings(network: "k2c1", widths: .parameters(.max), tags: 5), "asks for"),
      (
        NetworkSettings(
          network: "rnn", widths: .explicit([5]), tags: 5, recurrence: .outputToHidden),
        "needs model.cell tanh"
      ),
      (
        NetworkSettings(network: "rnn", widths: .explicit([5]), tags: 5, poolFrames: 1367),
        "poolFrames is 1367"
      ),
      (NetworkSettings(network: "mlp", widths: .size("1M"), tags: 5, poolFrames: 0), "poolFrames"),
      (
        NetworkSettings(network: "k1c2", widths: .size("0.1M"), tags: 5, input: [1, 96, 1279]),
        "1279 frames are too small"
      ),
      (
        NetworkSettings(network: "k2c2", widths: .size("0.1M"), tags: 5, input: [1, 95, 1366]),
        "95 bands"
      ),
      (
        NetworkSettings(network: "crnn", widths: .size("0.1M"), tags: 5, input: [1, 40, 1366]),
        "40 bands"
      ),
      (
        NetworkSettings(network: "crnn", widths: .size("0.1M"), tags: 5, input: [1, 96, 1441]),
        "the clips have 1441"
      ),
    ])
  func refusal(settings: NetworkSettings, says: String) {
    let error = #expect(throws: NetworkError.self) { try Architectures.network(settings) }
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
  }
}
