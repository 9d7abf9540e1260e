import Foundation
import Synchronization

/// A parallel loop over a fixed set of threads.
///
/// `run(count)` calls its body once for each index, on whichever thread is free. Callers make each
/// index write its own part of the output, so the bits depend neither on the number of threads nor
/// on who took what. With one thread nothing is started and the loop is a plain `for`.
///
/// Waiting threads spin for a moment, since the next loop of a step comes within microseconds, and
/// then sleep. Where a machine runs more threads than it has cores, spinning would steal from the
/// others: pass `spins: 0`.
package final class ThreadPool: @unchecked Sendable {
  package let threads: Int
  private let spins: Int
  private let generation = Atomic<Int>(0)
  private let next = Atomic<Int>(0)
  private let finished = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private let condition = NSCondition()
  private var count = 0
  private var body: ((Int, Int) -> Void)?

  /// - Parameters:
  ///   - threads: at least one; the caller's own thread is one of them
  ///   - spins: how often a waiting thread looks before it sleeps
  package init(threads: Int, spins: Int = 20_000) {
    precondition(threads >= 1, "ThreadPool: \(threads) threads")
    self.threads = threads
    self.spins = spins
    for id in 1..<max(threads, 1) {
      let thread = Thread { [unowned self] in self.serve(id) }
      thread.name = "kernel \(id)"
      thread.start()
    }
  }

  /// Stops the threads. A pool with more than one thread must be stopped before its last reference goes.
  package func stop() {
    guard !stopping.exchange(true, ordering: .sequentiallyConsistent), threads > 1 else { return }
    finished.store(0, ordering: .relaxed)
    announce()
    waitForOthers()
  }

  /// Calls `body(index, thread)` for each index in `0..<count`; returns when all are done.
  ///
  /// `thread` in `0..<threads` says whose scratch may be used; no two calls share it at a time.
  package func run(_ count: Int, _ body: (_ index: Int, _ thread: Int) -> Void) {
    guard threads > 1, count > 1 else {
      for index in 0..<count { body(index, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      self.body = body
      self.count = count
      next.store(0, ordering: .relaxed)
      finished.store(0, ordering: .relaxed)
      announce()
      work(0)
      waitForOthers()
      self.body = nil
    }
  }

  private func announce() {
    condition.lock()
    generation.add(1, ordering: .sequentiallyConsistent)
    condition.broadcast()
    condition.unlock()
  }

  private func waitForOthers() {
    var looks = 0
    while finished.load(ordering: .acquiring) != threads - 1 {
      looks += 1
      if looks > spins { sched_yield() }
    }
  }

  private func work(_ thread: Int) {
    guard let body else { return }
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      if index >= count { return }
      body(index, thread)
    }
  }

  private func serve(_ thread: Int) {
    var seen = 0
    while true {
      var looks = 0
      while generation.load(ordering: .acquiring) == seen {
        looks += 1
        if looks > spins {
          condition.lock()
          while generation.load(ordering: .acquiring) == seen { condition.wait() }
          condition.unlock()
        }
      }
      seen += 1
      let last = stopping.load(ordering: .sequentiallyConsistent)
      if !last { work(thread) }
      finished.add(1, ordering: .releasing)
      if last { return }
    }
  }
}
