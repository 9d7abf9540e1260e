/// The coordinator's I/O thread: the only user of the socket, the keeper of the conversations.
///
/// One round hands over what the compute thread wants sent, sends, receives, and looks at the clock. It
/// never waits for a peer or for the compute thread, so heartbeats go out whatever they do: when the
/// inbox is full it stops reading, and counts nobody silent for that time.
final class CoordinatorLoop {
  enum Order: Sendable {
    case send(Parcel, [PeerID])
    /// Forget the peer once what waits for it has been sent.
    case remove(PeerID)
  }

  /// What both threads look at.
  struct Shared: Sendable {
    var defects = DefectCounters()
    var progress: [PeerID: Progress] = [:]
    var clockOffsets: [PeerID: ClockOffset.Estimate] = [:]
    var rejectionsWaiting = 0
    var turnedAway = 0
    /// As of the last heartbeat.
    var traffic = Traffic()
    /// What pieces on their way weigh, to all peers together.
    var pieceBytes = 0
    var isClosed = false
  }

  private static let maximumRejectionsWaiting = 64
  /// Strangers that are told between two heartbeats what was wrong with their messages.
  private static let maximumAnswers = 64
  /// How long to wait before trying again where nothing wakes us: a full inbox, a slow peer.
  private static let retry = Duration.milliseconds(2)

  private let link: CountingLink
  private let session: Session
  private let settings: EndpointSettings
  private let inbox: Mailbox<CoordinatorEvent>
  private let orders: Mailbox<Order>
  private let fetches: Mailbox<(PeerID, Fetch)>
  private let shared: Guarded<Shared>
  private let memory: CoordinatorMemory?

  private var conversations: [PeerID: Conversation] = [:]
  private var leaving: Set<PeerID> = []
  /// Those for whom something waits, or who are forgotten once nothing does: of many peers, few.
  private var busy: Set<PeerID> = []
  /// Lost for their bad messages: nothing more is read from them, as long as they are remembered.
  private var ignored: Set<PeerID> = []
  /// Who has been here and is gone, of the last ones: what was on its way from them is no news, and a name is used
  /// once.
  private var former: Set<PeerID> = []
  private var answers = 0
  private var access = AccessCounters()
  private var closingSince: ContinuousClock.Instant?

  init(
    link: any Link, session: Session, settings: EndpointSettings,
    inbox: Mailbox<CoordinatorEvent>, orders: Mailbox<Order>,
    fetches: Mailbox<(PeerID, Fetch)>, shared: Guarded<Shared>, memory: CoordinatorMemory?
  ) {
    self.link = CountingLink(link)
    self.session = session
    self.settings = settings
    self.inbox = inbox
    self.orders = orders
    self.fetches = fetches
    self.shared = shared
    self.memory = memory
  }

  func run() {
    var nextBeat = ContinuousClock.now
    var lastRound = nextBeat
    while true {
      if orders.isClosed && closingSince == nil { closingSince = .now }
      while let order = orders.poll() { follow(order) }
      let sending = pump()
      if let closingSince {
        let mayLinger = ContinuousClock.now - closingSince < settings.linger
        if sending == .idle || !mayLinger { break }
      }
      let inboxIsFull = inbox.isFull || closingSince != nil
      let mayHaveMore = !inboxIsFull && receive()
      for problem in link.takeProblems() { tell(problem) }

      let now = ContinuousClock.now
      // Who was stopped himself, by Ctrl-Z, say, could not hear anybody.
      if inboxIsFull || now - lastRound > settings.silence / 2 {
        for conversation in conversations.values { conversation.touch(now) }
      }
      lastRound = now
      if now >= nextBeat {
        beat(now)
        nextBeat = now + settings.heartbeat
      }
      if sending == .more || mayHaveMore { continue }
      let retries = sending == .blocked || inboxIsFull
      link.wait(
        forMessages: !inboxIsFull, until: retries ? min(nextBeat, now + Self.retry) : nextBeat)
    }
    link.close(linger: settings.linger)
  }

  private func follow(_ order: Order) {
    switch order {
    case .send(let parcel, let peers) where parcel.subject.kind == .piece:
      for peer in peers {
        // To who is gone nothing is on its way.
        guard let conversation = conversations[peer], !leaving.contains(peer) else {
          release(parcel.weight)
          continue
        }
        conversation.enqueue(parcel)
        busy.insert(peer)
      }
    case .send(let parcel, let peers):
      let sharing = peers.contains { conversations[$0]?.memory != nil }
      let placed = sharing ? memory?.parameters.place(parcel) : nil
      for peer in peers where !leaving.contains(peer) {
        guard let conversation = conversations[peer] else { continue }  // lost; the event tells
        conversation.enqueue(conversation.memory == nil ? parcel : placed ?? parcel)
        busy.insert(peer)
        if conversation.waitingBytes > settings.backlogBytes { lose(peer, .backlogged) }
      }
    case .remove(let peer):
      guard conversations[peer] != nil else { return }
      leaving.insert(peer)
      busy.insert(peer)
    }
  }

  private func pump() -> Conversation.Progress {
    var overall = Conversation.Progress.idle
    for peer in busy {
      guard let conversation = conversations[peer] else { continue }
      switch conversation.pump(into: link) {
      case .idle:
        busy.remove(peer)
        if leaving.contains(peer) { forget(peer) }
      case .more: overall = .more
      case .blocked: if overall == .idle { overall = .blocked }
      case .unreachable: lose(peer, .disconnected)
      }
      release(conversation.takeReleasedPieces())
    }
    return overall
  }

  private func release(_ pieceBytes: Int) {
    if pieceBytes > 0 { shared.update { $0.pieceBytes -= pieceBytes } }
  }

  /// - Returns: whether more may be there
  private func receive() -> Bool {
    for _ in 0..<64 {
      switch link.receive({ peer, frame in take(frame, from: peer) }) {
      case .message: if inbox.isFull { return false }
      case .oddParts(let peer): reject(Defect(.parts, "a message has one part"), from: peer)
      case .nothing, .disconnected, .obstructed: return false
      }
    }
    return true
  }

  private func take(_ frame: RawSpan, from peer: PeerID) {
    do throws(Defect) {
      guard !ignored.contains(peer) else { return }
      guard let conversation = conversations[peer] else { return try admit(frame, from: peer) }
      guard !leaving.contains(peer) else { return }
      guard conversation.sender == link.sender else {
        throw Defect(.notJoined, "the name of a peer with another key")
      }
      guard let parcel = try conversation.receive(frame) else { return }
      guard parcel.subject.kind.comesFromWorkers else {
        throw Defect(.direction, "\(parcel.subject.kind) sent to a coordinator")
      }
      switch try parcel.message() {
      case .hello: throw Defect(.duplicate, "a second hello")
      case .heartbeat(let progress, let stamps):
        conversation.clock.take(stamps)
        shared.update {
          $0.progress[peer] = progress
          $0.clockOffsets[peer] = conversation.clock.offset.estimate
        }
      case .fetch(let fetch):
        guard conversation.owed < Fetch.mostAtOnce else {
          throw Defect(.tooLarge, "more than \(Fetch.mostAtOnce) fetches at once")
        }
        conversation.owed += 1
        fetches.post((peer, fetch), weight: 1)
      case let message: inbox.post(.message(peer, message), weight: parcel.weight)
      }
    } catch {
      reject(error, from: peer)
      if error.kind == .gap { lose(peer, .incomplete) }
    }
  }

  /// Takes a stranger's first frame, which has to be a hello.
  private func admit(_ frame: RawSpan, from peer: PeerID) throws(Defect) {
    let header = try FrameHeader(decoding: frame)
    guard header.subject.kind == .hello, header.chunkBytes == header.totalBytes else {
      throw Defect(.notJoined, "\(header.subject.kind) before a hello")
    }
    guard !former.contains(peer) else {
      throw Defect(.notJoined, "the name of who was here before")
    }
    guard conversations.count < settings.maximumPeers else {
      throw Defect(.full, "there are \(settings.maximumPeers) peers already")
    }
    let conversation = Conversation(
      with: peer, settings: settings, session: session, sender: link.sender)
    guard let parcel = try conversation.receive(frame),
      case .hello(var hello) = try parcel.message()
    else { return }
    conversation.memory = memory?.take(hello.more[WorkerMemory.key])
    hello.key = link.sender.flatMap(KnownKey.init(userID:))
    conversations[peer] = conversation
    inbox.post(.joined(peer, hello), weight: parcel.weight)
    // At once, so that the worker knows that somebody is there.
    _ = conversation.beat(into: link)
  }

  private func reject(_ defect: Defect, from peer: PeerID) {
    let isLate = defect.kind == .notJoined && former.contains(peer)
    let tell = shared.update { shared in
      guard !isLate else { return false }
      shared.defects.count(defect.kind)
      guard shared.rejectionsWaiting < Self.maximumRejectionsWaiting else { return false }
      shared.rejectionsWaiting += 1
      return true
    }
    if tell { inbox.post(.rejected(peer, defect), weight: 0) }
    guard let code = defect.reply else { return }
    // To who is to blame, not to who bears the same name.
    if let conversation = conversations[peer], conversation.sender == link.sender {
      _ = conversation.sendAhead(.error(code, "\(defect)"), into: link)
      conversation.defects += 1
      if conversation.defects >= settings.maximumDefects {
        if ignored.count >= settings.maximumPeers { ignored = [] }
        ignored.insert(peer)
        lose(peer, .misbehaved(conversation.defects))
      }
    } else if answers < Self.maximumAnswers {
      answers += 1
      link.sendToStranger(peer, code, "\(defect)", session: session)
    }
  }

  /// Somebody could not come in.
  private func tell(_ problem: AccessProblem) {
    if problem.kind != nil { shared.update { $0.turnedAway += 1 } }
    guard let count = access.count(problem) else { return }
    inbox.post(.turnedAway(problem, count: count), weight: 0)
  }

  private func beat(_ now: ContinuousClock.Instant) {
    answers = 0
    shared.update { $0.traffic = link.traffic }
    for (peer, conversation) in conversations {
      if let sender = conversation.sender, !link.isAllowed(sender) {
        let reason = LossReason.noLongerAllowed
        _ = conversation.sendAhead(.error(.notJoined, "\(reason)"), into: link)
        lose(peer, reason)
      } else if conversation.beat(into: link) == .unreachable {
        lose(peer, .disconnected)
      } else if now - conversation.lastHeard > settings.silence {
        lose(peer, .silent(settings.silence))
      }
    }
  }

  private func lose(_ peer: PeerID, _ reason: LossReason) {
    let isMissed = !leaving.contains(peer)
    forget(peer)
    if isMissed { inbox.post(.lost(peer, reason), weight: 0) }
  }

  private func forget(_ peer: PeerID) {
    release(conversations[peer]?.takeReleasedPieces(all: true) ?? 0)
    if conversations.removeValue(forKey: peer) != nil {
      if former.count >= settings.maximumPeers { former = [] }
      former.insert(peer)
    }
    leaving.remove(peer)
    busy.remove(peer)
    shared.update {
      $0.progress[peer] = nil
      $0.clockOffsets[peer] = nil
    }
  }
}
