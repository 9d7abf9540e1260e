import Cluster

/// The settings of a run, as typed values with their defaults.
///
/// `Setting.all` (ConfigurationSettings.swift) lists every key with its bounds and its one-line
/// explanation; reading, `--set`, the resolved file and resuming all go through that list.
/// Defaults that depend on the network are set by `init(network:)`, so a configuration is always
/// complete: nothing in it means "whatever the code thinks best".
package struct Configuration: Equatable, Sendable {
  package var model: Model
  package var training = Training()
  package var optimizer = Optimizer()
  package var loss = Loss()
  package var augmentation = Augmentation()
  package var features = Features()

  /// The defaults for `network`.
  package init(network: Network = .crnn) {
    model = Model(network: network)
  }
}

extension Configuration {
  package enum Network: String, CaseIterable, Sendable {
    case k1c2, k2c1, k2c2, crnn, mlp, rnn

    /// What `model.widths` lists, in the order of the layers.
    package var widthNames: [String] {
      func numbered(_ name: String, _ count: Int) -> [String] { (1...count).map { name + "\($0)" } }
      return switch self {
      case .k1c2: numbered("conv", 4) + numbered("dense", 2)
      case .k2c1: numbered("conv", 5) + numbered("dense", 2)
      case .k2c2: numbered("conv", 5)
      case .crnn: numbered("conv", 4) + numbered("gru", 2)
      case .mlp: numbered("dense", 2)
      case .rnn: ["rnn1"]
      }
    }
  }

  package struct Model: Equatable, Sendable {
    package var network: Network
    /// At most one of `size`, `parameters` and `widths` is set; `scale` is the one that counts.
    package var size: Size? = .tenthMillion
    package var parameters: Int?
    package var widths: [Int]?
    package var pool = Pool.max
    /// What of the CRNN's input has its own mean and deviation: each mel band, before time is padded,
    /// or each frame, after it.
    package var inputNormalization = InputNormalization.band
    /// The reset gate of a GRU: before the recurrent product (Cho et al. 2014), or after (cuDNN).
    package var reset = Reset.before
    /// What squashes the gates of a GRU or LSTM: the logistic function, or clip(0.2 a + 0.5, 0, 1).
    package var gate = Gate.sigmoid
    package var dropout = Dropout()
    package var cell = Cell.gru
    package var recurrence = Recurrence.lastStep
    /// Frames that `mlp` and `rnn` average into one before anything else.
    package var poolFrames = 1

    package init(network: Network) {
      self.network = network
      switch network {
      case .k1c2, .k2c1: dropout.dense = 0.5
      case .k2c2: break
      case .crnn: dropout.convolution = 0.1
      case .mlp: (dropout.dense, poolFrames) = (0.5, 136)
      case .rnn: poolFrames = 16
      }
    }

    /// How wide the layers are: outright, or by a count of parameters.
    package enum Scale: Equatable, Sendable {
      /// A column of the table of published sizes; for `mlp` and `rnn` its nominal count.
      case size(Size)
      /// The common scale whose count of weights and biases is nearest.
      case parameters(Int)
      /// As `Network.widthNames` lists them.
      case widths([Int])
    }

    /// Widths over parameters over size.
    package var scale: Scale {
      if let widths { return .widths(widths) }
      if let parameters { return .parameters(parameters) }
      return .size(size ?? .tenthMillion)
    }
  }

  package enum Size: String, CaseIterable, Sendable {
    case tenthMillion = "0.1M"
    case quarterMillion = "0.25M"
    case halfMillion = "0.5M"
    case million = "1M"
    case threeMillion = "3M"
  }

  package enum Pool: String, CaseIterable, Sendable { case max, average }
  package enum InputNormalization: String, CaseIterable, Sendable { case band, frame }
  package enum Reset: String, CaseIterable, Sendable { case before, after }
  package enum Gate: String, CaseIterable, Sendable { case sigmoid, hardSigmoid }
  package enum Cell: String, CaseIterable, Sendable { case tanh, gru, lstm }
  package enum Recurrence: String, CaseIterable, Sendable {
    case everyStep, lastStep, outputToHidden
  }

  /// The probability that a value is dropped.
  package struct Dropout: Equatable, Sendable {
    package var convolution = 0.0
    package var dense = 0.0
  }

  package struct Training: Equatable, Sendable {
    package var seed: UInt64 = 0
    package var lanes = 8
    package var clipsPerLane = 2
    package var epochs = 100
    package var maxSteps: Int?
    /// Validations without a better ROC-AUC before the run stops; nil never stops early.
    package var patience: Int? = 10
    package var validateEvery = Interval.epochs(1)
    package var checkpointEvery = Interval.epochs(1)
    package var keepCheckpoints = 3
    /// The gradient's largest L2 norm; nil leaves gradients as they are.
    package var clipNorm: Double?
    package var notFinite = NotFinite.stop
    /// What lanes' gradients are rounded to before they are added.
    package var wire = WireType.fp32

    /// Clips in one step.
    package var clipsPerStep: Int { lanes * clipsPerLane }
  }

  /// What happens to a step whose gradient holds a NaN or an infinity.
  package enum NotFinite: String, CaseIterable, Sendable { case stop, skip }

  /// A stretch of training, written `500 steps` or `1 epoch`.
  package enum Interval: Equatable, Sendable {
    case steps(Int)
    case epochs(Int)
  }

  package struct Optimizer: Equatable, Sendable {
    package var learningRate = 1e-3
    package var beta1 = 0.9
    package var beta2 = 0.999
    package var epsilon = 1e-8
    package var schedule = Schedule.constant
    package var warmupSteps = 0
    package var minimumLearningRate = 0.0
    /// Cosine: the step at which the minimum is reached; nil is the end of the run.
    package var decaySteps: Int?
    /// Plateau: what the rate is multiplied with, and after how many validations.
    package var factor = 0.5
    package var patience = 3
  }

  package enum Schedule: String, CaseIterable, Sendable { case constant, cosine, plateau }

  package struct Loss: Equatable, Sendable {
    package var kind = LossKind.auto
    package var logBase = LogBase.e
    package var positiveWeight = PositiveWeight.none
    /// The most that `balanced` gives a rare tag.
    package var maximumPositiveWeight = 100.0
  }

  /// What the binary loss multiplies a tag's positive term with.
  package enum PositiveWeight: Equatable, Sendable {
    case none
    /// A tag's negatives over its positives; `resolved(for:)` turns it into the list.
    case balanced
    case same(Double)
    case each([Double])

    /// The weights as far as they are known: one for each tag, one for all, or none.
    var numbers: [Double] {
      switch self {
      case .none, .balanced: []
      case .same(let weight): [weight]
      case .each(let weights): weights
      }
    }
  }

  /// `auto`: binary for tags, softmax for a store with one label a clip.
  package enum LossKind: String, CaseIterable, Sendable { case auto, binary, softmax }
  package enum LogBase: String, CaseIterable, Sendable {
    case e
    case two = "2"
  }

  /// Changes to clips that are trained on; the same for the same seed, whoever computes them.
  package struct Augmentation: Equatable, Sendable {
    /// Frames that the network takes of a clip: somewhere in training, the middle elsewhere.
    package var cropFrames: Int?
    /// SpecAugment's masks: how many of each kind, and the widest. The widths are the paper's.
    package var timeMasks = 0
    package var timeMaskFrames = 100
    package var bandMasks = 0
    package var bandMaskBands = 27
  }

  /// What the store's features must have been made with; nil accepts what the store has.
  package struct Features: Equatable, Sendable {
    package var sampleRateHz: Int?
    package var durationSeconds: Double?
    package var windowLength: Int?
    package var hopLength: Int?
    package var melBands: Int?
    package var lowestHz: Double?
    package var highestHz: Double?
    package var melExponent: Double?
    package var decibelFloor: Double?
    package var dynamicRangeDecibels: Double?
    package var silencePeak: Double?
  }
}
