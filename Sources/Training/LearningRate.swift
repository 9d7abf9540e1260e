/// The learning rate of every step: a linear warm-up, then constant, a cosine, or a plateau.
///
/// The rate is a function of the settings, the step, and for `plateau` of the validations so far,
/// which are the only state and travel in the checkpoint. The cosine is a polynomial of our own,
/// because two C libraries need not round theirs alike.

package struct LearningRate: Equatable, Sendable {
  /// What `plateau` remembers.
  package struct State: Codable, Equatable, Sendable {
    /// How often the rate was reduced.
    package fileprivate(set) var reductions = 0
    package fileprivate(set) var best: Double?
    package fileprivate(set) var validationsSinceBest = 0

    package init() {}

    /// Whether validations can be counted on from here.
    var isPossible: Bool {
      (0..<1 << 53).contains(reductions) && (0..<1 << 53).contains(validationsSinceBest)
    }
  }

  package var state: State
  private let settings: Configuration.Optimizer
  private let totalSteps: Int

  /// - Parameter totalSteps: the steps of the whole run; a cosine without `decaySteps` ends there
  package init(_ settings: Configuration.Optimizer, totalSteps: Int, state: State = State()) {
    (self.settings, self.totalSteps, self.state) = (settings, totalSteps, state)
  }

  /// The rate of the update number `step`, counted from 0.
  package func rate(at step: Int) -> Double {
    let peak = settings.learningRate
    let minimum = settings.minimumLearningRate
    if step < settings.warmupSteps {
      return peak * (Double(step + 1) / Double(settings.warmupSteps))
    }
    switch settings.schedule {
    case .constant:
      return peak
    case .cosine:
      let length = (settings.decaySteps ?? totalSteps) - settings.warmupSteps
      let progress = length > 0 ? min(1, Double(step - settings.warmupSteps) / Double(length)) : 1
      return minimum + (peak - minimum) * (0.5 * (1 + Self.cosineOfHalfTurns(progress)))
    case .plateau:
      var rate = peak
      for _ in 0..<state.reductions where rate > minimum { rate *= settings.factor }
      return max(rate, minimum)
    }
  }

  /// Takes note of a validation. After `optimizer.patience` of them without a better score,
  /// `plateau` reduces the rate, and waits as long again. A score that is missing or not finite is
  /// not better. The other schedules do not listen.
  package mutating func observe(_ score: Double?) {
    guard settings.schedule == .plateau else { return }
    if let score, score.isFinite, state.best.map({ score > $0 }) ?? true {
      state.best = score
      state.validationsSinceBest = 0
    } else {
      state.validationsSinceBest += 1
    }
    if state.validationsSinceBest >= settings.patience {
      state.validationsSinceBest = 0
      if rate(at: settings.warmupSteps) > settings.minimumLearningRate { state.reductions += 1 }
    }
  }

  /// cos(π t) for t in 0…1, within 1e-15, and exact at both ends.
  ///
  /// As 1 − 2 sin²(x) with x = π t / 2 up to π/4, mirrored beyond; the sine by its Taylor series up
  /// to x¹⁷: the first term left out is below 1e-19, the rest is rounding.
  package static func cosineOfHalfTurns(_ t: Double) -> Double {
    if t > 0.5 { return -cosineOfHalfTurns(1 - t) }
    let x = Double.pi * t / 2
    let square = x * x
    var sum = 1.0
    for n in stride(from: 16.0, to: 0, by: -2) { sum = 1 - square / (n * (n + 1)) * sum }
    let sine = x * sum
    return 1 - 2 * sine * sine
  }
}
