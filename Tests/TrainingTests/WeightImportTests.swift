import Audio
import Foundation
import Kernels
import Layers
import Models
import Testing
import Training

/// Weights by PyTorch and by others become models that say what their own programs say.
@Suite struct WeightImportTests {
  let folder: TemporaryFolder
  var weights: String { folder / "weights.safetensors" }

  init() throws { folder = try TemporaryFolder() }

  private static let widths = "model.widths=[3, 5, 4, 3, 5, 4]"
  private static let tags = ["rock", "pop", "jazz", "soul", "folk", "Hip-Hop", "60s"]

  /// The network of `pytorch.safetensors`.
  private static func pytorch() throws -> Configuration {
    try Configuration(overrides: [widths, "model.reset=after"])
  }

  /// The network of `gates.safetensors`.
  private static func gates() throws -> Configuration {
    try Configuration(overrides: [
      widths, "model.inputNormalization=frame", "model.gate=hardSigmoid", "features.melExponent=2",
    ])
  }

  private func tagsFile(_ text: String = tags.joined(separator: "\n")) throws -> String {
    try text.write(toFile: folder / "tags.txt", atomically: true, encoding: .utf8)
    return folder / "tags.txt"
  }

  /// Of the clips of the networks' goldens.
  private func probabilities(_ model: TaggingModel) throws -> [Float] {
    let clips = 3
    let executor = Executor(
      model.network, clips: clips, loss: model.configuration.trainingLoss, trains: false,
      weights: model.weights, pool: ThreadPool(threads: 1))
    _ = executor.input.buffer.update(from: try TorchGolden("crnn").input)
    return executor.probabilities(clips: clips).values
  }

  private func expectAnswers(_ model: TaggingModel, _ name: String, within: Float = 1e-5) throws {
    let expected: [Float] = try SafetensorsFile(path: ForeignWeights.path("answers")).read(name)
    let found = try probabilities(model)
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) { #expect(abs(a - b) <= within) }
  }

  // MARK: What is accepted

  @Test("a state_dict of PyTorch gives PyTorch's probabilities")
  func stateDict() throws {
    let model = try TaggingModel(
      importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch(),
      tags: try tagsFile())
    #expect(model.tags == Self.tags)
    try expectAnswers(model, "pytorch")
  }

  @Test("gates in matrices of their own, normalized frames and hard sigmoids")
  func gates() throws {
    let model = try TaggingModel(
      importing: ForeignWeights.path("gates"), configuration: Self.gates())
    #expect(model.tags == Self.tags)
    try expectAnswers(model, "gates")
  }

  @Test("an imported model is written, read and imported again without losing a bit")
  func again() throws {
    let first = try TaggingModel(
      importing: ForeignWeights.path("gates"), configuration: Self.gates())
    try first.write(to: folder / "model")
    let second = try TaggingModel(path: folder / "model")
    let third = try TaggingModel(
      importing: folder / "model", configuration: second.configuration)
    for model in [second, third] {
      #expect(model.weights.values == first.weights.values)
      #expect(model.tags == first.tags)
      #expect(model.configuration == first.configuration)
      #expect(model.features == first.features)
    }
  }

  /// Half precision has 11 bits: a relative error of 2⁻¹² a weight; bfloat16, cut off, 2⁻⁷.
  @Test(
    "other precisions are converted",
    arguments: [
      (SafetensorsType.float64, Float(1e-5)), (.float16, 0.01), (.bfloat16, 0.2),
    ])
  func precisions(type: SafetensorsType, within: Float) throws {
    var foreign = try ForeignWeights("pytorch")
    foreign.convert(to: type)
    try foreign.write(to: weights)
    let model = try TaggingModel(
      importing: weights, configuration: Self.pytorch(), tags: try tagsFile())
    try expectAnswers(model, "pytorch", within: within)
    let names = model.network.parameters
    let (found, exact) = (model.weights.values, try ForeignWeights("pytorch").tensors)
    for window in names {
      let expected = try #require(exact[window.name]).numbers
      for (a, b) in zip(found[window.range], expected) {
        switch type {
        case .float16: #expect(a == Float(Float16(b)))
        case .bfloat16: #expect(a == Float(bitPattern: b.bitPattern & 0xFFFF_0000))
        default: #expect(a == b)
        }
      }
    }
  }

  @Test("a map gives names and leaves tensors out")
  func map() throws {
    var foreign = try ForeignWeights("pytorch")
    let first = ["conv1.weight", "conv1.bias", "gru1.weight_hh_l0", "output.bias"]
    for name in first { foreign.rename(name, "net." + name) }
    foreign.tensors["teacher"] = ForeignWeights.Values(shape: [2], numbers: [.nan, 1])
    try foreign.write(to: weights)
    let map = first.map { "net.\($0): \($0)\n" }.joined() + "teacher: null\n"
    try map.write(toFile: folder / "map.yaml", atomically: true, encoding: .utf8)
    let model = try TaggingModel(
      importing: weights, configuration: Self.pytorch(), tags: try tagsFile(),
      map: folder / "map.yaml")
    try expectAnswers(model, "pytorch")
  }

  @Test("a variance is one under any name")
  func mappedVariance() throws {
    var foreign = try ForeignWeights("pytorch")
    foreign.tensors["bn1.running_var"]?.numbers[2] = -1
    foreign.rename("bn1.running_var", "spread")
    try foreign.write(to: weights)
    try "spread: bn1.running_var".write(
      toFile: folder / "map.yaml", atomically: true, encoding: .utf8)
    try expectRefusal(["spread has -1.0 at 2, and no variance is negative"], lines: 1) {
      try TaggingModel(
        importing: weights, configuration: Self.pytorch(), tags: try tagsFile(),
        map: folder / "map.yaml")
    }
  }

  @Test("an empty map and tags as Windows writes them")
  func plainTexts() throws {
    try "".write(toFile: folder / "map.yaml", atomically: true, encoding: .utf8)
    let model = try TaggingModel(
      importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch(),
      tags: try tagsFile("\u{FEFF}" + Self.tags.joined(separator: "\r\n") + "\r\n\r\n"),
      map: folder / "map.yaml")
    #expect(model.tags == Self.tags)
  }

  /// PyTorch adds both to the same sum.
  @Test("the two biases of an LSTM or plain recurrence are added", arguments: ["lstm", "tanh"])
  func twoBiases(cell: String) throws {
    let configuration = try Configuration(overrides: [
      "model.network=rnn", "model.cell=\(cell)", "model.widths=[2]",
    ])
    let network = try configuration.network(tags: 7, bands: 96, frames: 1366)
    var foreign = try ForeignWeights("pytorch")
    foreign.tensors = [:]
    for window in network.parameters + network.statistics {
      foreign.tensors[window.name] = ForeignWeights.Values(
        shape: window.shape.extents, numbers: window.range.map { 1 + Float($0) / 64 })
    }
    let bias = try #require(network.parameters.first { $0.name == "rnn1.bias_ih_l0" })
    let second = bias.range.map { Float($0) }
    foreign.tensors["rnn1.bias_hh_l0"] = ForeignWeights.Values(
      shape: bias.shape.extents, numbers: second)
    try foreign.write(to: weights)
    let model = try TaggingModel(
      importing: weights, configuration: configuration, tags: try tagsFile())
    for (place, value) in model.weights.values.enumerated() {
      let first = 1 + Float(place) / 64
      #expect(value == (bias.range.contains(place) ? first + Float(place) : first))
    }
  }

  @Test("only a GRU has gates r, z and h")
  func otherGates() throws {
    let configuration = try Configuration(overrides: [
      "model.network=rnn", "model.cell=lstm", "model.widths=[3]",
    ])
    var foreign = try ForeignWeights("gates")
    foreign.tensors = ["rnn1.w_r": ForeignWeights.Values(shape: [1, 1], numbers: [0])]
    try foreign.write(to: weights)
    let error = try #require(throws: CheckpointError.self) {
      try TaggingModel(importing: weights, configuration: configuration)
    }
    #expect(error.detail.contains("rnn1.weight_ih_l0 [12, 96] is missing"))
    #expect(error.detail.contains("rnn1.w_r [1, 1] is left over"))
  }

  @Test("the features are those of the configuration, and else those of tutti prepare")
  func features() throws {
    let usual = try TaggingModel(
      importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch(),
      tags: try tagsFile())
    #expect(
      usual.features.map { "\($0.name) \($0.value)" }
        == FeatureSettings().entries.map { "\($0.name) \($0.value)" })
    #expect(usual.configuration.loss.kind == .binary)
    let squared = try TaggingModel(
      importing: ForeignWeights.path("gates"), configuration: Self.gates())
    #expect(squared.features.contains { $0.name == "melExponent" && $0.value == "2.0" })
    #expect(throws: AudioError.self) {
      try TaggingModel(
        importing: ForeignWeights.path("pytorch"),
        configuration: Configuration(overrides: ["features.windowLength=511"]),
        tags: try tagsFile())
    }
  }

  // MARK: What is refused

  struct Spoilt: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let says: [String]
    let spoil: @Sendable (inout ForeignWeights) -> Void

    init(
      _ what: String, says: String..., spoil: @escaping @Sendable (inout ForeignWeights) -> Void
    ) {
      (testDescription, self.says, self.spoil) = (what, says, spoil)
    }
  }

  static let spoiltStateDicts = [
    Spoilt("a tensor missing", says: "conv3.weight [4, 5, 3, 3] is missing") {
      $0.tensors["conv3.weight"] = nil
    },
    Spoilt("a statistic missing", says: "bn2.running_var [5] is missing") {
      $0.tensors["bn2.running_var"] = nil
    },
    Spoilt("a tensor left over", says: "conv5.weight [3, 1] is left over") {
      $0.tensors["conv5.weight"] = ForeignWeights.Values(shape: [3, 1], numbers: [1, 2, 3])
    },
    Spoilt("another shape", says: "conv1.weight is [3, 3, 3, 1], and [3, 1, 3, 3] is needed") {
      $0.tensors["conv1.weight"]?.shape = [3, 3, 3, 1]
    },
    Spoilt("another rank", says: "bn0.bias is [1, 96], and [96] is needed") {
      $0.tensors["bn0.bias"]?.shape = [1, 96]
    },
    Spoilt("integers", says: "output.bias holds integers") {
      $0.tensors["output.bias"]?.type = .int64
    },
    Spoilt(
      "several things", says: "bn1.weight [3] is missing", "gamma [3] is left over",
      "output.weight is [4, 7], and [7, 4] is needed"
    ) {
      $0.rename("bn1.weight", "gamma")
      $0.tensors["output.weight"]?.shape = [4, 7]
    },
    Spoilt("one tensor under two spellings", says: "fc.bias [7] is left over") {
      $0.tensors["fc.bias"] = $0.tensors["output.bias"]
    },
    Spoilt(
      "a GRU without its second bias",
      says: "gru2.bias_hh_l0 [12] is missing: a GRU with one bias needs model.reset before"
    ) {
      $0.tensors["gru2.bias_hh_l0"] = nil
    },
    Spoilt("a NaN", says: "gru1.weight_ih_l0 has nan at 7") {
      $0.tensors["gru1.weight_ih_l0"]?.numbers[7] = .nan
    },
    Spoilt("an infinity", says: "output.bias has -inf at 0", "conv2.bias has inf at 4") {
      $0.tensors["output.bias"]?.numbers[0] = -.infinity
      $0.tensors["conv2.bias"]?.numbers[4] = .infinity
    },
    Spoilt("a double beyond floats", says: "conv2.bias has inf at 4") {
      $0.tensors["conv2.bias"]?.numbers[4] = .infinity
      $0.tensors["conv2.bias"]?.type = .float64
    },
    Spoilt("a negative variance", says: "bn3.running_var has -0.5 at 1, and no variance is") {
      $0.tensors["bn3.running_var"]?.numbers[1] = -0.5
    },
  ]

  @Test("what does not fit is refused by name, all of it", arguments: spoiltStateDicts)
  func refusals(_ spoilt: Spoilt) throws {
    var foreign = try ForeignWeights("pytorch")
    spoilt.spoil(&foreign)
    try foreign.write(to: weights)
    try expectRefusal(spoilt.says, lines: spoilt.says.count) {
      try TaggingModel(importing: weights, configuration: Self.pytorch(), tags: try tagsFile())
    }
  }

  static let spoiltGates = [
    Spoilt("a gate missing", says: "gru1.w_z [5, 3] is missing") {
      $0.tensors["gru1.w_z"] = nil
    },
    Spoilt("a gate's shape", says: "gru2.u_h is [2, 8], and [4, 4] is needed") {
      $0.tensors["gru2.u_h"]?.shape = [2, 8]
    },
    Spoilt(
      "gates apart and together",
      says: "gru1.b_h [5] is left over", "gru1.b_r [5] is left over", "gru1.b_z [5] is left over"
    ) {
      $0.tensors["gru1.bias_ih_l0"] = ForeignWeights.Values(
        shape: [15], numbers: Array(repeating: 0, count: 15))
    },
    Spoilt(
      "PyTorch's second bias",
      says: "gru1.bias_hh_l0 [15] is left over: a GRU with two biases, as PyTorch's, needs "
        + "model.reset after"
    ) {
      $0.tensors["gru1.bias_hh_l0"] = ForeignWeights.Values(
        shape: [15], numbers: Array(repeating: 0, count: 15))
    },
    Spoilt("the other normalization", says: "bn0.bias is [96], and [1440] is needed") {
      $0.tensors["bn0.bias"] = ForeignWeights.Values(
        shape: [96], numbers: Array(repeating: 0, count: 96))
    },
    Spoilt(
      "another number of tags", says: "fc.bias is [7], and [2] is needed",
      "fc.weight is [7, 4], and [2, 4] is needed"
    ) {
      $0.metadata["tags"] = "[\"rock\", \"pop\"]"
    },
  ]

  @Test("gates that do not fit are refused by name", arguments: spoiltGates)
  func gateRefusals(_ spoilt: Spoilt) throws {
    var foreign = try ForeignWeights("gates")
    spoilt.spoil(&foreign)
    try foreign.write(to: weights)
    try expectRefusal(spoilt.says, lines: spoilt.says.count) {
      try TaggingModel(importing: weights, configuration: Self.gates())
    }
  }

  private func expectRefusal(
    _ says: [String], lines: Int, _ body: () throws -> TaggingModel
  ) throws {
    let error = try #require(throws: CheckpointError.self) { try body() }
    for words in says { #expect(error.description.contains(words), "\(error)") }
    #expect(error.description.hasPrefix(weights))
    #expect(error.detail.split(separator: "\n").count == 1 + lines, "\(error)")
  }

  @Test("another network names all that does not fit")
  func otherNetwork() throws {
    let error = try #require(throws: CheckpointError.self) {
      try TaggingModel(
        importing: ForeignWeights.path("pytorch"),
        configuration: Configuration(network: .k2c2), tags: try tagsFile())
    }
    #expect(error.detail.contains("conv5.weight [83, 62, 3, 3] is missing"))
    #expect(error.detail.contains("gru1.weight_ih_l0 [15, 3] is left over"))
  }

  @Test(
    "tags that cannot be are refused",
    arguments: [
      ("[\"rock\", \"pop\", \"rock\"]", "tags 1 and 3 of"), ("[]", "names no tags"),
      ("[\"rock\", \"\"]", "tag 2 of"), ("{\"rock\": 1}", "not a JSON list"),
      ("rock", "not a JSON list"),
    ])
  func metadataTags(json: String, says: String) throws {
    var foreign = try ForeignWeights("gates")
    foreign.metadata["tags"] = json
    try foreign.write(to: weights)
    let error = try #require(throws: TrainingError.self) {
      try TaggingModel(importing: weights, configuration: Self.gates())
    }
    #expect(error.description.contains(says), "\(error)")
    #expect(error.description.contains(weights) && error.status == .badInput)
  }

  @Test(
    "lists of tags that cannot be are refused",
    arguments: [
      ("rock\npop\nrock", "tags 1 and 3 of"), ("\n\n", "names no tags"), ("", "names no tags"),
      ("rock\n\npop", "tag 2 of"),
    ])
  func listedTags(text: String, says: String) throws {
    let list = try tagsFile(text)
    let error = try #require(throws: TrainingError.self) {
      try TaggingModel(
        importing: ForeignWeights.path("gates"), configuration: Self.gates(), tags: list)
    }
    #expect(error.description.contains(says), "\(error)")
    #expect(error.description.contains(list) && error.status == .badInput)
  }

  @Test("no tags at all, and lists that are not there")
  func noTags() throws {
    let error = try #require(throws: TrainingError.self) {
      try TaggingModel(importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch())
    }
    #expect(error.description.contains("--tags FILE names them"))
    for (tags, map) in [(folder / "none", nil), (try tagsFile(), folder / "none")] {
      let error = try #require(throws: ConfigurationError.self) {
        try TaggingModel(
          importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch(), tags: tags,
          map: map)
      }
      #expect(error.description == folder / "none" + ": there is no such file")
    }
  }

  @Test(
    "maps that cannot be are refused",
    arguments: [
      ("- conv1.weight", "conv1.weight: conv1.weight"), ("conv1.weight: [a, b]", "map.yaml:1: "),
      ("? [a]\n: conv1.weight", "stands for one name"), ("a: [", "not YAML"),
      ("conv1.bias: a\nconv1.bias: b", "stands twice"),
    ])
  func malformedMaps(text: String, says: String) throws {
    try text.write(toFile: folder / "map.yaml", atomically: true, encoding: .utf8)
    let error = try #require(throws: ConfigurationError.self) {
      try TaggingModel(
        importing: ForeignWeights.path("pytorch"), configuration: Self.pytorch(),
        tags: try tagsFile(), map: folder / "map.yaml")
    }
    #expect(error.description.contains(says), "\(error)")
  }

  @Test(
    "names of a map that do not fit are refused with the others",
    arguments: [
      ("nobody: conv1.bias", ["nobody, which the map names, is not in the file"]),
      (
        "bn1.bias: conv1.bias",
        ["bn1.bias and conv1.bias are both conv1.bias", "bn1.bias [3] is missing"]
      ),
      (
        "bn1.bias: bn9.bias",
        ["bn1.bias [3] is missing", "bn1.bias, as bn9.bias, [3] is left over"]
      ),
      ("output.bias: null", ["output.bias [7] is missing"]),
    ])
  func unfitMaps(text: String, says: [String]) throws {
    try text.write(toFile: folder / "map.yaml", atomically: true, encoding: .utf8)
    try ForeignWeights("pytorch").write(to: weights)
    try expectRefusal(says, lines: says.count) {
      try TaggingModel(
        importing: weights, configuration: Self.pytorch(), tags: try tagsFile(),
        map: folder / "map.yaml")
    }
  }
}
