import Cluster
import Dataset
import Foundation
import Kernels

/// A worker's life: say hello, take the configuration, then compute what is asked until it is over.
package struct WorkerLife {
  /// Its store's folder; nil if it has none, and takes the coordinator's.
  package let store: String?
  /// Where it keeps what it takes.
  package let cache: StoreCache
  package let threads: Int
  /// Whether other workers share this machine's cores, so that waiting threads must not spin.
  package let sharesCores: Bool
  package let memory: MemoryBudget
  /// What it shares with a coordinator that has started it.
  package var shared: WorkerMemory?
  package let announce: @Sendable (String) -> Void

  package init(
    store: String?, cache: StoreCache = StoreCache(EmbeddedDataset.copies), threads: Int,
    sharesCores: Bool, memory: MemoryBudget = .machine,
    announce: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.cache = cache
    self.threads = threads
    self.sharesCores = sharesCores
    self.memory = memory
    self.announce = announce
  }

  /// Where a worker without a store keeps what it gets.
  ///
  /// - Parameter folder: nil for the user's own cache folder
  /// - Throws: `TrainingError` if a folder that was named cannot be made
  package static func cache(_ folder: String?, limit: ByteAmount?) throws -> StoreCache {
    let limit = limit?.bytes ?? StoreCache.defaultLimit
    guard let folder else { return StoreCache(EmbeddedDataset.copies, limit: limit) }
    let url = URL(fileURLWithPath: folder)
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw TrainingError(
        .unavailable,
        "cannot make the folder \(folder): \(error.localizedDescription); name another one with --cache"
      )
    }
    return StoreCache(url, limit: limit)
  }

  /// A welcome with this word wants workers that listen to each other.
  static let topologyKey = "topology"

  package static func hello(threads: Int) -> Hello {
    Hello(
      build: Build.version, host: ProcessInfo.processInfo.hostName,
      processID: Int(ProcessInfo.processInfo.processIdentifier), threads: threads,
      processor: Processor.description)
  }

  /// Serves coordinators at `address`, one after another, until one says goodbye. When one is lost
  /// another is looked for: the same run in a new term, perhaps.
  ///
  /// - Parameters:
  ///   - wait: how long to look for a coordinator
  ///   - returns: whether to look for another after a loss
  ///   - interruptible: receives what interrupts the endpoint that is in use
  /// - Throws: `TrainingError` if it refuses this worker or none is found, or what reading the store throws
  package func serve(
    _ address: String, wait: Duration, returns: Bool,
    over transport: any Transport = ZeroMQTransport(),
    interruptible: (@escaping @Sendable () -> Void) -> Void, isInterrupted: () -> Bool
  ) throws {
    var pause = Duration.zero
    var memory = shared
    while true {
      let endpoint = try join(address, transport, &memory, pause, wait, isInterrupted)
      let joined = ContinuousClock.now
      defer { endpoint.close() }
      interruptible { endpoint.interrupt() }
      do { return try serve(endpoint, over: transport) } catch let loss as CoordinatorLost {
        guard returns else { throw TrainingError(.unavailable, "\(loss)") }
        announce("\(loss); looking for it again")
      }
      // Who was sent away at once comes back more slowly each time.
      pause =
        .now - joined > .seconds(10)
        ? .milliseconds(100) : min(max(pause * 2, .milliseconds(200)), .seconds(5))
    }
  }

  /// Joins a coordinator, in short attempts: a hello may be lost on its way, and an interruption is
  /// heard between them.
  ///
  /// - Parameters:
  ///   - memory: named in the first hello and in no other: the coordinator gives it to one conversation
  ///   - pause: before the first attempt
  ///   - wait: how long to look for one
  private func join(
    _ address: String, _ transport: any Transport, _ memory: inout WorkerMemory?,
    _ pause: Duration, _ wait: Duration, _ isInterrupted: () -> Bool
  ) throws -> WorkerEndpoint {
    let deadline = ContinuousClock.now + wait
    var next = ContinuousClock.now + pause
    var isAnnounced = false
    while true {
      while .now < next {
        if isInterrupted() { throw Self.interrupted }
        usleep(20_000)
      }
      // Whoever hangs up at once is not asked again at once.
      next = .now + .seconds(2)
      do {
        defer { memory = nil }
        return try WorkerEndpoint(
          connectingTo: address, over: transport, hello: Self.hello(threads: threads),
          memory: memory, timeout: max(.milliseconds(1), min(.seconds(2), deadline - .now)))
      } catch {
        guard error.code == .unanswered else { throw error }
        if !isAnnounced { announce("\(error); trying for \(wait)") }
        isAnnounced = true
        if .now >= deadline {
          throw TrainingError(.unavailable, "\(error) (tried for \(wait))")
        }
      }
    }
  }

  /// Serves the coordinator behind `endpoint` until it says goodbye; if this worker cannot go on, the
  /// coordinator is told why.
  ///
  /// - Throws: `CoordinatorLost`; `TrainingError` if it refuses this worker, or what reading the store
  ///   throws
  package func serve(
    _ endpoint: WorkerEndpoint, over transport: any Transport = ZeroMQTransport()
  ) throws {
    let orders = WorkerOrders(endpoint, announce: announce)
    do {
      try work(orders, endpoint, transport)
    } catch let loss as CoordinatorLost {
      throw orders.isLeaving ? Self.interrupted : loss
    } catch let error as ClusterError where error.code == .closed {
      if orders.isLeaving { throw Self.interrupted }
      // The coordinator is gone; perhaps it has said goodbye before.
      while true { if case .bye = try orders.next() { return } }
    } catch {
      let status = ExitStatus(error)
      try? endpoint.send(status == .interrupted ? .bye : .error(ErrorCode(status), "\(error)"))
      throw error
    }
    if orders.isLeaving { throw Self.interrupted }
  }

  private static func senseless(_ order: String) -> TrainingError {
    TrainingError(.fault, "the coordinator asks for \(order), which do not exist")
  }

  private static func refused(_ endpoint: WorkerEndpoint, _ reason: String) -> TrainingError {
    TrainingError(
      .unavailable, "the coordinator at \(endpoint.address) refuses this worker: \(reason)")
  }

  private static let interrupted = TrainingError(
    .interrupted, "interrupted: this worker leaves; the coordinator holds the state")

  private func work(
    _ orders: WorkerOrders, _ endpoint: WorkerEndpoint, _ transport: any Transport
  ) throws {
    let configuration: Configuration
    let store: Store
    let delivery: ClipDelivery?
    let welcomed: Welcome
    switch try orders.next() {
    case .welcome(let welcome):
      welcomed = welcome
      configuration = try Configuration(
        yaml: welcome.configuration, place: "the coordinator's configuration")
      guard let opened = try open(welcome, orders, endpoint) else { return }
      (store, delivery) = opened
    case .refuse(let reason): throw Self.refused(endpoint, reason)
    case .bye: return
    default:
      throw TrainingError(.unavailable, "\(endpoint.address) does not answer as a coordinator does")
    }
    // Whoever waits for clips ends with the delivery.
    defer { delivery?.stop() }
    let pool = ThreadPool(threads: threads, spins: sharesCores ? 0 : 20_000)
    defer { pool.stop() }
    let proof = LaneProbe.hash(
      try configuration.resolved(for: store).network(for: store), pool: pool)
    let computer = try LaneComputer(
      configuration, store: store, pool: pool, memory: memory)
    defer {
      delivery?.stop()
      computer.stop()
    }
    let count = computer.network.weightCount + 1
    try endpoint.expect(largestVector: count)
    let tree = LaneTree(lanes: configuration.training.lanes)
    let exchange =
      welcomed.more[Self.topologyKey] == nil
      ? nil
      : try PeerExchange(
        over: transport, for: endpoint, tree: tree, sumCount: count,
        weightCount: computer.network.weightCount)
    defer { exchange?.close() }
    if let exchange { try orders.send(.listening(exchange.address)) }
    try orders.send(.ready(proofHash: proof))
    if welcomed.more[WorkerSpans.key] != nil { orders.spans = WorkerSpans(clock: endpoint.clock) }
    var reduction = Topology.makeWorkerSide(
      tree: tree, count: count,
      wire: WireFormat(
        configuration.training.wire, narrowCount: computer.network.parameterCount),
      in: shared?.partials, exchange: exchange)
    var hash: UInt64 = 0
    while true {
      switch try orders.next() {
      case .parameters(let parameters):
        guard parameters.values.count == computer.network.weightCount else {
          throw TrainingError(
            .fault,
            "the coordinator sent \(parameters.values.count) weights for a network of "
              + "\(computer.network.weightCount)")
        }
        exchange?.wantNoWeights()
        hash = orders.spans.record(.weights, step: parameters.step) {
          computer.load(parameters.values)
        }
      case .plan(let plan):
        let reached = exchange?.follow(plan) ?? false
        try orders.send(.linked(version: plan.version, reached: reached))
      case .slice(let slice):
        exchange?.share(slice)
        orders.awaitParameters(of: slice.step)
      case .gather(let step): try reduction.gather(step: step, send: orders.send)
      case .compute(let order):
        try compute(order, computer, delivery, &reduction, orders, endpoint, hash)
      case .evaluate(let order):
        guard let split = Split(rawValue: order.split),
          order.clips.lowerBound >= 0,
          order.clips.upperBound <= store.clipCount(in: split)
        else { throw Self.senseless("clips \(order.clips) of the split \(order.split)") }
        if let delivery, !(try fetch(split, order, computer, delivery, orders)) { continue }
        let logits = try orders.spans.record(.scores, step: order.job, order.clips) {
          try computer.logits(split, order.clips)
        }
        try orders.send(
          .scores(
            Cluster.Scores(
              job: order.job, clips: order.clips, values: FloatVector(logits), parametersHash: hash)
          ))
      case .refuse(let reason): throw Self.refused(endpoint, reason)
      case .bye, .drain: return
      default: continue
      }
    }
  }

  /// Computes lanes; the reduction sends their sums as they become complete.
  private func compute(
    _ order: Compute, _ computer: LaneComputer, _ delivery: ClipDelivery?,
    _ reduction: inout any WorkerReduction, _ orders: WorkerOrders, _ endpoint: WorkerEndpoint,
    _ hash: UInt64
  ) throws {
    guard order.stepInEpoch >= 0, order.stepInEpoch < computer.schedule.stepsPerEpoch,
      (0..<Int.max).contains(order.epoch), (0..<Int.max).contains(order.step),
      order.clipsInStep > 0, !order.lanes.isEmpty,
      order.lanes.lowerBound >= 0, order.lanes.upperBound <= computer.schedule.lanes
    else { throw Self.senseless("step \(order.stepInEpoch) of an epoch, lanes \(order.lanes)") }
    let clock = ContinuousClock()
    let (start, waitedBefore) = (clock.now, computer.waited)
    reduction.begin(order, parametersHash: hash)
    computer.announce(epoch: order.epoch, stepInEpoch: order.stepInEpoch, lanes: order.lanes)
    delivery?.follow(
      computer.schedule, epoch: order.epoch, step: order.stepInEpoch, lanes: order.lanes)
    for (done, lane) in order.lanes.enumerated() {
      // Somebody else was faster, or nobody waits any more.
      if try orders.areBeyond(step: order.step) { return }
      endpoint.report(Cluster.Progress(step: order.step, done: done, total: order.lanes.count))
      let (node, waited) = (lane..<lane + 1, computer.waited)
      let contribution = try orders.spans.record(
        .lane, step: order.step, node,
        clips: computer.schedule.clipCount(step: order.stepInEpoch, lane: lane),
        after: computer.waited - waited
      ) { try self.contribution(of: lane, order, computer, orders, in: reduction.room(for: lane)) }
      guard let contribution else { return }
      if let defect = try computer.defect(
        in: contribution, epoch: order.epoch, stepInEpoch: order.stepInEpoch, lane: lane)
      {
        try orders.send(.notFinite(NotFinite(step: order.step, lane: lane, what: defect)))
      }
      let values = Span(_unsafeElements: UnsafeBufferPointer(contribution.buffer))
      if lane == order.lanes.upperBound - 1 {
        // Before the last sum goes out, so that the coordinator has it when the step is complete.
        try orders.send(
          .timing(
            Timing(
              step: order.step, lanes: order.lanes, elapsed: clock.now - start,
              waited: computer.waited - waitedBefore,
              hash: order.isAudited ? contentHash(values) : 0)))
      }
      try orders.spans.record(.sum, step: order.step, node) {
        try reduction.add(values, lane: lane, send: orders.send)
      }
    }
  }

  /// Waits for the clips of an evaluation.
  ///
  /// - Returns: false if nobody wants it any more before they have come
  private func fetch(
    _ split: Split, _ order: Evaluate, _ computer: LaneComputer, _ delivery: ClipDelivery,
    _ orders: WorkerOrders
  ) throws -> Bool {
    let clips = try computer.announce(split, order.clips)
    if let next = try orders.nextEvaluation(), next.split == order.split {
      try computer.announce(split, next.clips)
    }
    while !delivery.hasCome(clips, within: Self.lookAround) {
      if try orders.isDismissed() { return false }
      if orders.isLeaving { throw Self.interrupted }
    }
    return true
  }

  /// One lane's vector; nil if nobody wants it any more before its clips have come.
  private func contribution(
    of lane: Int, _ order: Compute, _ computer: LaneComputer, _ orders: WorkerOrders,
    in room: VectorBuffer?
  ) throws -> Storage? {
    while !computer.hasClips(
      epoch: order.epoch, stepInEpoch: order.stepInEpoch, lane: lane, within: Self.lookAround)
    {
      if try orders.areBeyond(step: order.step) { return nil }
      if orders.isLeaving { throw Self.interrupted }
    }
    return try computer.contribution(
      step: order.step, epoch: order.epoch, stepInEpoch: order.stepInEpoch, lane: lane,
      clipsInStep: order.clipsInStep, in: room)
  }

  /// Whoever waits for clips looks so often whether they are still wanted. Who is to leave does not wait
  /// for them: the others, who take over, have theirs.
  private static let lookAround = Duration.milliseconds(100)

  /// The run's store: this worker's own; the embedded one, if that is it and is here; or the coordinator's.
  ///
  /// - Returns: nil if the worker is dismissed meanwhile
  private func open(
    _ welcome: Welcome, _ orders: WorkerOrders, _ endpoint: WorkerEndpoint
  ) throws -> (Store, ClipDelivery?)? {
    if let store {
      let store = try Store(URL(fileURLWithPath: store))
      try welcome.require(store)
      return (store, nil)
    }
    if let embedded = EmbeddedDataset.finishedStore,
      embedded.fingerprint == welcome.storeFingerprint
    {
      return (embedded, nil)
    }
    let copy = try StoreCopy.fetch(
      welcome.storeFingerprint, into: cache, from: endpoint, isDismissed: orders.isDismissed,
      announce: announce)
    guard let copy else { return nil }
    let delivery = ClipDelivery(copy, from: endpoint, announce: announce)
    return (delivery.store, delivery)
  }
}

extension ErrorCode {
  /// What a worker that cannot go on sends: the status that it ends with, above the protocol's codes.
  init(_ status: ExitStatus) { self.init(rawValue: 1000 + UInt32(status.rawValue)) }

  /// The status that a worker has ended with; nil for one of the protocol's codes.
  var status: ExitStatus? {
    rawValue >= 1000 ? Int32(exactly: rawValue - 1000).flatMap(ExitStatus.init(rawValue:)) : nil
  }
}
