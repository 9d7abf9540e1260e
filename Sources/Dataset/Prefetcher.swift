import Foundation

/// Reads batches ahead of the step that needs them, on a thread of its own.
///
/// The consumer announces which batches it will take, then takes them in about that order. At most
/// `depth` batches lie ready. A batch that was not announced, or that the thread has not come to,
/// is read on the spot by whoever takes it: nothing can wait for ever.
package final class Prefetcher: Sendable {
  /// What a batch is named by.
  package struct Key: Hashable, Sendable {
    package let epoch: Int
    package let step: Int
    package let lane: Int

    package init(epoch: Int, step: Int, lane: Int) {
      self.epoch = epoch
      self.step = step
      self.lane = lane
    }
  }

  package struct Batch: Sendable {
    package let clips: [Int]
    /// `[N, F, T]`
    package let features: [Float]
    /// `[N, K]`, 0 or 1
    package let labels: [Float]
    /// How long whoever took the batch stood waiting for it.
    package fileprivate(set) var waited: Duration = .zero
  }

  private let reader: Reader

  /// - Parameters:
  ///   - depth: batches that may lie ready; each holds N·(F·T + K) numbers of four bytes
  ///   - clips: the clips of a batch, `LaneSchedule.clips` for instance
  package init(store: Store, depth: Int, clips: @escaping @Sendable (Key) -> [Int]) {
    precondition(depth > 0, "a prefetcher of depth \(depth)")
    reader = Reader(store: store, depth: depth, clips: clips)
    let thread = Thread { [reader] in reader.run() }
    thread.name = "prefetch"
    thread.start()
  }

  /// Says what will be taken from now on, in order. It replaces what was announced before; batches
  /// already read that are not on the new list are dropped.
  package func announce(_ keys: [Key]) { reader.announce(keys) }

  /// The batch, waiting for it if need be. Each announced batch can be had once without reading anew.
  ///
  /// - Throws: what reading threw, on whichever thread that was
  package func take(_ key: Key) throws -> Batch { try reader.take(key) }

  /// Waits until the batch can be had at once, or never will without being read on the spot.
  ///
  /// - Returns: false if it was not so within `timeout`
  package func wait(for key: Key, timeout: Duration) -> Bool {
    reader.wait(for: key, until: Date() + timeout / .seconds(1))
  }

  /// Ends the thread, after the batch it is reading, and returns when it has ended. What is taken
  /// later is read on the spot.
  package func stop() { reader.stop() }

  deinit { reader.stop() }
}

/// What the thread and the consumers share; `lock` guards every `var`.
private final class Reader: @unchecked Sendable {
  typealias Key = Prefetcher.Key
  typealias Batch = Prefetcher.Batch

  private let store: Store
  private let depth: Int
  private let clips: @Sendable (Key) -> [Int]

  private let lock = NSCondition()
  /// Announced and not begun, in order.
  private var awaited: [Key] = []
  private var current: Key?
  private var ready: [Key: Result<Batch, any Error>] = [:]
  private var isStopping = false
  private var isRunning = true

  init(store: Store, depth: Int, clips: @escaping @Sendable (Key) -> [Int]) {
    self.store = store
    self.depth = depth
    self.clips = clips
  }

  func run() {
    lock.lock()
    defer {
      isRunning = false
      lock.broadcast()
      lock.unlock()
    }
    while true {
      while !isStopping && (awaited.isEmpty || ready.count >= depth) { lock.wait() }
      if isStopping { return }
      let key = awaited.removeFirst()
      current = key
      lock.unlock()
      let result = Result { try read(key) }
      lock.lock()
      // Announced anew without this batch, `current` is nil by now and the batch is dropped.
      if current == key { ready[key] = result }
      current = nil
      lock.broadcast()
    }
  }

  func announce(_ keys: [Key]) {
    lock.withLock {
      let wanted = Set(keys)
      ready = ready.filter { wanted.contains($0.key) }
      if let key = current, !wanted.contains(key) { current = nil }
      awaited = keys.filter { $0 != current && ready[$0] == nil }
      lock.broadcast()
    }
  }

  func take(_ key: Key) throws -> Batch {
    let clock = ContinuousClock()
    let start = clock.now
    var batch = try prefetched(key) ?? read(key)
    batch.waited = clock.now - start
    return batch
  }

  func wait(for key: Key, until deadline: Date) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    while current == key || isRunning && ready.count < depth && awaited.contains(key) {
      if !lock.wait(until: deadline) { return false }
    }
    return true
  }

  /// The batch if the thread has read it or is reading it; otherwise it is struck off the list.
  private func prefetched(_ key: Key) throws -> Batch? {
    lock.lock()
    defer { lock.unlock() }
    while current == key { lock.wait() }
    if let result = ready.removeValue(forKey: key) {
      lock.broadcast()
      return try result.get()
    }
    if let place = awaited.firstIndex(of: key) { awaited.remove(at: place) }
    return nil
  }

  func stop() {
    lock.withLock {
      isStopping = true
      lock.broadcast()
      while isRunning { lock.wait() }
    }
  }

  private func read(_ key: Key) throws -> Batch {
    let clips = clips(key)
    try store.willNeed(clips)
    let size = store.bands * store.frames
    let labels = store.description.tags.count
    return Batch(
      clips: clips,
      features: try filled(rows: clips, size) { try store.copyFeatures(ofClip: $0, into: $1) },
      labels: try filled(rows: clips, labels) { try store.copyLabels(ofClip: $0, into: $1) })
  }
}

/// One row of `size` numbers for each clip.
private func filled(
  rows clips: [Int], _ size: Int, _ fill: (Int, UnsafeMutableBufferPointer<Float>) throws -> Void
) throws -> [Float] {
  try [Float](unsafeUninitializedCapacity: clips.count * size) { buffer, count in
    for clip in clips {
      try fill(clip, UnsafeMutableBufferPointer(rebasing: buffer[count..<count + size]))
      count += size
    }
  }
}
