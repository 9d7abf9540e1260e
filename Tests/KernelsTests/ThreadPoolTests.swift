import Foundation
import Kernels
import Synchronization
import Testing

@Suite("The thread pool", .serialized)
struct ThreadPoolTests {
  /// Marks which indices ran, and whether two calls ever shared a thread's number at a time.
  final class Marks: Sendable {
    let visits: Mutex<[Int]>
    let busy: Mutex<[Bool]>
    private let clash = Atomic(false)

    var clashed: Bool { clash.load(ordering: .relaxed) }

    init(count: Int, threads: Int) {
      visits = Mutex(Array(repeating: 0, count: count))
      busy = Mutex(Array(repeating: false, count: threads))
    }

    func visit(_ index: Int, _ thread: Int) {
      setBusy(thread, true)
      visits.withLock { $0[index] += 1 }
      setBusy(thread, false)
    }

    private func setBusy(_ thread: Int, _ now: Bool) {
      let before = busy.withLock { busy in
        defer { busy[thread] = now }
        return busy[thread]
      }
      if before == now { clash.store(true, ordering: .relaxed) }
    }
  }

  @Test(
    "every index runs once, and no two calls share a thread's scratch",
    arguments: [1, 2, 3, 5], [0, 1, 2, 3, 7, 1000])
  func once(threads: Int, count: Int) {
    withPool(threads: threads) { pool in
      let marks = Marks(count: count, threads: threads)
      pool.run(count) { index, thread in marks.visit(index, thread) }
      #expect(marks.visits.withLock { $0 } == Array(repeating: 1, count: count))
      #expect(!marks.clashed)
    }
  }

  /// Where a body takes nanoseconds, threads reach for the next index at the same moment.
  @Test("indices in a hurry run once, too", arguments: [2, 3])
  func hurry(threads: Int) {
    withPool(threads: threads) { pool in
      let visits = Storage(count: 200_000)
      let base = visits.base
      for _ in 0..<10 { pool.run(visits.count) { index, _ in base[index] += 1 } }
      #expect(visits.buffer.allSatisfy { $0 == 10 })
    }
  }

  @Test("thousands of short loops see each other's results", arguments: [0, 1000])
  func shortLoops(spins: Int) {
    let pool = ThreadPool(threads: 3, spins: spins)
    defer { pool.stop() }
    let (even, odd) = (Storage(count: 5), Storage(count: 5))
    let (evenBase, oddBase) = (even.base, odd.base)
    for _ in 0..<2000 {
      // Each index reads what another index wrote in the loop before.
      pool.run(5) { index, _ in oddBase[index] = evenBase[(index + 1) % 5] + 1 }
      pool.run(5) { index, _ in evenBase[index] = oddBase[(index + 2) % 5] + 1 }
    }
    #expect(Array(even.buffer) == Array(repeating: 4000, count: 5))
  }

  @Test("threads that fell asleep wake up")
  func sleepers() {
    withPool(threads: 3) { pool in
      for _ in 0..<5 {
        Thread.sleep(forTimeInterval: 0.01)
        let marks = Marks(count: 50, threads: 3)
        pool.run(50) { index, thread in marks.visit(index, thread) }
        #expect(marks.visits.withLock { $0 } == Array(repeating: 1, count: 50))
      }
    }
  }

  @Test("with work enough, other threads take part")
  func share() {
    withPool(threads: 2) { pool in
      let seen = Mutex(Set<Int>())
      let start = ContinuousClock.now
      // Ends as soon as both have been seen; ten seconds are for a machine that is very busy.
      while seen.withLock({ $0.count }) < 2, ContinuousClock.now - start < .seconds(10) {
        pool.run(20) { _, thread in
          seen.withLock { _ = $0.insert(thread) }
          sched_yield()
        }
      }
      #expect(seen.withLock { $0 } == [0, 1])
    }
  }

  @Test("stopping twice is stopping once, and a stopped pool is freed", arguments: [1, 2, 3])
  func stop(threads: Int) {
    weak var gone: ThreadPool?
    do {
      let pool = ThreadPool(threads: threads)
      pool.run(10) { _, _ in }
      pool.stop()
      pool.stop()
      gone = pool
    }
    // The threads leave on their own a moment after `stop` returns.
    let start = ContinuousClock.now
    while gone != nil, ContinuousClock.now - start < .seconds(10) { sched_yield() }
    #expect(gone == nil)
  }
}
