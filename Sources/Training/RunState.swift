import Kernels
import Models

/// Everything that a run is between two steps: what the promise covers, and nothing else.
///
/// A checkpoint is this, whole (see `Checkpoint`). Hosts, times and terms are not in it.
package final class RunState {
  package let network: Network
  /// Parameters, then running statistics.
  package private(set) var weights: Storage
  package var optimizer: Optimizer
  package var position = Position()
  package var stopping = EarlyStopping()
  package var learningRate: LearningRate
  package var history: [Validation] = []
  /// Loss summed over the steps since the last validation.
  package var lossSum = 0.0
  package var lossSteps = 0

  /// How far the run is.
  package struct Position: Codable, Equatable, Sendable {
    /// Steps made over the whole run: updates of the parameters, and steps skipped as not finite.
    package var step = 0
    package var epoch = 0
    package var stepInEpoch = 0
    /// Updates made: a step that is skipped makes none.
    package var updates = 0

    package init() {}

    /// Whether a run can be here, and count on.
    var isPossible: Bool {
      (0..<1 << 53).contains(step)
        && [updates, epoch, stepInEpoch].allSatisfy { (0...step).contains($0) }
    }

    package mutating func advance(stepsPerEpoch: Int, updated: Bool) {
      step += 1
      stepInEpoch += 1
      updates += updated ? 1 : 0
      if stepInEpoch == stepsPerEpoch {
        stepInEpoch = 0
        epoch += 1
      }
    }
  }

  /// One look at the validation set.
  package struct Validation: Codable, Equatable, Sendable {
    package var step: Int
    package var epoch: Int
    /// Mean loss of the training steps since the validation before.
    package var trainLoss: Double?
    package var loss: Double
    package var rocAUC: Double?
    package var prAUC: Double?
    package var learningRate: Double

    package init(
      step: Int, epoch: Int, trainLoss: Double?, loss: Double, rocAUC: Double?, prAUC: Double?,
      learningRate: Double
    ) {
      (self.step, self.epoch, self.trainLoss, self.loss) = (step, epoch, trainLoss, loss)
      (self.rocAUC, self.prAUC, self.learningRate) = (rocAUC, prAUC, learningRate)
    }
  }

  /// The state before the first step.
  package init(_ network: Network, _ configuration: Configuration, stepsPerEpoch: Int) {
    self.network = network
    weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: configuration.training.seed)
    optimizer = Optimizer(
      configuration.optimizer, clipNorm: configuration.training.clipNorm,
      count: network.parameterCount)
    learningRate = LearningRate(
      configuration.optimizer, totalSteps: configuration.totalSteps(stepsPerEpoch: stepsPerEpoch))
  }

  package var parameters: Tensor { Tensor(weights, shape: [network.parameterCount]) }

  /// Takes a step's sum over all lanes: the gradient moves the parameters, the batch statistics move
  /// the running ones by a tenth, the loss is kept for the next validation.
  ///
  /// - Parameters:
  ///   - sum: gradient, statistics, loss, as `Executor` lays out a contribution
  ///   - room: where the new weights are made, and stay; nil for where the old ones are
  /// - Returns: what the log says of the step
  package func apply(
    _ sum: Storage, into room: Storage? = nil, stepsPerEpoch: Int, pool: ThreadPool
  ) -> StepReport {
    let (old, new) = (weights, room ?? weights)
    let rate = learningRate.rate(at: position.updates)
    let norm = optimizer.update(
      parameters, into: Tensor(new, shape: [network.parameterCount]),
      gradient: Tensor(sum, shape: [network.parameterCount]), updates: position.updates,
      rate: rate, pool: pool)
    func statistics(_ vector: Storage) -> Tensor {
      Tensor(
        vector, offset: network.parameterCount,
        shape: [1, network.weightCount - network.parameterCount])
    }
    if new.base != old.base {
      _ = statistics(new).buffer.update(fromContentsOf: statistics(old).buffer)
    }
    statistics(new).matrix().blend(statistics(sum).matrix(), share: 0.1)
    weights = new
    let loss = Double(sum.base[network.weightCount])
    lossSum += loss
    lossSteps += 1
    let report = StepReport(
      step: position.step, epoch: position.epoch, loss: loss, learningRate: rate,
      gradientNorm: norm)
    position.advance(stepsPerEpoch: stepsPerEpoch, updated: true)
    return report
  }

  /// Counts a step whose gradient was not finite, and leaves the weights as they are.
  package func skip(stepsPerEpoch: Int) {
    position.advance(stepsPerEpoch: stepsPerEpoch, updated: false)
  }
}

/// What happened in a step.
package struct StepReport: Equatable, Sendable {
  package let step: Int
  package let epoch: Int
  package let loss: Double
  package let learningRate: Double
  package let gradientNorm: Double

  package init(
    step: Int, epoch: Int, loss: Double, learningRate: Double, gradientNorm: Double
  ) {
    (self.step, self.epoch, self.loss) = (step, epoch, loss)
    (self.learningRate, self.gradientNorm) = (learningRate, gradientNorm)
  }
}

extension Configuration {
  /// Steps of a run that nothing stops early.
  package func totalSteps(stepsPerEpoch: Int) -> Int {
    min(training.epochs * stepsPerEpoch, training.maxSteps ?? .max)
  }
}
