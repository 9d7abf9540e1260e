/// Remembers the best validation, and says when there have been enough without a better one.

package struct EarlyStopping: Codable, Equatable, Sendable {
  /// The best validation so far.
  package struct Best: Codable, Equatable, Sendable {
    package let score: Double
    package let step: Int
    package let epoch: Int

    package init(score: Double, step: Int, epoch: Int) {
      (self.score, self.step, self.epoch) = (score, step, epoch)
    }
  }

  package private(set) var best: Best?
  package private(set) var validationsSinceBest = 0

  package init() {}

  /// Whether validations can be counted on from here.
  var isPossible: Bool { (0..<1 << 53).contains(validationsSinceBest) }

  /// Takes note of a validation; true if it is the best so far.
  ///
  /// Equal scores are not better; NaN and infinities never are. No score at all (a validation set
  /// in which no tag can be ranked) counts as a validation that was not better.
  package mutating func observe(_ score: Double?, step: Int, epoch: Int) -> Bool {
    if let score, score.isFinite, best.map({ score > $0.score }) ?? true {
      best = Best(score: score, step: step, epoch: epoch)
      validationsSinceBest = 0
      return true
    }
    validationsSinceBest += 1
    return false
  }

  /// Whether `patience` validations in a row were not better; nil is patient for ever.
  package func shouldStop(patience: Int?) -> Bool {
    patience.map { validationsSinceBest >= $0 } ?? false
  }
}
