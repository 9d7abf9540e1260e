import Foundation
import Testing
import Training

/// Text that is wrong, and what the error must say about it.
struct Refusal: CustomTestStringConvertible, Sendable {
  let text: String
  let code: ConfigurationError.Code
  let saying: String
  var testDescription: String { text }

  init(_ text: String, _ code: ConfigurationError.Code, _ saying: String) {
    (self.text, self.code, self.saying) = (text, code, saying)
  }
}

@Suite struct ConfigurationTests {
  @Test("the networks' defaults", arguments: Configuration.Network.allCases)
  func defaults(network: Configuration.Network) throws {
    let configuration = try Configuration(overrides: ["model.network=\(network.rawValue)"])
    #expect(configuration == Configuration(network: network))
    #expect(configuration.model.scale == .size(.tenthMillion))
    #expect(configuration.training.clipsPerStep == 16)
    #expect(configuration.model.dropout.convolution == (network == .crnn ? 0.1 : 0))
    #expect(
      configuration.model.dropout.dense == ([.k1c2, .k2c1, .mlp].contains(network) ? 0.5 : 0))
  }

  @Test("a file sets what it says and nothing else")
  func file() throws {
    let configuration = try Configuration(
      yaml: """
        model:
          network: k2c1
          parameters: 420_000
          pool: average
          dropout: {dense: 0.25}
        training:
          seed: 18446744073709551615
          patience: null
          validateEvery: 500 steps
        optimizer: {learningRate: 3e-4, schedule: cosine, warmupSteps: 100}
        loss:
          logBase: 2
        features:
        """, place: "a.yaml")
    var expected = Configuration(network: .k2c1)
    (expected.model.size, expected.model.parameters) = (nil, 420_000)
    expected.model.pool = .average
    expected.model.dropout.dense = 0.25
    expected.training.seed = .max
    expected.training.patience = nil
    expected.training.validateEvery = .steps(500)
    expected.optimizer.learningRate = 3e-4
    expected.optimizer.schedule = .cosine
    expected.optimizer.warmupSteps = 100
    expected.loss.logBase = .two
    #expect(configuration == expected)
  }

  @Test(
    "an override's value is YAML",
    arguments: [
      ("model.parameters=420000", "model.parameters", "420000"),
      ("model.parameters=420_000", "model.parameters", "420000"),
      ("model.widths=[1, 2, 3, 4, 5, 6]", "model.widths", "[1, 2, 3, 4, 5, 6]"),
      ("model.size=3M", "model.size", "3M"),
      ("model.dropout={convolution: 0.3}", "model.dropout.convolution", "0.3"),
      ("training.maxSteps=7", "training.maxSteps", "7"),
      ("training.maxSteps=", "training.maxSteps", "null"),
      ("training.checkpointEvery=1 step", "training.checkpointEvery", "1 step"),
      ("training.clipNorm=1e3", "training.clipNorm", "1000"),
      ("optimizer.learningRate=1", "optimizer.learningRate", "1"),
      ("features.sampleRateHz=12000", "features.sampleRateHz", "12000"),
      ("loss.positiveWeight=balanced", "loss.positiveWeight", "balanced"),
      ("loss.positiveWeight=none", "loss.positiveWeight", "none"),
      ("loss.positiveWeight=3.5", "loss.positiveWeight", "3.5"),
      ("loss.positiveWeight=[1, 0.25, 12]", "loss.positiveWeight", "[1, 0.25, 12]"),
      ("augmentation={timeMasks: 2, timeMaskFrames: 70}", "augmentation.timeMaskFrames", "70"),
      ("augmentation.cropFrames=1366", "augmentation.cropFrames", "1366"),
      ("augmentation.cropFrames=null", "augmentation.cropFrames", "null"),
    ])
  func override(text: String, key: String, value: String) throws {
    let configuration = try Configuration(
      yaml: "model: {network: crnn, size: 1M}", place: "a.yaml", overrides: [text])
    let setting = try #require(Setting.all.first { $0.key == key })
    #expect(setting.text(configuration) == value)
  }

  @Test("the last override of a key wins, and the network decides defaults wherever it is set")
  func lastWins() throws {
    let configuration = try Configuration(
      yaml: "training: {lanes: 2}", place: "a.yaml",
      overrides: ["training.lanes=3", "training.lanes=4", "model.network=k1c2"])
    #expect(configuration.training.lanes == 4)
    #expect(configuration.model.dropout.dense == 0.5)
  }

  @Test(
    "an override of the width replaces the file's, whichever way each is given",
    arguments: [
      ("size: 1M", "model.parameters=5000", Configuration.Model.Scale.parameters(5000)),
      ("parameters: 5000", "model.size=1M", .size(.million)),
      ("size: 1M", "model.widths=[1, 2, 3, 4, 5]", .widths([1, 2, 3, 4, 5])),
      ("widths: [1, 2, 3, 4, 5]", "model.size=3M", .size(.threeMillion)),
      ("widths: [1, 2, 3, 4, 5]", "model.size=null", .widths([1, 2, 3, 4, 5])),
    ])
  func scale(file: String, override: String, expected: Configuration.Model.Scale) throws {
    let configuration = try Configuration(
      yaml: "model: {network: k2c2, \(file)}", place: "a.yaml", overrides: [override])
    #expect(configuration.model.scale == expected)
  }

  @Test(
    "refusals name the place, the key, and what is allowed",
    arguments: [
      Refusal(
        "model:\n  netwrok: crnn", .unknownKey,
        "a.yaml:2: model.netwrok is not a setting; did you mean model.network?"),
      Refusal(
        "trainning: {lanes: 4}", .unknownKey,
        "a.yaml:1: trainning is not a setting; did you mean training?"),
      Refusal("lanes: 4", .unknownKey, "did you mean training.lanes?"),
      Refusal("training:\n  learningRate: 1", .unknownKey, "did you mean optimizer.learningRate?"),
      Refusal("model: {dropout: {dence: 1}}", .unknownKey, "model.dropout.dense?"),
      Refusal(
        "model:\n\n  network: crmn", .badValue,
        "a.yaml:3: model.network is crmn; allowed is one of k1c2, k2c1, k2c2, crnn, mlp, rnn"),
      Refusal("model: {size: 2M}", .badValue, "one of 0.1M, 0.25M, 0.5M, 1M, 3M, or null"),
      Refusal("model: {size: 1}", .badValue, "model.size is 1;"),
      Refusal(
        "training: {lanes: 0}", .badValue,
        "training.lanes is 0; allowed is an integer from 1 to 65536"),
      Refusal("training: {lanes: \"8\"}", .badValue, "training.lanes is 8;"),
      Refusal("training: {lanes: 0o10}", .badValue, "0o10"),
      Refusal("training: {lanes: 1:30}", .badValue, "1:30"),
      Refusal("training: {lanes: 8.0}", .badValue, "8.0"),
      Refusal("training: {lanes: _8}", .badValue, "_8"),
      Refusal("training: {lanes: 99999999999999999999}", .badValue, "99999999999999999999"),
      Refusal("training: {lanes: }", .badValue, "training.lanes is empty"),
      Refusal("training: {lanes: [8]}", .badValue, "training.lanes is [8]"),
      Refusal("training: {lanes: {a: 1}}", .badValue, "a mapping"),
      Refusal("training: {seed: -1}", .badValue, "training.seed is -1"),
      Refusal("training: {seed: 18446744073709551616}", .badValue, "18446744073709551615"),
      Refusal("training: {validateEvery: 5}", .badValue, "500 steps or 1 epoch"),
      Refusal("training: {validateEvery: 0 steps}", .badValue, "500 steps or 1 epoch"),
      Refusal("training: {epochs: ten}", .badValue, "training.epochs is ten"),
      Refusal("optimizer: {learningRate: .nan}", .badValue, "above 0, at most 10"),
      Refusal("optimizer: {learningRate: .inf}", .badValue, "above 0, at most 10"),
      Refusal("optimizer: {learningRate: 1e999}", .badValue, "above 0, at most 10"),
      Refusal("optimizer: {learningRate: 0}", .badValue, "above 0, at most 10"),
      Refusal("optimizer: {learningRate: nan}", .badValue, "optimizer.learningRate is nan"),
      Refusal("optimizer: {beta2: 1}", .badValue, "a number from 0, below 1"),
      Refusal("optimizer: {factor: 1}", .badValue, "a number above 0, below 1"),
      Refusal("model: {dropout: 0.5}", .badValue, "model.dropout is a section"),
      Refusal("model: {dropout: {convolution: -0.1}}", .badValue, "from 0, below 1"),
      Refusal(
        "model: {widths: [30, 60]}", .badValue,
        "crnn needs 6: conv1, conv2, conv3, conv4, gru1, gru2"),
      Refusal("model: {widths: [30, 60, 60, 60, 30, 0]}", .badValue, "each from 1 to 65536"),
      Refusal("model: {widths: [30, [60], 60, 60, 30, 1]}", .badValue, "a list of integers"),
      Refusal(
        "model: {size: 1M, parameters: 5000}", .contradiction, "model.size and model.parameters"),
      Refusal(
        "model: {cell: lstm}", .notApplicable,
        "model.cell is a setting of rnn, and model.network is crnn"),
      Refusal(
        "model: {network: rnn, dropout: {convolution: 0.1}}", .notApplicable,
        "a setting of k1c2, k2c1, k2c2, crnn, and model.network is rnn; remove it"),
      Refusal(
        "model: {network: rnn, cell: gru, recurrence: outputToHidden}", .contradiction,
        "needs model.cell tanh"),
      Refusal(
        "model: {network: rnn, cell: tanh, gate: hardSigmoid}", .contradiction,
        "model.gate hardSigmoid is for gated cells, and model.cell is tanh"),
      Refusal(
        "model: {network: rnn, inputNormalization: frame}", .notApplicable, "a setting of crnn"),
      Refusal("model: {network: mlp, gate: sigmoid}", .notApplicable, "a setting of crnn, rnn"),
      Refusal("model: {gate: hard}", .badValue, "one of sigmoid, hardSigmoid"),
      Refusal("model: {inputNormalization: bands}", .badValue, "one of band, frame"),
      Refusal("features: {melExponent: 0.5}", .badValue, "from 1 to 10"),
      Refusal(
        "optimizer: {minimumLearningRate: 0.01}", .contradiction,
        "above optimizer.learningRate 0.001"),
      Refusal("optimizer: {warmupSteps: 10, decaySteps: 10}", .contradiction, "warmupSteps"),
      Refusal(
        "loss: {positiveWeight: some}", .badValue,
        "loss.positiveWeight is some; allowed is none, balanced, a number, or a list"),
      Refusal("loss: {positiveWeight: 0}", .badValue, "above 0, at most 1000000"),
      Refusal("loss: {positiveWeight: -1}", .badValue, "loss.positiveWeight is -1"),
      Refusal("loss: {positiveWeight: []}", .badValue, "loss.positiveWeight is []"),
      Refusal("loss: {positiveWeight: [1, 0]}", .badValue, "above 0"),
      Refusal("loss: {positiveWeight: [1, x]}", .badValue, "loss.positiveWeight is [1, x]"),
      Refusal("loss: {positiveWeight: \"2\"}", .badValue, "loss.positiveWeight is 2"),
      Refusal("loss: {positiveWeight: }", .badValue, "loss.positiveWeight is empty"),
      Refusal("loss: {maximumPositiveWeight: 0.5}", .badValue, "from 1 to 1000000"),
      Refusal(
        "loss: {kind: softmax, positiveWeight: balanced}", .contradiction, "loss.kind is softmax"),
      Refusal("augmentation: {timeMasks: -1}", .badValue, "an integer from 0 to 100"),
      Refusal("augmentation: {bandMasks: 101}", .badValue, "an integer from 0 to 100"),
      Refusal("augmentation: {timeMaskFrames: 0}", .badValue, "from 1 to 1000000"),
      Refusal("augmentation: {bandMaskBands: 1.5}", .badValue, "bandMaskBands is 1.5"),
      Refusal("augmentation: {cropFrames: 0}", .badValue, "from 1 to 1000000, or null"),
      Refusal("training:\n  lanes: 8\n  lanes: 4", .malformed, "lanes stands twice"),
      Refusal("model: [", .malformed, "not YAML"),
      Refusal("a: *b", .malformed, "write values out"),
      Refusal("# a & b\n\"#\": &a 1", .malformed, "a.yaml:2"),
      Refusal("training: {lanes: 8}\n---\ntraining: {lanes: 4}", .malformed, "not YAML"),
      Refusal("just words", .badValue, "a configuration is a section"),
      Refusal("? [a]\n: b", .malformed, "a key must be a word"),
      Refusal("\u{0}", .malformed, "not YAML"),
      Refusal(String(repeating: "[", count: 100_000), .malformed, "not YAML"),
    ])
  func refusals(refusal: Refusal) throws {
    let error = try #require(throws: ConfigurationError.self) {
      try Configuration(yaml: refusal.text, place: "a.yaml")
    }
    #expect(error.code == refusal.code)
    #expect(error.description.contains(refusal.saying), "\(error)")
    #expect(error.description.hasPrefix("a.yaml"), "\(error)")
    #expect(!error.description.contains("\n"), "\(error)")
  }

  @Test(
    "overrides are refused like files, with the override as the place",
    arguments: [
      Refusal("model.size", .malformed, "written key=value"),
      Refusal("=3", .malformed, "written key=value"),
      Refusal("training.lane=3", .unknownKey, "did you mean training.lanes?"),
      Refusal("training.lanes=many", .badValue, "training.lanes is many"),
      Refusal("training.lanes=[", .malformed, "not YAML"),
      Refusal("training.lanes.x=1", .unknownKey, "training.lanes.x is not a setting"),
      Refusal("training=1", .badValue, "training is a section"),
    ])
  func overrideRefusals(refusal: Refusal) throws {
    let error = try #require(throws: ConfigurationError.self) {
      try Configuration(overrides: [refusal.text])
    }
    #expect(error.code == refusal.code)
    #expect(error.description.contains(refusal.saying), "\(error)")
    #expect(error.place == "--set \(refusal.text)")
  }

  @Test("two overrides of the width contradict each other")
  func contradictoryOverrides() throws {
    let error = try #require(throws: ConfigurationError.self) {
      try Configuration(overrides: ["model.size=1M", "model.parameters=5000"])
    }
    #expect(error.code == .contradiction)
  }

  @Test("a missing file, a folder, and bytes that are not text are refused with their path")
  func unreadable() throws {
    let folder = try TemporaryFolder()
    let binary = folder / "binary.yaml"
    try Data([0xff, 0xfe, 0x80]).write(to: URL(fileURLWithPath: binary))
    for path in [folder / "missing.yaml", folder.path, binary] {
      let error = try #require(throws: ConfigurationError.self) { try Configuration(path: path) }
      #expect(error.place == path)
    }
  }

  @Test(
    "the resolved file has every setting of its network and reads back as the same configuration",
    arguments: Configuration.Network.allCases)
  func resolved(network: Configuration.Network) throws {
    var configuration = Configuration(network: network)
    configuration.model.widths = network.widthNames.indices.map { $0 + 3 }
    configuration.model.size = nil
    configuration.training.seed = .max
    configuration.training.maxSteps = 12
    configuration.training.patience = nil
    configuration.training.checkpointEvery = .steps(1)
    configuration.training.clipNorm = 0.1
    configuration.optimizer.learningRate = 1.0 / 3
    configuration.optimizer.epsilon = 1e-12
    configuration.features.decibelFloor = 1e-10
    let yaml = configuration.yaml
    #expect(try Configuration(yaml: yaml, place: "config.yaml") == configuration)
    #expect(try Configuration(yaml: yaml, place: "config.yaml").yaml == yaml)
    for setting in Setting.all(of: network) {
      let name = setting.key.split(separator: ".").last!
      #expect(yaml.contains(" \(name): \(setting.text(configuration))\n"), "\(setting.key)")
      #expect(yaml.contains("# \(setting.summary)\n"), "\(setting.key)")
    }
    #expect(yaml.split(separator: "\n").allSatisfy { $0.count <= 110 })
  }

  @Test("every setting takes its own text back, and bounds hold for the defaults")
  func tableIsSound() throws {
    #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
    for network in Configuration.Network.allCases {
      for setting in Setting.all(of: network) where setting.key != "model.network" {
        let text = setting.text(Configuration(network: network))
        _ = try Configuration(overrides: [
          "model.network=\(network.rawValue)", "\(setting.key)=\(text)",
        ])
      }
    }
  }

  @Test("the example configurations are read, and are what their names say")
  func examples() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../configs").standardized
    for network in Configuration.Network.allCases {
      let path = folder.appendingPathComponent(network.rawValue + ".yaml").path
      let configuration = try Configuration(path: path)
      #expect(configuration.model.network == network)
      // The main job has few clips, and a narrower network than any published one.
      #expect(
        configuration.model.scale
          == (network == .crnn ? .widths([16, 32, 32, 32, 32, 32]) : .size(.tenthMillion)))
      let sized = try Configuration(path: path, overrides: ["model.size=0.25M"])
      #expect(sized.model.scale == .size(.quarterMillion))
      #expect(configuration.optimizer.learningRate == (network == .crnn ? 3e-3 : 1e-3))
      // What is commented out in a file is right too.
      let text = try String(contentsOfFile: path, encoding: .utf8)
      for line in text.split(separator: "\n") where line.contains("# widths:") {
        let widths = line.drop { $0 != "[" }.prefix { $0 != "]" } + "]"
        let outright = try Configuration(path: path, overrides: ["model.widths=\(widths)"])
        #expect(outright.model.widths?.count == network.widthNames.count)
      }
    }
  }

  @Test("the published CRNN's configuration is the network of its author")
  func published() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../configs/crnn-published.yaml").standardized.path
    let configuration = try Configuration(path: path)
    #expect(configuration.model.widths == [64, 128, 128, 128, 32, 32])
    #expect(configuration.model.inputNormalization == .frame)
    #expect(configuration.model.gate == .hardSigmoid)
    #expect(configuration.features.melExponent == 2)
    let network = try configuration.network(tags: 50, bands: 96, frames: 1366)
    #expect(network.parameterCount == 396_786)
  }

  @Test("differences say what changed and whether a resumed run may change it")
  func differences() throws {
    let old = Configuration()
    #expect(old.differences(from: old).isEmpty)
    let new = try Configuration(overrides: [
      "training.epochs=200", "training.patience=null", "training.seed=1", "model.size=1M",
    ])
    let differences = new.differences(from: old)
    #expect(
      differences.map(\.description) == [
        "model.size was 0.1M and is now 1M", "training.seed was 0 and is now 1",
        "training.epochs was 100 and is now 200", "training.patience was 10 and is now null",
      ])
    #expect(differences.map(\.mayChange) == [false, false, true, true])
  }

  @Test("the length of a run may change unless a cosine hangs on it")
  func cosineFixesTheLength() throws {
    func mayChangeEpochs(_ overrides: [String]) throws -> Bool {
      let old = try Configuration(overrides: overrides)
      let new = try Configuration(overrides: overrides + ["training.epochs=7"])
      let difference = try #require(new.differences(from: old).first)
      #expect((old.identity == new.identity) == difference.mayChange)
      return difference.mayChange
    }
    #expect(try mayChangeEpochs([]))
    #expect(try mayChangeEpochs(["optimizer.schedule=plateau"]))
    #expect(try mayChangeEpochs(["optimizer.schedule=cosine", "optimizer.decaySteps=100"]))
    #expect(try !mayChangeEpochs(["optimizer.schedule=cosine"]))
  }

  @Test("identity changes with each setting that the result depends on, and with no other")
  func identity() throws {
    let base = try Configuration(overrides: [])
    #expect(base.identity.count == 64)
    for (override, same) in [
      ("training.keepCheckpoints=9", true), ("training.checkpointEvery=5 steps", true),
      ("training.maxSteps=9", true), ("training.lanes=4", false), ("training.seed=2", false),
      ("optimizer.beta1=0.5", false), ("training.validateEvery=5 steps", false),
      ("features.melBands=96", false), ("model.reset=after", false),
      ("augmentation.timeMasks=1", false), ("loss.positiveWeight=2", false),
      ("model.gate=hardSigmoid", false), ("model.inputNormalization=frame", false),
    ] {
      #expect(try (Configuration(overrides: [override]).identity == base.identity) == same)
    }
  }
}
