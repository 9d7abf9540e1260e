/// A worker's I/O thread: the only user of its socket.
///
/// As at the coordinator, it waits for nobody: heartbeats go out while the compute thread computes.
/// When the coordinator is lost, the loop ends; a new endpoint is a new life.
final class WorkerLoop {
  enum Order: Sendable {
    case send(Parcel)
    case expect(largestVector: Int)
  }

  /// What both threads look at.
  struct Shared: Sendable {
    var defects = DefectCounters()
    var progress = Progress.none
    var largestVector: Int
    /// Known from the first frame of the coordinator on.
    var run = RunID.none
    var term: UInt32 = 0
    var isReached = false
    var loss: LossReason?
  }

  /// How long to wait before trying again where nothing wakes us: a full inbox, a full socket.
  private static let retry = Duration.milliseconds(2)

  private let link: any Link
  private let settings: EndpointSettings
  private let inbox: Mailbox<WorkerEvent>
  private let orders: Mailbox<Order>
  private let fetches: Mailbox<Fetch>
  private let pieces: Mailbox<Piece>
  /// One that the socket has not taken yet.
  private var blockedFetch: Fetch?
  private let shared: Guarded<Shared>
  private let conversation: Conversation
  private let memory: WorkerMemory?
  private var isReached = false
  private var hasBeaten = false
  private var loss: LossReason?
  private var closingSince: ContinuousClock.Instant?

  init(
    link: any Link, settings: EndpointSettings, inbox: Mailbox<WorkerEvent>,
    orders: Mailbox<Order>, fetches: Mailbox<Fetch>, pieces: Mailbox<Piece>,
    shared: Guarded<Shared>, memory: WorkerMemory?
  ) {
    self.link = link
    self.settings = settings
    self.inbox = inbox
    self.orders = orders
    self.fetches = fetches
    self.pieces = pieces
    self.shared = shared
    conversation = Conversation(with: .coordinator, settings: settings, session: nil)
    self.memory = memory
    conversation.memory = memory?.parameters
  }

  func run() {
    var lastRound = ContinuousClock.now
    var nextBeat = lastRound + settings.heartbeat
    while true {
      if orders.isClosed && closingSince == nil { closingSince = .now }
      // One message at a time: what waits, waits in the mailbox, and there its bound holds.
      while conversation.isIdle, let order = orders.poll() { follow(order) }
      sendFetches()
      let sending = conversation.pump(into: link)
      if let closingSince {
        let mayLinger = ContinuousClock.now - closingSince < settings.linger
        let isDone = sending == .idle && orders.isEmpty
        if isDone || sending == .unreachable || !mayLinger { break }
      }
      let inboxIsFull = inbox.isFull || closingSince != nil
      let mayHaveMore = !inboxIsFull && receive()
      if sending == .unreachable { lose(.disconnected) }

      let now = ContinuousClock.now
      // Who was stopped himself, by Ctrl-Z, say, could not hear anybody.
      if inboxIsFull || now - lastRound > settings.silence / 2 { conversation.touch(now) }
      lastRound = now
      if now >= nextBeat, isReached {
        beat()
        if now - conversation.lastHeard > settings.silence { lose(.silent(settings.silence)) }
      }
      if now >= nextBeat { nextBeat = now + settings.heartbeat }
      if let loss {
        orders.close()
        shared.update { $0.loss = loss }
        inbox.close(with: .lost(loss))
        break
      }
      if sending == .more || mayHaveMore || (sending == .idle && !orders.isEmpty) { continue }
      let retries = sending == .blocked || inboxIsFull || blockedFetch != nil
      link.wait(
        forMessages: !inboxIsFull, until: retries ? min(nextBeat, now + Self.retry) : nextBeat)
    }
    pieces.close()
    link.close(linger: loss == nil ? settings.linger : .zero)
  }

  private func follow(_ order: Order) {
    switch order {
    case .send(let parcel):
      // Before all that it says but hello, so that the coordinator knows this clock when it hears of times.
      if isReached && !hasBeaten { beat() }
      conversation.enqueue(memory?.partials.place(parcel) ?? parcel)
    case .expect(let largestVector): conversation.largestVector = largestVector
    }
  }

  /// They pass what waits: vectors go the other way than what they ask for.
  private func sendFetches() {
    while let fetch = blockedFetch ?? fetches.poll() {
      blockedFetch = fetch
      guard conversation.sendAhead(.fetch(fetch), into: link) == .sent else { return }
      blockedFetch = nil
    }
  }

  private func lose(_ reason: LossReason) {
    if loss == nil { loss = reason }
  }

  /// - Returns: whether more may be there
  private func receive() -> Bool {
    for _ in 0..<64 {
      switch link.receive({ _, frame in take(frame) }) {
      case .message: if inbox.isFull || loss != nil { return false }
      case .oddParts: count(.parts)
      case .nothing: return false
      case .obstructed(let problem):
        lose(.obstructed(problem))
        return false
      case .disconnected:
        lose(.disconnected)
        return false
      }
    }
    return true
  }

  private func take(_ frame: RawSpan) {
    do throws(Defect) {
      guard let parcel = try conversation.receive(frame) else { return reached() }
      guard parcel.subject.kind.comesFromCoordinator else {
        throw Defect(.direction, "\(parcel.subject.kind) sent to a worker")
      }
      let message = try parcel.message()
      switch message {
      case .heartbeat(_, let stamps): conversation.clock.take(stamps)
      // Who asks for no more than it takes has room for all answers.
      case .piece where pieces.isFull: lose(.incomplete)
      case .piece(let piece): pieces.post(piece, weight: parcel.weight)
      case .error(let code, let text) where code == .notJoined || code == .stale:
        lose(.refused(code, text))
      case .error(let code, let text) where !isReached:
        lose(.refused(code, text))
      default: inbox.post(.message(message), weight: parcel.weight)
      }
      reached()
    } catch {
      count(error.kind)
      // A coordinator of another version cannot be understood, and will not be.
      if error.kind == .version { lose(.refused(.version, error.detail)) }
      if error.kind == .gap { lose(.incomplete) }
    }
  }

  private func reached() {
    guard !isReached, loss == nil, let session = conversation.session else { return }
    isReached = true
    shared.update { shared in
      shared.run = session.run
      shared.term = session.term
      shared.isReached = true
    }
  }

  private func beat() {
    hasBeaten = true
    _ = conversation.beat(shared.value.progress, into: link)
  }

  private func count(_ kind: Defect.Kind) { shared.update { $0.defects.count(kind) } }
}
