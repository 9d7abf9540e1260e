import Cluster

/// Whether a crew without workers should wait for some, and for how long.
struct Hope {
  let patience: Duration
  /// Why the last one left.
  var lastWords: TrainingError?
  private var since: ContinuousClock.Instant?

  init(patience: Duration) { self.patience = patience }

  /// When it ends, if nobody comes.
  var end: ContinuousClock.Instant? { since.map { $0 + patience } }

  /// There are workers.
  mutating func restore() { since = nil }

  /// There are none.
  ///
  /// - Parameters:
  ///   - mayCome: whether anybody still can
  ///   - address: where they would come to
  /// - Returns: whether the waiting begins now
  /// - Throws: `TrainingError` if nobody can come, or nobody has for too long
  mutating func sink(mayCome: Bool, at address: String) throws -> Bool {
    guard mayCome else {
      throw lastWords ?? TrainingError(.unavailable, "no worker is left")
    }
    guard let end else {
      since = .now
      return true
    }
    guard .now < end else {
      throw TrainingError(
        .unavailable,
        "no worker came to \(address) within \(patience)"
          + (lastWords.map { "; the last to leave: \($0)" } ?? ""))
    }
    return false
  }
}
