import Cluster
import Dataset
import Foundation

/// The data of a worker that has no store: they come from the coordinator, clip by clip, and are kept in
/// this machine's cache.
///
/// A thread of its own asks and takes in. Clips that somebody will read at once come first; while there are
/// none, those that the worker's lanes will need. Training begins when the first are here.
package final class ClipDelivery: ClipSupply, @unchecked Sendable {
  private let endpoint: WorkerEndpoint
  private let copy: StoreCopy

  private let lock = NSCondition()
  // Behind the lock.
  /// Clips to look for at once, in order.
  private var urgent: [Int] = []
  /// The same, and those of them that are on their way.
  private var wanted: Set<Int> = []
  /// How many threads stand waiting for a clip, and what has come for them.
  private var waiting: [Int: Int] = [:]
  private var arrived: [Int: [UInt8]] = [:]
  /// Clips that will be read and could not be kept.
  private var unkept: [Int: [UInt8]] = [:]
  private var ahead: ReadAhead?
  /// Other lanes than those that were ordered lately, and how often in a row.
  private var others = (lanes: 0..<0, orders: 0)
  /// Whether clips are fetched that nobody waits for.
  private var goesAhead = false
  /// Whether the last clip of the lanes was asked for.
  private var isAtEnd = false
  /// The lanes whose clips are all here.
  private var complete: Range<Int>?
  private var end: (any Error)?
  private var isRunning = true

  // The thread's own.
  private var fetcher: PartFetcher
  private var attempts: [Int: Int] = [:]
  private var report: DeliveryReport

  private static let ordersToStay = 8
  /// A clip that comes damaged is asked for so often.
  private static let mostAttempts = 3
  /// Bytes of clips that are not kept on the disk and wait to be read.
  private static let mostUnkept = 128 << 20
  /// Clips that nobody waits for are looked for on the disk before the next piece is taken.
  private static let looksAtOnce = 8

  /// - Parameter announce: called on the delivery's thread
  package init(
    _ copy: StoreCopy, from endpoint: WorkerEndpoint, announce: @escaping @Sendable (String) -> Void
  ) {
    self.copy = copy
    self.endpoint = endpoint
    fetcher = PartFetcher(endpoint)
    report = DeliveryReport(announce)
    let thread = Thread { self.run() }
    thread.name = "delivery"
    thread.start()
  }

  /// The store, as far as its readers can tell.
  package var store: Store { Store(copy, from: self) }

  /// Whoever waits gets an error from now on. Returns when the thread has ended.
  package func stop() {
    lock.withLock {
      if end == nil {
        end = ClusterError(
          .closed, attempt: "fetch data", place: endpoint.address, detail: "no more is wanted")
      }
      lock.broadcast()
    }
    endpoint.nudge()
    lock.withLock { while isRunning { lock.wait() } }
  }

  // MARK: Readers

  package func willNeed(_ clips: [Int]) {
    let missing = clips.filter { !copy.wasSeen($0) }
    guard !missing.isEmpty else { return }
    lock.withLock {
      for clip in missing where unkept[clip] == nil && wanted.insert(clip).inserted {
        urgent.append(clip)
      }
    }
    endpoint.nudge()
  }

  /// Whether all of these have come, of those that were announced, after waiting for them for a while. Whoever
  /// then reads them may still have to wait, if they were not kept.
  package func hasCome(_ clips: [Int], within timeout: Duration) -> Bool {
    let deadline = Date(timeIntervalSinceNow: timeout / .seconds(1))
    return lock.withLock {
      func isDone() -> Bool { end != nil || wanted.isDisjoint(with: clips) }
      while !isDone(), lock.wait(until: deadline) {}
      return isDone()
    }
  }

  /// - Throws: what has ended the delivery
  package func bytes(ofClip clip: Int) throws -> [UInt8] {
    if let bytes = lock.withLock({ unkept.removeValue(forKey: clip) }) ?? copy.read(clip) {
      return bytes
    }
    lock.lock()
    defer { lock.unlock() }
    if let bytes = unkept.removeValue(forKey: clip) { return bytes }
    if wanted.insert(clip).inserted { urgent.insert(clip, at: 0) }
    waiting[clip, default: 0] += 1
    endpoint.nudge()
    while arrived[clip] == nil && end == nil { lock.wait() }
    let bytes = arrived[clip]
    waiting[clip, default: 1] -= 1
    if waiting[clip] == 0 {
      waiting[clip] = nil
      arrived[clip] = nil
    }
    guard let bytes else { throw end ?? CancellationError() }
    return bytes
  }

  /// Says what the worker is at: what its lanes will need is fetched while it computes. Lanes that come to it
  /// later have to stay for some steps first: they may go as they came.
  package func follow(_ schedule: LaneSchedule, epoch: Int, step: Int, lanes: Range<Int>) {
    let isNew = lock.withLock {
      let before = ahead
      if let before, before.lanes != lanes {
        others = (lanes, others.lanes == lanes ? others.orders + 1 : 1)
        guard others.orders >= Self.ordersToStay else { return false }
      }
      others = (0..<0, 0)
      guard before?.epoch != epoch || before?.lanes != lanes else { return false }
      if let before, before.epoch != epoch { copy.beginEpoch() }
      goesAhead = lanes != complete
      isAtEnd = false
      let next = ReadAhead(schedule, epoch: epoch, step: step, lanes: lanes)
      // What nobody here will read now makes room for what somebody will.
      let share = Set(next.share)
      unkept = unkept.filter { share.contains($0.key) }
      ahead = next
      return true
    }
    if isNew { endpoint.nudge() }
  }

  // MARK: The thread

  private func run() {
    do {
      while lock.withLock({ end == nil }) {
        let mayHaveMore = begin()
        if let piece = try endpoint.nextPiece(timeout: mayHaveMore ? .zero : nil) {
          try take(piece)
        }
        tell()
      }
    } catch {
      lock.withLock { if end == nil { end = error } }
    }
    lock.withLock {
      isRunning = false
      lock.broadcast()
    }
  }

  /// Asks for clips as long as there is room on the way.
  ///
  /// - Returns: whether there may be more to ask for at once
  private func begin() -> Bool {
    while fetcher.hasRoom(ahead: false), let clip = nextUrgent() {
      if fetcher.isFetching(StoreParts.clip(clip)) {
        fetcher.hasten(StoreParts.clip(clip))
      } else if let bytes = copy.read(clip) {
        // Another process has fetched it, or this one in an earlier life.
        hand(clip, bytes, isKept: true)
      } else {
        fetch(clip, isAhead: false)
      }
    }
    for _ in 0..<Self.looksAtOnce {
      guard fetcher.hasRoom(ahead: true), let clip = nextAhead() else { return false }
      if !fetcher.isFetching(StoreParts.clip(clip)), !copy.holds(clip) {
        fetch(clip, isAhead: true)
      }
    }
    return true
  }

  private func nextUrgent() -> Int? {
    lock.withLock {
      while !urgent.isEmpty {
        let clip = urgent.removeFirst()
        if wanted.contains(clip) { return clip }
      }
      return nil
    }
  }

  private func nextAhead() -> Int? {
    lock.withLock {
      guard goesAhead else { return nil }
      if let clip = ahead?.next() { return clip }
      goesAhead = false
      isAtEnd = true
      return nil
    }
  }

  private func fetch(_ clip: Int, isAhead: Bool) {
    fetcher.begin(StoreParts.clip(clip), byteCount: copy.clipBytes, isAhead: isAhead)
  }

  private func take(_ piece: Piece) throws {
    report.count(piece.bytes.count)
    guard let (number, bytes) = try fetcher.take(piece) else { return }
    let clip = number - StoreParts.clip(0)
    guard copy.isGenuine(bytes, ofClip: clip) else { return try askAgain(clip) }
    attempts[clip] = nil
    var isKept = false
    do {
      isKept = try copy.keep(bytes, ofClip: clip)
      if !isKept, copy.obstacle == nil {
        report.sayOnce("the cache is full: not all clips are kept")
      }
    } catch {
      report.sayOnce("clips are not kept for a while: \(error)")
    }
    // What would be fetched again when it is needed is not fetched before.
    if !isKept { lock.withLock { goesAhead = false } }
    hand(clip, bytes, isKept: isKept)
  }

  private func askAgain(_ clip: Int) throws {
    attempts[clip, default: 0] += 1
    guard attempts[clip, default: 0] < Self.mostAttempts else {
      throw TrainingError(
        .badInput,
        "clip number \(clip) comes from the coordinator with other features than the fingerprint "
          + "vouches for: its store is damaged there, copy it again or prepare anew")
    }
    fetch(clip, isAhead: false)
  }

  /// Gives a clip to those who wait for it or soon will.
  private func hand(_ clip: Int, _ bytes: [UInt8], isKept: Bool) {
    lock.withLock {
      let isWanted = wanted.remove(clip) != nil
      defer { lock.broadcast() }
      if waiting[clip] != nil {
        arrived[clip] = bytes
      } else if isWanted, !isKept, (unkept.count + 1) * copy.clipBytes <= Self.mostUnkept {
        unkept[clip] = bytes
      }
    }
  }

  private func tell() {
    lock.lock()
    let (now, hasAll) = (ahead, isAtEnd && fetcher.isIdle)
    if hasAll { isAtEnd = false }
    lock.unlock()
    guard let now, hasAll || report.isDue else { return }
    let here = copy.countSeen(among: now.share)
    if hasAll, here == now.share.count { lock.withLock { complete = now.lanes } }
    report.tell(here: here, of: now, hasAll: hasAll)
  }
}

/// What a delivery says of itself: now and then how far it is, and when a worker's share is here.
struct DeliveryReport {
  private let announce: @Sendable (String) -> Void
  private var bytes = 0
  private var since = ContinuousClock.now
  private var said: Set<String> = []

  /// Longer each time: who waits looks at the beginning.
  private var interval = Duration.seconds(15)

  init(_ announce: @escaping @Sendable (String) -> Void) { self.announce = announce }

  mutating func count(_ bytes: Int) {
    // The clock does not stand for the time in which nothing was asked for.
    if self.bytes == 0 { since = .now }
    self.bytes += bytes
  }

  var isDue: Bool { bytes > 0 && .now - since > interval }

  mutating func tell(here: Int, of ahead: ReadAhead, hasAll: Bool) {
    let (count, lanes) = (ahead.share.count, text(ofLanes: ahead.lanes))
    if hasAll, here == count {
      sayOnce("all \(count) clips of \(lanes) are here")
    } else {
      let rate = Double(bytes) / 1e6 / max((.now - since) / .seconds(1), 1e-3)
      say("\(here) of \(count) clips of \(lanes) are here" + String(format: ", %.1f MB/s", rate))
    }
    bytes = 0
    interval = min(interval * 2, .seconds(600))
  }

  mutating func sayOnce(_ text: String) { if said.insert(text).inserted { say(text) } }

  func say(_ text: String) { announce("data from the coordinator: \(text)") }
}

extension StoreCopy {
  /// The copy that the cache has, or a new one with description and table from the coordinator.
  ///
  /// - Parameter isDismissed: asked now and then whether nobody wants it any more
  /// - Returns: nil if nobody does
  /// - Throws: `DatasetError` if what comes is not the fingerprint's; `ClusterError` if the coordinator is lost
  static func fetch(
    _ fingerprint: String, into cache: StoreCache, from endpoint: WorkerEndpoint,
    isDismissed: () throws -> Bool, announce: @escaping @Sendable (String) -> Void
  ) throws -> StoreCopy? {
    let report = DeliveryReport(announce)
    func describe(_ copy: StoreCopy, _ verb: String) -> StoreCopy {
      let clips = copy.description.clips.total
      let size = MemoryBudget.text(clips * copy.clipBytes)
      let place = copy.obstacle.map { "nothing is kept: \($0)" } ?? "\(verb) \(copy.folder.path)"
      report.say(
        "\(clips) clips, \(size) if all are needed; \(place)")
      return copy
    }
    if let copy = open(in: cache, fingerprint: fingerprint) {
      return describe(copy, "going on with")
    }
    var fetcher = PartFetcher(endpoint)
    func whole(_ part: Int, _ byteCount: Int?) throws -> Data? {
      fetcher.begin(part, byteCount: byteCount)
      while true {
        if try isDismissed() { return nil }
        guard let piece = try endpoint.nextPiece(timeout: .milliseconds(200)) else { continue }
        if let whole = try fetcher.take(piece) { return Data(whole.bytes) }
      }
    }
    guard let description = try whole(StoreParts.description, nil) else { return nil }
    let tableBytes = try tableBytes(description, fingerprint: fingerprint)
    guard let table = try whole(StoreParts.table, tableBytes) else { return nil }
    return describe(
      try begin(in: cache, fingerprint: fingerprint, description: description, table: table),
      "kept in")
  }
}
