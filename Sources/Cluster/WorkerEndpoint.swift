/// A worker's end of the cluster, for its synchronous main thread. One endpoint is one life: when the
/// coordinator is lost, make another.
package final class WorkerEndpoint: Sendable {
  /// The coordinator's address, as given.
  package let address: String
  /// What its heartbeats are stamped with.
  package let clock: @Sendable () -> Duration

  private let inbox: Mailbox<WorkerEvent>
  private let orders: Mailbox<WorkerLoop.Order>
  private let fetches: Mailbox<Fetch>
  private let pieces: Mailbox<Piece>
  private let shared: Guarded<WorkerLoop.Shared>
  private let waker: Waker
  private let thread: IOThread

  /// Says hello to a coordinator and returns when it shows a sign of life. Its `welcome` or `refuse`
  /// comes as the first message.
  ///
  /// - Parameters:
  ///   - memory: shared with the coordinator, if it has started this worker
  ///   - timeout: how long to try; the coordinator may start later than its workers
  /// - Throws: `ClusterError.unavailable` for a malformed or unresolvable address, or if the coordinator
  ///   takes no more peers; `.refused` if its keys and this side's do not go together, or it speaks another
  ///   protocol version; `.unanswered` if nobody answers, or the answer says that the hello did not arrive
  ///   as it was sent
  package init(
    connectingTo address: String, over transport: any Transport = ZeroMQTransport(),
    hello: Hello, settings: EndpointSettings = EndpointSettings(), memory: WorkerMemory? = nil,
    timeout: Duration = .seconds(10)
  ) throws(ClusterError) {
    settings.validate()
    var hello = hello
    hello.more[WorkerMemory.key] = memory?.partials.token
    let greeting = try Parcel(.hello(hello), within: 0, for: address)
    let deadline = ContinuousClock.now + timeout
    let inbox = Mailbox<WorkerEvent>(capacity: settings.backlogBytes)
    let orders = Mailbox<WorkerLoop.Order>(capacity: settings.backlogBytes)
    let fetches = Mailbox<Fetch>(capacity: .max)
    let pieces = Mailbox<Piece>(capacity: 2 * Fetch.mostAtOnce * Fetch.mostBytes)
    let shared = Guarded(WorkerLoop.Shared(largestVector: settings.largestVector))
    orders.post(.send(greeting), weight: greeting.weight)
    (thread, _, waker) = try IOThread.starting {
      () throws(ClusterError) in
      try transport.connect(to: address)
    } run: { link in
      let loop = WorkerLoop(
        link: link, settings: settings, inbox: inbox, orders: orders, fetches: fetches,
        pieces: pieces, shared: shared, memory: memory)
      loop.run()
    }
    self.address = address
    clock = settings.clock
    self.inbox = inbox
    self.orders = orders
    self.fetches = fetches
    self.pieces = pieces
    self.shared = shared

    let isReached = shared.wait(until: deadline) { shared -> Bool? in
      if shared.isReached { return true }
      return shared.loss == nil ? nil : false
    }
    guard isReached == true else {
      let loss = shared.value.loss
      close()
      let detail =
        switch loss {
        case nil: "nobody answered; does the coordinator run, is the port right?"
        case .disconnected: "somebody listens, but hung up; is it a coordinator of Tutti?"
        case let loss?: "\(loss)"
        }
      let code: ClusterError.Code =
        switch loss {
        case .obstructed(let problem): problem.isFinal ? .refused : .unavailable
        case .refused(.version, _): .refused
        case .refused(.full, _): .unavailable
        default: .unanswered
        }
      throw ClusterError(code, attempt: "join a coordinator", place: address, detail: detail)
    }
  }

  deinit { close() }

  /// The run and term that the coordinator works on.
  package var run: RunID { shared.value.run }
  package var term: UInt32 { shared.value.term }

  /// Says how long vectors may be, as soon as the configuration tells. Until then, all are refused.
  package func expect(largestVector: Int) throws(ClusterError) {
    precondition(largestVector >= 0, "the largest vector has \(largestVector) elements")
    shared.update { $0.largestVector = largestVector }
    try put(.expect(largestVector: largestVector), weight: 0, attempt: "set the largest vector")
  }

  /// Waits for the next event.
  ///
  /// - Returns: nil if nothing happened within `timeout`; without one it waits as long as it takes. When
  ///   the coordinator is lost, `.lost`, again at every call.
  /// - Throws: `ClusterError.closed` after `close()`
  package func receive(timeout: Duration? = nil) throws(ClusterError) -> WorkerEvent? {
    switch inbox.take(until: timeout.map { .now + $0 }) {
    case .item(let event): return event
    case .interrupted:
      orders.clearInterrupt()
      return .interrupted
    case .timedOut: return nil
    case .closed:
      if let loss = shared.value.loss { return .lost(loss) }
      throw ClusterError(
        .closed, attempt: "receive", place: address, detail: "the endpoint is closed")
    }
  }

  /// Sends `message`. Waits while too much is on its way already.
  ///
  /// - Throws: `ClusterError.closed` when the coordinator is lost, `.interrupted`, or `.tooLarge` beyond the
  ///   largest vector or 1 MiB of text
  package func send(_ message: Message) throws(ClusterError) {
    let parcel = try Parcel(message, within: shared.value.largestVector, for: address)
    try put(.send(parcel), weight: parcel.weight, attempt: "send \(parcel.subject.kind)")
  }

  /// Asks for bytes of the coordinator's data; the answer comes to `nextPiece`. Never waits. Of those that
  /// are not answered there may be `Fetch.mostAtOnce`.
  package func fetch(_ fetch: Fetch) {
    fetches.post(fetch, weight: 0)
    waker.wake()
  }

  /// Waits for the next answer to a fetch, on any thread: it does not stand in the order of messages.
  ///
  /// - Returns: nil after `nudge()`, or if none came within `timeout`
  /// - Throws: `ClusterError.closed` when the coordinator is lost or after `close()`
  package func nextPiece(timeout: Duration? = nil) throws(ClusterError) -> Piece? {
    switch pieces.take(until: timeout.map { .now + $0 }) {
    case .item(let piece): return piece
    case .interrupted, .timedOut: return nil
    case .closed:
      throw ClusterError(
        .closed, attempt: "fetch data", place: address,
        detail: shared.value.loss.map { "the coordinator is lost: \($0)" }
          ?? "the endpoint is closed")
    }
  }

  /// Wakes `nextPiece`, or its next call.
  package func nudge() { pieces.interrupt() }

  /// Lets `receive` return `message` as if the coordinator had sent it.
  func deliver(_ message: Message) {
    inbox.post(.message(message), weight: Parcel(message).weight)
  }

  /// What heartbeats say from now on.
  package func report(_ progress: Progress) { shared.update { $0.progress = progress } }

  /// What was refused or dropped so far.
  package var defects: DefectCounters { shared.value.defects }

  /// Wakes `receive` or a waiting `send` from another thread. If nobody waits, the next call.
  package func interrupt() {
    inbox.interrupt()
    orders.interrupt()
  }

  /// Ends the I/O thread and closes the socket. What was sent before has `settings.linger` to leave, twice at
  /// most. May be called again.
  package func close() {
    orders.close()
    waker.wake()
    thread.join()
    inbox.close()
  }

  private func put(
    _ order: WorkerLoop.Order, weight: Int, attempt: String
  ) throws(ClusterError) {
    switch orders.put(order, weight: weight) {
    case .accepted: waker.wake()
    case .interrupted:
      inbox.clearInterrupt()
      throw ClusterError(
        .interrupted, attempt: attempt, place: address, detail: "interrupted while waiting")
    case .closed:
      throw ClusterError(
        .closed, attempt: attempt, place: address,
        detail: shared.value.loss.map { "the coordinator is lost: \($0)" }
          ?? "the endpoint is closed")
    }
  }
}
