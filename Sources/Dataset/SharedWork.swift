import Dispatch
import Synchronization

/// Deals out the pieces 0..<count to threads, in ascending order, until all are done, one fails, or
/// `stop` says so; a piece that was begun is finished.
///
/// - Parameters:
///   - stop: asked before every piece, on several threads
///   - worker: called once on each thread, returns what does one piece there
/// - Returns: whether all pieces were done
/// - Throws: what the first piece to fail threw
package func shareWork(
  _ count: Int, threads: Int, stop: @Sendable () -> Bool = { false },
  worker: @Sendable () throws -> (_ piece: Int) throws -> Void
) throws -> Bool {
  guard count > 0 else { return true }
  let next = Atomic(0)
  let done = Atomic(0)
  let failure = Mutex<(any Error)?>(nil)
  DispatchQueue.concurrentPerform(iterations: max(1, min(threads, count))) { _ in
    do {
      let work = try worker()
      while failure.withLock({ $0 == nil }), !stop() {
        let piece = next.add(1, ordering: .relaxed).oldValue
        guard piece < count else { return }
        try work(piece)
        done.add(1, ordering: .relaxed)
      }
    } catch {
      failure.withLock { $0 = $0 ?? error }
    }
  }
  if let error = failure.withLock({ $0 }) { throw error }
  return done.load(ordering: .relaxed) == count
}
