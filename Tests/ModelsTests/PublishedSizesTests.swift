import Layers
import Models
import Testing

/// The published networks have the published sizes, and any budget is met as nearly as can be.
@Suite struct PublishedSizesTests {
  private static let sizes = ["0.1M", "0.25M", "0.5M", "1M", "3M"]
  private static let counts = [
    "k1c2": [101_635, 252_349, 499_407, 1_004_452, 3_015_340],
    "k2c1": [96_559, 245_126, 501_960, 999_450, 2_977_745],
    "k2c2": [96_328, 245_301, 496_182, 1_002_206, 3_043_331],
    "crnn": [96_710, 245_426, 496_199, 999_005, 3_025_340],
  ]

  @Test("weights and biases for 50 tags", arguments: counts.keys.sorted(), sizes.indices)
  func publishedCount(network: String, column: Int) throws {
    let settings = NetworkSettings(network: network, widths: .size(Self.sizes[column]), tags: 50)
    #expect(
      try Architectures.network(settings).weightsAndBiases == Self.counts[network]?[column])
  }

  /// 396,786 with the 64 + 3 · 128 channels' and 1440 frames' weights and biases of batch
  /// normalization, as its author counts.
  @Test("the CRNN that was published with its weights has the published count")
  func publishedCRNN() throws {
    var settings = NetworkSettings(
      network: "crnn", widths: .explicit([64, 128, 128, 128, 32, 32]), tags: 50)
    (settings.inputNormalization, settings.gate) = (.frame, .hardSigmoid)
    let network = try Architectures.network(settings)
    #expect(network.parameterCount == 396_786)
    #expect(network.weightsAndBiases == 396_786 - 2 * (448 + 1440))
  }

  @Test(
    "a baseline is within 1 % of what its size promises",
    arguments: [
      NetworkSettings(network: "mlp", widths: .explicit([]), tags: 50),
      NetworkSettings(network: "rnn", widths: .explicit([]), tags: 50, cell: .tanh),
      NetworkSettings(network: "rnn", widths: .explicit([]), tags: 50, cell: .gru),
      NetworkSettings(network: "rnn", widths: .explicit([]), tags: 50, cell: .lstm),
      NetworkSettings(
        network: "rnn", widths: .explicit([]), tags: 50, cell: .tanh, recurrence: .outputToHidden),
    ])
  func baselineCount(settings: NetworkSettings) throws {
    var settings = settings
    for (size, nominal) in zip(Self.sizes, [1e5, 2.5e5, 5e5, 1e6, 3e6]) {
      settings.widths = .size(size)
      let count = Double(try Architectures.network(settings).weightsAndBiases)
      #expect(abs(count / nominal - 1) < 0.01, "\(size): \(count)")
    }
  }

  @Test(
    "no other scale comes nearer to a budget", arguments: Architectures.all.map { $0.name },
    [20_000, 99_999, 420_000, 777_777])
  func nearest(network: String, budget: Int) throws {
    func count(_ widths: NetworkSettings.Widths) throws -> Int {
      try Architectures.network(NetworkSettings(network: network, widths: widths, tags: 50))
        .weightsAndBiases
    }
    let architecture = try #require(Architectures.all.first { $0.name == network })
    let distance = abs(try count(.parameters(budget)) - budget)
    // fine enough to meet every rounding of every width up to the published 1M column
    for step in 1...1500 {
      let widths = architecture.proportions.map {
        max(1, Int((Double($0) * Double(step) / 1400).rounded()))
      }
      let other = abs(try count(.explicit(widths)) - budget)
      #expect(other >= distance, "\(widths) misses by \(other), the search by \(distance)")
    }
  }

  @Test("dropout, pooling, normalization and gates do not change a count of weights")
  func countsAgree() throws {
    var settings = NetworkSettings(network: "crnn", widths: .size("0.25M"), tags: 50)
    settings.pooling = .average
    settings.inputNormalization = .frame
    settings.gate = .hardSigmoid
    settings.convolutionDropout = 0.4
    settings.denseDropout = 0.4
    #expect(try Architectures.network(settings).weightsAndBiases == 245_426)
    settings.reset = .after
    // the second bias of both GRUs
    #expect(try Architectures.network(settings).weightsAndBiases == 245_426 + 2 * 3 * 48)
  }
}

extension NetworkSettings: CustomTestStringConvertible {
  public var testDescription: String {
    "\(network) \(inputNormalization) \(gate) \(cell) \(recurrence)"
  }
}
