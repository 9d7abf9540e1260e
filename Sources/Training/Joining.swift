import Dataset
import Foundation

/// From the parts that several machines have prepared to one store.
package struct Joining {
  package let parts: [URL]
  package let store: URL
  package var threads = ProcessInfo.processInfo.activeProcessorCount
  /// Start anew, whatever an unfinished preparation has left in the folder.
  package var restarts = false
  /// What has asked to stop, once something has: "Ctrl-C".
  package var interruption: @Sendable () -> String? = { nil }

  /// - Precondition: there is a part
  package init(parts: [URL], store: URL) {
    self.parts = parts
    self.store = store
  }

  /// - Parameter progress: called from several threads, with what is going on, clips done, and clips
  ///   in all
  /// - Throws: `DatasetError` for the parts or the store, `TrainingError` for an interruption
  package func run(
    progress: @escaping @Sendable (_ what: String, _ done: Int, _ total: Int) -> Void
  ) throws -> Preparation.Outcome {
    let join = try StoreJoin(parts)
    let interruption = interruption
    let joined = try join.run(
      into: store, threads: threads, restarts: restarts, stop: { interruption() != nil },
      progress: { progress("joining", $0, $1) })
    guard let joined else {
      throw TrainingError(
        .interrupted,
        "stopped by \(interruption() ?? "a signal"); the parts are as they were, and the same "
          + "command goes on")
    }
    return Preparation.Outcome(
      store: joined.store, clips: join.plan.records.count, quarantined: joined.quarantined)
  }
}
