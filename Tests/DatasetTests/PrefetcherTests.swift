import Dataset
import Foundation
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct PrefetcherTests {
  private let folder: TemporaryFolder
  private let store: Store
  private let schedule: LaneSchedule

  init() throws {
    folder = try TemporaryFolder()
    store = try SmallDataset().write(folder.file("store"))
    schedule = LaneSchedule(clips: store.range(of: .train), lanes: 2, clipsPerLane: 2) {
      UInt32(truncatingIfNeeded: ($0 * 31 + $1) * 0x9E37_79B9 + $2 * 0x85EB_CA6B)
    }
  }

  private func prefetcher(depth: Int) -> Prefetcher {
    let schedule = schedule
    return Prefetcher(store: store, depth: depth) {
      schedule.clips(epoch: $0.epoch, step: $0.step, lane: $0.lane)
    }
  }

  private func keys(epochs: Range<Int>) -> [Prefetcher.Key] {
    epochs.flatMap { epoch in
      (0..<schedule.stepsPerEpoch).flatMap { step in
        (0..<2).map { Prefetcher.Key(epoch: epoch, step: step, lane: $0) }
      }
    }
  }

  private func check(_ batch: Prefetcher.Batch, _ key: Prefetcher.Key) throws {
    #expect(batch.clips == schedule.clips(epoch: key.epoch, step: key.step, lane: key.lane))
    #expect(try batch.features == batch.clips.flatMap { try store.features(ofClip: $0) })
    #expect(try batch.labels == batch.clips.flatMap { try store.labels(ofClip: $0) })
    #expect(batch.waited >= .zero)
  }

  @Test("batches come as the schedule has them", arguments: [1, 2, 100])
  func inOrder(_ depth: Int) throws {
    let prefetcher = prefetcher(depth: depth)
    let keys = keys(epochs: 0..<20)
    prefetcher.announce(keys)
    for key in keys { try check(try prefetcher.take(key), key) }
  }

  @Test("batches come in any order, announced or not, more than once")
  func anyOrder() throws {
    let prefetcher = prefetcher(depth: 2)
    let keys = keys(epochs: 0..<5)
    prefetcher.announce(keys)
    for key in keys.reversed() + keys { try check(try prefetcher.take(key), key) }
  }

  @Test("a wait ends when the batch lies ready, and does not begin where nothing is to come")
  func waits() throws {
    let prefetcher = prefetcher(depth: 1)
    let keys = keys(epochs: 0..<5)
    #expect(prefetcher.wait(for: keys[7], timeout: .seconds(60)))
    prefetcher.announce(keys)
    for key in keys {
      #expect(prefetcher.wait(for: key, timeout: .seconds(60)))
      // The thread has no room for it before another is taken: whoever wants it reads it himself.
      #expect(prefetcher.wait(for: keys[keys.count - 1], timeout: .seconds(60)))
      try check(try prefetcher.take(key), key)
    }
    prefetcher.stop()
    #expect(prefetcher.wait(for: keys[0], timeout: .seconds(60)))
  }

  @Test("several threads may take")
  func threads() throws {
    let prefetcher = prefetcher(depth: 3)
    let keys = keys(epochs: 0..<20)
    prefetcher.announce(keys)
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        if index >= keys.count { return }
        do {
          try check(try prefetcher.take(keys[index]), keys[index])
        } catch {
          Issue.record(error)
        }
      }
    }
  }

  @Test("announcing anew replaces the list at any moment")
  func announceAnew() throws {
    let prefetcher = prefetcher(depth: 2)
    for epoch in 0..<200 {
      let keys = keys(epochs: epoch..<epoch + 3)
      prefetcher.announce(keys)
      for key in keys.prefix(epoch % 4) { try check(try prefetcher.take(key), key) }
    }
  }

  @Test("no more than `depth` batches are read ahead, and they are read before they are taken")
  func bounded() throws {
    let read = Mutex<[Prefetcher.Key]>([])
    let schedule = schedule
    let enough = DispatchSemaphore(value: 0)
    let reads: @Sendable (Prefetcher.Key) -> [Int] = { key in
      let count = read.withLock {
        $0.append(key)
        return $0.count
      }
      if count == 3 { enough.signal() }
      return schedule.clips(epoch: key.epoch, step: key.step, lane: key.lane)
    }
    let prefetcher = Prefetcher(store: store, depth: 3, clips: reads)
    let keys = keys(epochs: 0..<4)
    prefetcher.announce(keys)
    enough.wait()
    // The thread has no reason to read a fourth; give it time to do so without one.
    Thread.sleep(forTimeInterval: 0.05)
    #expect(read.withLock { $0 } == Array(keys.prefix(3)))
    for key in keys.prefix(3) { _ = try prefetcher.take(key) }
    prefetcher.stop()
    let all = read.withLock { $0 }
    #expect(Set(all).count == all.count, "nothing is read twice")
  }

  @Test("an error travels to whoever takes the batch, and the next batch is whole")
  func errors() throws {
    let file = folder.file("store/block-00000.f16")
    var bytes = try Data(contentsOf: file)
    bytes[5] ^= 1
    try bytes.write(to: file)
    let prefetcher = Prefetcher(store: store, depth: 4) { [$0.step] }
    let keys = (0..<4).map { Prefetcher.Key(epoch: 0, step: $0, lane: 0) }
    prefetcher.announce(keys)
    let error = try thrown { _ = try prefetcher.take(keys[0]) }
    #expect(error?.code == .damaged)
    for key in keys.dropFirst() {
      #expect(try prefetcher.take(key).features == store.features(ofClip: key.step))
    }
  }

  @Test("an empty batch is a batch")
  func empty() throws {
    let prefetcher = Prefetcher(store: store, depth: 1) { _ in [] }
    let batch = try prefetcher.take(.init(epoch: 0, step: 0, lane: 0))
    #expect(batch.clips.isEmpty && batch.features.isEmpty && batch.labels.isEmpty)
  }

  @Test("stopping returns at once, twice too, and what is taken later is read on the spot")
  func stopping() throws {
    for depth in 1...20 {
      let prefetcher = prefetcher(depth: depth)
      let keys = keys(epochs: 0..<3)
      prefetcher.announce(keys)
      prefetcher.stop()
      prefetcher.stop()
      try check(try prefetcher.take(keys[4]), keys[4])
    }
  }
}
