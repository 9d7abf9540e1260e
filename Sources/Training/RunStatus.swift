import Synchronization

/// A run as others see it while it goes on: the training loop writes, anybody reads.
///
/// A reader takes a copy and does what is slow with that; nobody holds the lock for longer than it
/// takes to change a few numbers, and nothing of the run depends on what is in here.
package final class RunStatus: Sendable {
  private let state = Mutex(RunView())

  package init() {}

  /// What is to be seen now.
  package var view: RunView { state.withLock { $0 } }

  package func update(_ change: (inout RunView) -> Void) { state.withLock { change(&$0) } }

  /// The coordinator is at `phase` until `body` returns.
  func during<Result>(_ phase: RunView.Phase, _ body: () throws -> Result) rethrows -> Result {
    let before = enter(phase)
    defer { _ = enter(before) }
    return try body()
  }

  func end() { _ = enter(.ended) }

  private func enter(_ phase: RunView.Phase) -> RunView.Phase {
    state.withLock { $0.enter(phase) }
  }
}
