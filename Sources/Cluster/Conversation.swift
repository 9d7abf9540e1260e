/// One peer's half of the protocol, on the I/O thread: numbering and refusing frames, putting chunks
/// together, and sending what waits for this peer.
///
/// Memory for a peer: one vector being put together, of the agreed largest size at most, and the
/// backlog that its endpoint allows.
package final class Conversation {
  let peer: PeerID
  /// Elements in the largest vector that this peer may send.
  var largestVector: Int
  private let chunkBytes: Int
  /// What this peer writes and this process reads, if they share memory.
  var memory: SharedVectors?
  /// The run and term that frames must belong to; nil until the coordinator's first frame tells.
  private(set) var session: Session?
  /// The sender of its first frame as the transport knows it, who must be that of all others.
  let sender: String?
  /// Messages of the peer's that made no sense.
  var defects = 0
  var clock: PeerClock

  package init(
    with peer: PeerID, settings: EndpointSettings, session: Session?, sender: String? = nil
  ) {
    self.peer = peer
    self.sender = sender
    largestVector = settings.largestVector
    chunkBytes = settings.chunkBytes
    clock = PeerClock(settings.clock)
    self.session = session
  }

  // MARK: Receiving

  private var lastReceived: UInt64 = 0
  private var assembly: Assembly?
  private(set) var lastHeard = ContinuousClock.now

  func touch(_ now: ContinuousClock.Instant) { lastHeard = now }

  /// Takes one frame.
  ///
  /// After a `gap` the conversation is over: nobody sends again what is missing, and whoever waits
  /// for it would wait for ever. A new one begins with a hello. That it is noticed soon is the
  /// heartbeats' doing, which are numbered like everything else.
  ///
  /// - Returns: the message that it completes, or nil if more chunks are to come
  package func receive(_ frame: RawSpan) throws(Defect) -> Parcel? {
    let header = try FrameHeader(decoding: frame)
    lastHeard = .now
    try accept(header)
    let chunk = frame.extracting(droppingFirst: FrameHeader.byteCount)
    let limit = Parcel.limit(header.payloadKind, largestVector: largestVector)
    guard header.totalBytes <= limit else {
      assembly = nil
      throw Defect(
        .tooLarge, "\(header.subject.kind) of \(header.totalBytes) bytes, at most \(limit) agreed")
    }
    if header.chunkBytes == header.totalBytes {
      // Whole in one frame: it may overtake the chunks of another.
      var whole = Assembly(first: header)
      _ = whole.append(chunk, header)
      return try whole.parcel(with: memory, largestVector: largestVector)
    }
    if header.chunkOffset == 0 && assembly == nil { assembly = Assembly(first: header) }
    guard assembly?.append(chunk, header) == true else {
      assembly = nil
      throw Defect(
        .chunkOrder, "\(header.subject.kind): bytes from \(header.chunkOffset) do not follow")
    }
    guard let complete = assembly, complete.isComplete else { return nil }
    assembly = nil
    return try complete.parcel(with: memory, largestVector: largestVector)
  }

  private func accept(_ header: FrameHeader) throws(Defect) {
    // Said to a stranger, outside of any conversation's numbers.
    if header.subject.kind == .error && header.sequence == 0 { return }
    if let session {
      // A worker does not know them when it says hello, and the coordinator's answer tells.
      let isFirst = header.subject.kind == .hello && header.run == .none
      guard header.run == session.run || isFirst else {
        throw Defect(.foreignRun, "run \(header.run), this is \(session.run)")
      }
      guard header.term == session.term || isFirst else {
        throw Defect(.staleTerm, "term \(header.term), this is \(session.term)")
      }
    }
    guard header.sequence > lastReceived else {
      throw Defect(.duplicate, "frame \(header.sequence) after \(lastReceived)")
    }
    guard header.sequence == lastReceived + 1 else {
      throw Defect(.gap, "frame \(header.sequence) after \(lastReceived)")
    }
    lastReceived = header.sequence
    if session == nil { session = Session(run: header.run, term: header.term) }
  }

  // MARK: Sending

  enum Progress {
    /// Nothing waits.
    case idle
    /// The transport takes no more for the moment.
    case blocked
    /// More can be sent at once.
    case more
    case unreachable
  }

  private var waiting: [Parcel] = []
  private var firstOffset = 0
  private var lastSent: UInt64 = 0
  private(set) var waitingBytes = 0

  var isIdle: Bool { waiting.isEmpty }

  func enqueue(_ parcel: Parcel) {
    if parcel.subject.kind == .piece { return pieces.append(parcel) }
    waiting.append(parcel)
    waitingBytes += parcel.weight
  }

  // Pieces go when nothing else waits: training goes first, and what it does not need of a link is theirs.
  private var pieces: [Parcel] = []
  /// Fetches whose answers have not left.
  var owed = 0
  /// What pieces have left or never will weighed, since this was last asked.
  private var releasedPieces = 0

  func takeReleasedPieces(all: Bool = false) -> Int {
    if all {
      releasedPieces += pieces.reduce(0) { $0 + $1.weight }
      pieces = []
    }
    defer { releasedPieces = 0 }
    return releasedPieces
  }

  private func pumpPiece(into link: any Link) -> Progress {
    guard let piece = pieces.first else { return .idle }
    switch send(piece, chunk: 0..<piece.byteCount, into: link) {
    case .wouldBlock: return .blocked
    case .unreachable: return .unreachable
    case .sent:
      pieces.removeFirst()
      owed -= 1
      releasedPieces += piece.weight
      return pieces.isEmpty ? .idle : .more
    }
  }

  /// Sends at most `frames` frames, so that one peer's vector does not keep others waiting.
  func pump(into link: any Link, frames: Int = 4) -> Progress {
    for _ in 0..<frames {
      guard let parcel = waiting.first else { return pumpPiece(into: link) }
      let isVector = [.floats, .narrow].contains(parcel.payloadKind)
      let most = isVector ? chunkBytes : FrameHeader.maximumPayload
      let count = min(most, parcel.byteCount - firstOffset)
      switch send(parcel, chunk: firstOffset..<firstOffset + count, into: link) {
      case .wouldBlock: return .blocked
      case .unreachable: return .unreachable
      case .sent: firstOffset += count
      }
      if firstOffset == parcel.byteCount {
        waiting.removeFirst()
        waitingBytes -= parcel.weight
        firstOffset = 0
      }
    }
    return waiting.isEmpty && pieces.isEmpty ? .idle : .more
  }

  /// Sends a small message past all that waits, if the transport takes it now.
  func sendAhead(_ message: Message, into link: any Link) -> Delivery {
    sendAhead(Parcel(message), into: link)
  }

  /// - Precondition: it fits one frame
  func sendAhead(_ parcel: Parcel, into link: any Link) -> Delivery {
    send(parcel, chunk: 0..<parcel.byteCount, into: link)
  }

  /// Shows that this side is alive.
  func beat(_ progress: Cluster.Progress = .none, into link: any Link) -> Delivery {
    sendAhead(.heartbeat(progress, clock.stamps), into: link)
  }

  private func send(
    _ parcel: Parcel, chunk: Range<Int>, into link: any Link
  ) -> Delivery {
    let delivery = link.send(
      parcel, chunk: chunk, to: peer, session: session, sequence: lastSent + 1)
    if delivery == .sent { lastSent += 1 }
    return delivery
  }
}

/// One life of a coordinator: a run, and which of its terms. Frames of any other are refused.
package struct Session: Equatable, Sendable {
  let run: RunID
  let term: UInt32
}

extension Link {
  /// Tells somebody with whom there is no conversation that something was refused.
  func sendToStranger(
    _ peer: PeerID, _ code: ErrorCode, _ text: String, session: Session
  ) {
    let parcel = Parcel(.error(code, text))
    // Whether it arrives is the stranger's concern.
    _ = send(
      parcel, chunk: 0..<parcel.byteCount, to: peer, session: session, sequence: 0)
  }

  fileprivate func send(
    _ parcel: Parcel, chunk: Range<Int>, to peer: PeerID,
    session: Session?, sequence: UInt64
  ) -> Delivery {
    let header = FrameHeader(
      subject: parcel.subject, payloadKind: parcel.payloadKind, run: session?.run ?? .none,
      term: session?.term ?? 0, sequence: sequence, totalBytes: parcel.byteCount,
      chunkBytes: chunk.count, chunkOffset: chunk.lowerBound)
    return send(to: peer, byteCount: FrameHeader.byteCount + chunk.count) { frame in
      parcel.withChunk(at: chunk.lowerBound, count: chunk.count) {
        header.encode(chunk: $0, into: frame)
      }
    }
  }
}
