/// The table of settings: every key once, with its bounds, its explanation, and whether a resumed
/// run may change it.
///
/// A run's identity is what its result is a function of; it may not change on `--resume`.
/// What only says when to stop, or what to keep on disk, may: training on to 20 epochs after 10
/// gives the bits of 20 epochs in one go. The exception is a cosine schedule without `decaySteps`,
/// whose learning rates depend on the length of the run (see `Configuration.mayChange`).

import Yams

package struct Setting: Sendable {
  /// As in `model.dropout.dense`.
  package let key: String
  /// One line for the resolved file.
  package let summary: String
  /// What a person may write, as in "an integer from 1 to 64".
  package let allowed: String
  /// The networks that have this setting.
  package let networks: [Configuration.Network]
  /// Whether a resumed run may change it.
  package let mayChange: Bool
  /// The value in a configuration, as YAML.
  package let text: @Sendable (Configuration) -> String
  /// Sets the value that a node spells; false if it is not an allowed one.
  let assign: @Sendable (inout Configuration, Node) -> Bool

  private init<Value: SettingValue>(
    _ key: String, _ path: WritableKeyPath<Configuration, Value> & Sendable,
    _ bounds: Bounds<Value> = .any, only networks: [Configuration.Network] = [],
    mayChange: Bool = false, means summary: String
  ) {
    self.key = key
    self.summary = summary
    allowed = Value.kind + bounds.phrase
    self.networks = networks.isEmpty ? Configuration.Network.allCases : networks
    self.mayChange = mayChange
    text = { $0[keyPath: path].yaml }
    assign = { configuration, node in
      guard let value = Value(node: node), bounds.accepts(value) else { return false }
      configuration[keyPath: path] = value
      return true
    }
  }

  /// A setting that may be null.
  private init<Value: SettingValue>(
    _ key: String, optional path: WritableKeyPath<Configuration, Value?> & Sendable,
    _ bounds: Bounds<Value> = .any, mayChange: Bool = false, means summary: String
  ) {
    self.init(
      key, path,
      Bounds(phrase: bounds.phrase + ", or null") { value in value.map(bounds.accepts) ?? true },
      mayChange: mayChange, means: summary)
  }
}

extension Setting {
  /// Every setting, in the order in which the resolved file lists them.
  package static let all: [Setting] = [
    Setting("model.network", \.model.network, means: "the architecture"),
    Setting(
      "model.size", optional: \.model.size,
      means: "a column of the table of published sizes; give size, parameters or widths"),
    Setting(
      "model.parameters", optional: \.model.parameters, .from(1_000, to: 100_000_000),
      means: "weights and biases to come nearest to, with the published proportions"),
    Setting(
      "model.widths", optional: \.model.widths,
      Bounds(phrase: ", each from 1 to 65536") { $0.allSatisfy { (1...65_536).contains($0) } },
      means: "channels and units of the layers, in their order"),
    Setting(
      "model.pool", \.model.pool, only: [.k1c2, .k2c1, .k2c2, .crnn],
      means: "what a pool takes of its window"),
    Setting(
      "model.dropout.convolution", \.model.dropout.convolution, .from(0, below: 1),
      only: [.k1c2, .k2c1, .k2c2, .crnn],
      means: "probability of dropping a value after a convolution's pool"),
    Setting(
      "model.dropout.dense", \.model.dropout.dense, .from(0, below: 1),
      means: "probability of dropping a value after a dense layer, or before the output"),
    Setting(
      "model.inputNormalization", \.model.inputNormalization, only: [.crnn],
      means: "normalize each mel band of the input, or each frame after padding time"),
    Setting(
      "model.reset", \.model.reset, only: [.crnn, .rnn],
      means:
        "a GRU's reset gate: before the recurrent product (Cho et al. 2014) or after it (cuDNN)"),
    Setting(
      "model.gate", \.model.gate, only: [.crnn, .rnn],
      means: "gates of a GRU or LSTM: logistic, or clip(0.2 a + 0.5, 0, 1) as early Keras had it"),
    Setting("model.cell", \.model.cell, only: [.rnn], means: "the recurrent cell"),
    Setting(
      "model.recurrence", \.model.recurrence, only: [.rnn],
      means: "read out the last step, or the mean of every step; or feed outputs back (tanh only)"),
    Setting(
      "model.poolFrames", \.model.poolFrames, .from(1, to: 1_366), only: [.mlp, .rnn],
      means: "frames averaged into one before the first layer"),

    Setting("training.seed", \.training.seed, means: "start of every random stream of the run"),
    Setting(
      "training.lanes", \.training.lanes, .from(1, to: 65_536),
      means: "virtual workers; the most workers that can compute at once"),
    Setting(
      "training.clipsPerLane", \.training.clipsPerLane, .from(1, to: 4_096),
      means: "clips of one lane in one step; a step has lanes x clipsPerLane"),
    Setting(
      "training.epochs", \.training.epochs, .from(1, to: 1_000_000), mayChange: true,
      means: "stop after this many passes over the training set"),
    Setting(
      "training.maxSteps", optional: \.training.maxSteps, .atLeast(1), mayChange: true,
      means: "stop after this many steps"),
    Setting(
      "training.patience", optional: \.training.patience, .atLeast(1), mayChange: true,
      means: "stop after this many validations without a better ROC-AUC"),
    Setting(
      "training.validateEvery", \.training.validateEvery,
      means: "how often the validation set is scored"),
    Setting(
      "training.checkpointEvery", \.training.checkpointEvery, mayChange: true,
      means: "how often the state is saved"),
    Setting(
      "training.keepCheckpoints", \.training.keepCheckpoints, .from(1, to: 1_000_000),
      mayChange: true, means: "newest checkpoints to keep, besides the best one"),
    Setting(
      "training.clipNorm", optional: \.training.clipNorm, .above(0, to: 1e12),
      means: "scale a gradient with a larger L2 norm down to this one"),
    Setting(
      "training.notFinite", \.training.notFinite,
      means: "on a NaN or infinity in the gradient, stop the run or skip the step"),
    Setting(
      "training.wire", \.training.wire,
      means: "round each lane's gradient to this before it is sent and added"),

    Setting(
      "optimizer.learningRate", \.optimizer.learningRate, .above(0, to: 10),
      means: "Adam's step size"),
    Setting(
      "optimizer.beta1", \.optimizer.beta1, .from(0, below: 1),
      means: "decay of Adam's mean of the gradient"),
    Setting(
      "optimizer.beta2", \.optimizer.beta2, .from(0, below: 1),
      means: "decay of Adam's mean of the squared gradient"),
    Setting(
      "optimizer.epsilon", \.optimizer.epsilon, .above(0, to: 1),
      means: "added to the root of the second mean"),
    Setting(
      "optimizer.schedule", \.optimizer.schedule,
      means: "how the learning rate changes after the warm-up"),
    Setting(
      "optimizer.warmupSteps", \.optimizer.warmupSteps, .from(0, to: 1_000_000_000),
      means: "steps over which the rate first rises linearly"),
    Setting(
      "optimizer.minimumLearningRate", \.optimizer.minimumLearningRate, .from(0, to: 10),
      means: "where cosine ends, and what plateau does not go below"),
    Setting(
      "optimizer.decaySteps", optional: \.optimizer.decaySteps, .atLeast(1),
      means: "cosine: the step that reaches the minimum; null is the end of the run"),
    Setting(
      "optimizer.factor", \.optimizer.factor, .between(0, 1),
      means: "plateau: what the rate is multiplied with"),
    Setting(
      "optimizer.patience", \.optimizer.patience, .from(1, to: 1_000_000),
      means: "plateau: after this many validations without a better ROC-AUC"),

    Setting(
      "loss.kind", \.loss.kind,
      means: "cross-entropy of each tag, or of one label a clip; auto as the store's task is"),
    Setting("loss.logBase", \.loss.logBase, means: "e trains and reports in nats, 2 in bits"),
    Setting(
      "loss.positiveWeight", \.loss.positiveWeight,
      Bounds(phrase: ", above 0, at most 1000000") {
        $0.numbers.allSatisfy { $0 > 0 && $0 <= 1_000_000 }
      },
      means: "what a tag's positive clips count for; balanced is its negatives over its positives"),
    Setting(
      "loss.maximumPositiveWeight", \.loss.maximumPositiveWeight, .from(1, to: 1_000_000),
      means: "the most that balanced gives a rare tag"),

    Setting(
      "augmentation.cropFrames", optional: \.augmentation.cropFrames, .from(1, to: 1_000_000),
      means: "frames the network sees, anywhere in training, else in the middle; null is all"),
    Setting(
      "augmentation.timeMasks", \.augmentation.timeMasks, .from(0, to: 100),
      means: "stretches of frames hidden of each clip in training (SpecAugment)"),
    Setting(
      "augmentation.timeMaskFrames", \.augmentation.timeMaskFrames, .from(1, to: 1_000_000),
      means: "the widest of them; widths are drawn from 0 to this"),
    Setting(
      "augmentation.bandMasks", \.augmentation.bandMasks, .from(0, to: 100),
      means: "stretches of mel bands hidden of each clip in training"),
    Setting(
      "augmentation.bandMaskBands", \.augmentation.bandMaskBands, .from(1, to: 1_000_000),
      means: "the widest of them; widths are drawn from 0 to this"),

    Setting(
      "features.sampleRateHz", optional: \.features.sampleRateHz, .atLeast(1),
      means:
        "required of the store's features, as the rest of this section; null takes them as they are"
    ),
    Setting(
      "features.durationSeconds", optional: \.features.durationSeconds, .above(0, to: 86_400),
      means: "length of a clip"),
    Setting(
      "features.windowLength", optional: \.features.windowLength, .atLeast(1),
      means: "samples under the Hann window"),
    Setting(
      "features.hopLength", optional: \.features.hopLength, .atLeast(1),
      means: "samples between frames"),
    Setting(
      "features.melBands", optional: \.features.melBands, .atLeast(1),
      means: "mel bands"),
    Setting(
      "features.lowestHz", optional: \.features.lowestHz, .from(0, to: 1e6),
      means: "where the lowest band begins"),
    Setting(
      "features.highestHz", optional: \.features.highestHz, .above(0, to: 1e6),
      means: "where the highest band ends"),
    Setting(
      "features.melExponent", optional: \.features.melExponent, .from(1, to: 10),
      means: "what a band's power is raised to before the logarithm"),
    Setting(
      "features.decibelFloor", optional: \.features.decibelFloor, .above(0, to: 1),
      means: "the least power that the logarithm sees"),
    Setting(
      "features.dynamicRangeDecibels", optional: \.features.dynamicRangeDecibels,
      .above(0, to: 1_000), means: "decibels kept below a clip's maximum"),
    Setting(
      "features.silencePeak", optional: \.features.silencePeak, .from(0, to: 1),
      means: "the magnitude that a clip must exceed somewhere to be no silence"),
  ]

  /// The settings that `network` has.
  package static func all(of network: Configuration.Network) -> [Setting] {
    all.filter { $0.networks.contains(network) }
  }

  static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

  /// Every proper prefix of a key: `model`, `model.dropout`, `training` and so on.
  static let sections = Set(
    all.flatMap { setting in
      let words = setting.key.split(separator: ".")
      return (1..<words.count).map { words.prefix($0).joined(separator: ".") }
    })
}
