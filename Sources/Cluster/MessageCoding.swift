/// A message's kind on the wire. Numbers are never used again for something else.
package enum MessageKind: UInt8, Sendable, CaseIterable {
  case hello = 1
  case welcome = 2
  case refuse = 3
  case ready = 4
  case parameters = 5
  case compute = 6
  case partial = 7
  case evaluate = 8
  case scores = 9
  case heartbeat = 10
  case drain = 11
  case bye = 12
  case error = 13
  case timing = 14
  case listening = 15
  case plan = 16
  case linked = 17
  case slice = 18
  case gather = 19
  case need = 20
  case notFinite = 21
  case fetch = 22
  case piece = 23
  case spans = 24

  var comesFromWorkers: Bool {
    switch self {
    case .welcome, .refuse, .parameters, .compute, .evaluate, .plan, .gather, .piece: false
    case .hello, .ready, .partial, .timing, .scores, .heartbeat, .drain, .bye, .error, .listening,
      .linked, .slice, .need, .notFinite, .fetch, .spans:
      true
    }
  }

  var comesFromCoordinator: Bool {
    switch self {
    case .hello, .ready, .partial, .timing, .scores, .listening, .linked, .need, .notFinite, .fetch,
      .spans:
      false
    case .welcome, .refuse, .parameters, .compute, .evaluate, .heartbeat, .drain, .bye, .error,
      .plan, .slice, .gather, .piece:
      true
    }
  }
}

/// A message on its way: what it is about, and a payload that frames carry in chunks. Copies share the
/// payload, so one vector goes to many peers from one place.
package struct Parcel: Equatable, Sendable {
  package enum Payload: Equatable, Sendable {
    case bytes([UInt8])
    case floats(FloatVector)
    /// Floats that lie in memory which sender and receiver share.
    case place(SharedVectors.Place)
  }

  /// Texts and numbers fit one frame.
  static let maximumText = FrameHeader.maximumPayload

  package let subject: Subject
  package let payload: Payload

  package init(subject: Subject, payload: Payload) {
    self.subject = subject
    self.payload = payload
  }

  package var payloadKind: FrameHeader.PayloadKind {
    switch payload {
    case .bytes: .bytes
    case .floats(let vector): vector.narrow == nil ? .floats : .narrow
    case .place: .place
    }
  }

  package var byteCount: Int {
    switch payload {
    case .bytes(let bytes): bytes.count
    case .floats(let values):
      values.narrow?.bytes.count ?? values.count * MemoryLayout<Float>.size
    case .place: 2 * MemoryLayout<Int64>.size
    }
  }

  /// What it counts against a bound: its bytes and a round figure for the rest.
  var weight: Int { byteCount + 4096 }

  package func withChunk<Result>(
    at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    func part(_ whole: UnsafeRawBufferPointer) -> Result {
      body(UnsafeRawBufferPointer(rebasing: whole[offset..<offset + count]))
    }
    switch payload {
    case .bytes(let bytes): return bytes.withUnsafeBytes(part)
    case .floats(let values):
      if let narrow = values.narrow { return narrow.bytes.withUnsafeBytes(part) }
      return values.withSpan { $0.withUnsafeBytes(part) }
    case .place(let place):
      var fields = FieldWriter()
      fields.write(place.slot)
      fields.write(place.count)
      return fields.bytes.withUnsafeBytes(part)
    }
  }
}

extension Parcel {
  /// Bytes that a payload may have where the largest vector has so many elements.
  static func limit(_ kind: FrameHeader.PayloadKind, largestVector: Int) -> Int {
    switch kind {
    case .bytes, .place: maximumText
    case .floats: largestVector * MemoryLayout<Float>.size
    case .narrow: largestVector * MemoryLayout<Float>.size + NarrowVector.overhead
    }
  }

  /// The same for a message that may be too large to send.
  ///
  /// - Throws: `ClusterError.tooLarge` beyond the largest vector or 1 MiB of text
  init(_ message: Message, within largestVector: Int, for place: String) throws(ClusterError) {
    self.init(message)
    let limit = Self.limit(payloadKind, largestVector: largestVector)
    guard byteCount <= limit else {
      throw ClusterError(
        .tooLarge, attempt: "send \(subject.kind)", place: place,
        detail: "it has \(byteCount) bytes, and \(limit) at most were agreed")
    }
  }

  package init(_ message: Message) {
    let subject: Subject
    var fields = FieldWriter()
    var values: FloatVector?
    switch message {
    case .hello(let hello):
      subject = Subject(kind: .hello)
      fields.write(hello.build)
      fields.write(hello.host)
      fields.write(hello.processID)
      fields.write(hello.threads)
      fields.write(hello.processor)
      fields.write(hello.more)
    case .welcome(let welcome):
      subject = Subject(kind: .welcome)
      fields.write(welcome.configuration)
      fields.write(welcome.storeFingerprint)
      fields.write(welcome.more)
    case .refuse(let reason):
      subject = Subject(kind: .refuse)
      fields.write(reason)
    case .ready(let proofHash):
      subject = Subject(kind: .ready, tag: proofHash)
    case .parameters(let parameters):
      subject = Subject(kind: .parameters, step: parameters.step)
      values = parameters.values
    case .compute(let order):
      subject = Subject(
        kind: .compute, step: order.step, range: order.lanes, tag: order.isAudited ? 1 : 0)
      fields.write(order.epoch)
      fields.write(order.stepInEpoch)
      fields.write(order.clipsInStep)
      fields.write(order.plan)
    case .partial(let partial):
      subject = Subject(
        kind: .partial, step: partial.step, range: partial.node, tag: partial.parametersHash)
      values = partial.values
    case .timing(let timing):
      subject = Subject(
        kind: .timing, step: timing.step, range: timing.lanes, tag: timing.hash)
      fields.write(timing.elapsed)
      fields.write(timing.waited)
    case .spans(let spans):
      subject = Subject(kind: .spans)
      for span in spans { fields.write(span) }
    case .notFinite(let found):
      subject = Subject(
        kind: .notFinite, step: found.step, range: found.lane..<found.lane + 1)
      fields.write(found.what)
    case .listening(let address):
      subject = Subject(kind: .listening)
      fields.write(address)
    case .plan(let plan):
      subject = Subject(kind: .plan, tag: plan.version)
      fields.write(plan.index)
      fields.write(UInt32(plan.owners.count))
      for owner in plan.owners {
        fields.write(owner.address)
        fields.write(owner.key?.text ?? "")
      }
    case .linked(let version, let reached):
      subject = Subject(kind: .linked, tag: version)
      fields.write(UInt8(reached ? 1 : 0))
    case .slice(let slice):
      subject = Subject(
        kind: .slice, step: slice.step, range: slice.index..<slice.index + 1, tag: slice.hash)
      values = slice.values
    case .gather(let step): subject = Subject(kind: .gather, step: step)
    case .need(let step): subject = Subject(kind: .need, step: step)
    case .fetch(let fetch):
      subject = Subject(kind: .fetch, tag: fetch.ticket)
      fetch.write(to: &fields)
    case .piece(let piece):
      subject = Subject(kind: .piece, tag: piece.ticket)
      piece.write(to: &fields)
    case .evaluate(let order):
      subject = Subject(kind: .evaluate, step: order.job, range: order.clips)
      fields.write(order.split)
    case .scores(let scores):
      subject = Subject(
        kind: .scores, step: scores.job, range: scores.clips, tag: scores.parametersHash)
      values = scores.values
    case .heartbeat(let progress, let stamps):
      subject = Subject(kind: .heartbeat, step: progress.step)
      fields.write(progress.done)
      fields.write(progress.total)
      for time in [stamps.sent, stamps.echo, stamps.held] { fields.write(time) }
    case .drain: subject = Subject(kind: .drain)
    case .bye: subject = Subject(kind: .bye)
    case .error(let code, let text):
      subject = Subject(kind: .error, tag: UInt64(code.rawValue))
      fields.write(text)
    }
    self.init(subject: subject, payload: values.map(Payload.floats) ?? .bytes(fields.bytes))
  }

  /// The message that was sent.
  package func message() throws(Defect) -> Message {
    switch payload {
    case .floats(let values): return try message(with: values)
    case .place: throw Defect(.payload, "\(subject.kind) in memory that is not shared")
    case .bytes(let bytes):
      var fields = FieldReader(bytes)
      let message = try message(from: &fields)
      try fields.finish()
      return message
    }
  }

  private func message(with values: FloatVector) throws(Defect) -> Message {
    switch subject.kind {
    case .parameters: .parameters(Parameters(step: subject.step, values: values))
    case .partial:
      .partial(
        Partial(
          step: subject.step, node: subject.range, values: values, parametersHash: subject.tag))
    case .scores:
      .scores(
        Scores(
          job: subject.step, clips: subject.range, values: values, parametersHash: subject.tag))
    case .slice:
      .slice(
        Slice(
          step: subject.step, index: subject.range.lowerBound, values: values, hash: subject.tag))
    default: throw Defect(.payload, "\(subject.kind) with floats")
    }
  }

  private func message(from fields: inout FieldReader) throws(Defect) -> Message {
    switch subject.kind {
    case .hello:
      return .hello(
        Hello(
          build: try fields.text(), host: try fields.text(), processID: try fields.count(),
          threads: try fields.count(), processor: try fields.text(), more: try fields.pairs()))
    case .welcome:
      return .welcome(
        Welcome(
          configuration: try fields.text(), storeFingerprint: try fields.text(),
          more: try fields.pairs()))
    case .refuse: return .refuse(reason: try fields.text())
    case .ready: return .ready(proofHash: subject.tag)
    case .compute:
      let (epoch, stepInEpoch) = (try fields.count(), try fields.count())
      let clips = try fields.count()
      return .compute(
        Compute(
          step: subject.step, epoch: epoch, stepInEpoch: stepInEpoch, lanes: subject.range,
          clipsInStep: clips, isAudited: subject.tag == 1, plan: try fields.integer()))
    case .timing:
      let elapsed = try fields.duration()
      return .timing(
        Timing(
          step: subject.step, lanes: subject.range, elapsed: elapsed,
          waited: try fields.duration(), hash: subject.tag))
    case .spans: return .spans(try fields.spans())
    case .notFinite:
      guard subject.range.count == 1 else {
        throw Defect(.payload, "\(subject.range.count) lanes for one")
      }
      return .notFinite(
        NotFinite(
          step: subject.step, lane: subject.range.lowerBound, what: try fields.text()))
    case .listening: return .listening(try fields.text())
    case .plan:
      let index = try fields.count()
      let count: UInt32 = try fields.integer()
      // The count is not believed: the loop ends with the bytes.
      var owners: [Plan.Owner] = []
      for _ in 0..<count {
        let (address, key) = (try fields.text(), try fields.text())
        guard key.isEmpty || PublicKey(key) != nil else {
          throw Defect(.payload, "a plan with \(key.utf8.count) bytes that are no key")
        }
        owners.append(Plan.Owner(address, key: PublicKey(key)))
      }
      return .plan(Plan(version: subject.tag, index: index, owners: owners))
    case .linked:
      let reached: UInt8 = try fields.integer()
      guard reached <= 1 else { throw Defect(.payload, "\(reached) where 0 or 1 is expected") }
      return .linked(version: subject.tag, reached: reached == 1)
    case .gather: return .gather(step: subject.step)
    case .need: return .need(step: subject.step)
    case .fetch: return .fetch(try Fetch(ticket: subject.tag, from: &fields))
    case .piece: return .piece(try Piece(ticket: subject.tag, from: &fields))
    case .evaluate:
      return .evaluate(
        Evaluate(job: subject.step, split: try fields.text(), clips: subject.range))
    case .heartbeat:
      let done = try fields.count()
      let progress = Progress(step: subject.step, done: done, total: try fields.count())
      let (sent, echo) = (try fields.duration(), try fields.duration())
      return .heartbeat(
        progress, ClockStamps(sent: sent, echo: echo, held: try fields.duration()))
    case .drain: return .drain
    case .bye: return .bye
    case .error:
      return .error(
        ErrorCode(rawValue: UInt32(truncatingIfNeeded: subject.tag)), try fields.text())
    case .parameters, .partial, .scores, .slice:
      throw Defect(.payload, "\(subject.kind) without floats")
    }
  }
}
