/// The coordinator's end of the cluster, for its synchronous main thread.
///
/// An I/O thread owns the socket, keeps peers alive and refuses nonsense; what matters comes out of
/// `nextEvent` one by one.
/// ```swift
/// let endpoint = try CoordinatorEndpoint(
///   listeningAt: "tcp://127.0.0.1:0", run: run, term: term,
///   settings: EndpointSettings(largestVector: parameters.count))
/// while let event = try endpoint.nextEvent(timeout: .seconds(10)) {
///   switch event {
///   case .joined(let peer, _): try endpoint.send(.welcome(welcome), to: peer)
///   …
/// ```
package final class CoordinatorEndpoint: Sendable {
  /// Where workers connect, with the real port.
  package let address: String

  private let settings: EndpointSettings
  private let inbox: Mailbox<CoordinatorEvent>
  private let orders: Mailbox<CoordinatorLoop.Order>
  private let fetches: Mailbox<(PeerID, Fetch)>
  /// What it shares with workers of this machine.
  package let memory: CoordinatorMemory?
  private let shared = Guarded(CoordinatorLoop.Shared())
  private let waker: Waker
  private let thread: IOThread

  /// Listens for workers.
  ///
  /// - Parameter memory: shared with some of them, who are told where vectors lie instead of getting them
  /// - Throws: `ClusterError.unavailable` if the address is malformed, in use or not this machine's
  package init(
    listeningAt address: String, over transport: any Transport = ZeroMQTransport(), run: RunID,
    term: UInt32, settings: EndpointSettings, memory: CoordinatorMemory? = nil
  ) throws(ClusterError) {
    settings.validate()
    let inbox = Mailbox<CoordinatorEvent>(capacity: settings.backlogBytes)
    let orders = Mailbox<CoordinatorLoop.Order>(capacity: settings.backlogBytes)
    let fetches = Mailbox<(PeerID, Fetch)>(capacity: .max)
    let shared = shared
    (thread, self.address, waker) = try IOThread.starting {
      () throws(ClusterError) in
      try transport.listen(at: address)
    } run: { link in
      let loop = CoordinatorLoop(
        link: link, session: Session(run: run, term: term), settings: settings, inbox: inbox,
        orders: orders, fetches: fetches, shared: shared, memory: memory)
      loop.run()
    }
    self.settings = settings
    self.inbox = inbox
    self.orders = orders
    self.fetches = fetches
    self.memory = memory
  }

  deinit { close() }

  /// Waits for the next event.
  ///
  /// - Returns: nil if nothing happened within `timeout`; without one it waits as long as it takes
  /// - Throws: `ClusterError.closed` after `close()`
  package func nextEvent(timeout: Duration? = nil) throws(ClusterError) -> CoordinatorEvent? {
    switch inbox.take(until: timeout.map { .now + $0 }) {
    case .item(let event):
      if case .rejected = event { shared.update { $0.rejectionsWaiting -= 1 } }
      return event
    case .interrupted: return .interrupted
    case .timedOut: return nil
    case .closed: throw closedError("wait for an event")
    }
  }

  /// Sends `message` to a peer. Returns as soon as the I/O thread has it; if the peer is gone, a `lost`
  /// event tells or has told.
  package func send(_ message: Message, to peer: PeerID) throws(ClusterError) {
    try send(message, to: [peer])
  }

  /// Sends one message to many peers. They share it: a vector is not copied for each.
  ///
  /// - Throws: `ClusterError.tooLarge` beyond the agreed largest vector or 1 MiB of text, `.closed`
  package func send(_ message: Message, to peers: [PeerID]) throws(ClusterError) {
    let parcel = try Parcel(message, within: settings.largestVector, for: address)
    guard orders.put(.send(parcel, peers), weight: parcel.weight) == .accepted else {
      throw closedError("send \(parcel.subject.kind)")
    }
    waker.wake()
  }

  /// Waits for the next fetch, on a thread of the caller's choosing; as many wait as `Fetch.mostAtOnce` allows.
  ///
  /// - Returns: nil if none came within `timeout`
  /// - Throws: `ClusterError.closed` after `close()`
  package func nextFetch(timeout: Duration? = nil) throws(ClusterError) -> (PeerID, Fetch)? {
    switch fetches.take(until: timeout.map { .now + $0 }) {
    case .item(let fetch): return fetch
    case .interrupted, .timedOut: return nil
    case .closed: throw closedError("wait for a fetch")
    }
  }

  /// Pieces on their way to all workers together, in bytes; one more is always taken. The rest waits where
  /// what is urgent can still pass it.
  private static let mostPieceBytes = 8 << 20

  /// Answers a fetch, with each of them once. Waits while too much is on its way.
  ///
  /// - Throws: `ClusterError.closed`
  package func answer(_ piece: Piece, to peer: PeerID) throws(ClusterError) {
    let parcel = Parcel(.piece(piece))
    let hasRoom = shared.wait(until: nil) { shared -> Bool? in
      if shared.isClosed { return false }
      guard shared.pieceBytes < Self.mostPieceBytes else { return nil }
      shared.pieceBytes += parcel.weight
      return true
    }
    guard hasRoom == true,
      orders.put(.send(parcel, [peer]), weight: parcel.weight) == .accepted
    else { throw closedError("answer a fetch") }
    waker.wake()
  }

  /// Forgets a peer after what was sent to it: nothing more is delivered from it, no `lost` event comes,
  /// and whatever it still says is answered with `notJoined`.
  package func remove(_ peer: PeerID) {
    orders.post(.remove(peer), weight: 0)
    waker.wake()
  }

  /// What the peer's last heartbeat said.
  package func progress(of peer: PeerID) -> Progress? { shared.value.progress[peer] }

  /// How far the peer's clock is ahead of this side's; nil before its first heartbeat.
  package func clockOffset(of peer: PeerID) -> ClockOffset.Estimate? {
    shared.value.clockOffsets[peer]
  }

  /// What was refused or dropped so far.
  package var defects: DefectCounters { shared.value.defects }

  /// How many tried to connect and could not.
  package var turnedAway: Int { shared.value.turnedAway }

  /// What was sent and received up to the last heartbeat.
  package var traffic: Traffic { shared.value.traffic }

  /// Wakes `nextEvent` from another thread; it returns `.interrupted`. If nobody waits, the next call does.
  package func interrupt() { inbox.interrupt() }

  /// Ends the I/O thread and closes the socket. What was sent before has `settings.linger` to leave, twice
  /// at most. May be called again.
  package func close() {
    orders.close()
    shared.update { $0.isClosed = true }
    fetches.close()
    waker.wake()
    thread.join()
    inbox.close()
  }

  private func closedError(_ attempt: String) -> ClusterError {
    ClusterError(.closed, attempt: attempt, place: address, detail: "the endpoint is closed")
  }
}
