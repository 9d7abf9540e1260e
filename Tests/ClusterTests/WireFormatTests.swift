import Cluster
import Testing

@Suite struct WireFormatTests {
  static let messages: [Message] = [
    .hello(someHello),
    .welcome(
      Welcome(
        configuration: "a: 1\nb: ü\n", storeFingerprint: "abc", more: ["": "", "k": "v\0=\n"])),
    .refuse(reason: "the store's features were made with another hop"),
    .ready(proofHash: .max),
    .parameters(Parameters(step: 12, values: [1, -0.0, .infinity])),
    .compute(Compute(step: 9, epoch: 1, stepInEpoch: 2, lanes: 3..<8, clipsInStep: 128)),
    .partial(Partial(step: 9, node: 4..<8, values: [], parametersHash: 77)),
    .listening("tcp://[::1]:5"),
    .plan(
      Plan(
        version: 3, index: 1,
        owners: [
          Plan.Owner("a", key: PublicKey(bytes: Array(0..<32))), Plan.Owner(""), Plan.Owner("ü"),
        ])),
    .linked(version: 3, reached: true), .linked(version: 4, reached: false),
    .slice(Slice(step: 8, index: 2, values: [1, -0.0], hash: 5)), .gather(step: 8),
    .need(step: 8),
    .fetch(Fetch(ticket: 4, part: 9, offset: 131_072, count: 131_072, isAhead: true)),
    .fetch(Fetch(ticket: .max, part: 0, offset: 0, count: 1)),
    .piece(Piece(ticket: 4, partBytes: 262_272, bytes: [1, 2, 3])),
    .piece(Piece(ticket: 4, refusal: "ü")),
    .timing(
      Timing(step: 9, lanes: 3..<8, elapsed: .seconds(2), waited: .nanoseconds(1_234_567))),
    .timing(Timing(step: 9, lanes: 3..<4, elapsed: .zero, waited: .zero, hash: .max)),
    .compute(
      Compute(
        step: 0, epoch: 0, stepInEpoch: 0, lanes: 3..<4, clipsInStep: 1, isAudited: true)),
    .spans([]),
    .spans([
      WorkSpan(
        .lane, step: 9, range: 7..<8, clips: 16, start: .seconds(3), length: .nanoseconds(1)),
      WorkSpan(.departure, step: 0, range: 0..<0, start: .zero),
    ]),
    .notFinite(NotFinite(step: 9, lane: 7, what: "the gradient of a is nan")),
    .evaluate(Evaluate(job: 3, split: "validation", clips: 100..<11_774)),
    .scores(Scores(job: 3, clips: 0..<1, values: [0.5], parametersHash: .max)),
    .heartbeat(Progress(step: 4, done: 1, total: 16)),
    .heartbeat(
      .none, ClockStamps(sent: .seconds(9), echo: .nanoseconds(1), held: .milliseconds(7))),
    .drain, .bye, .error(.malformed, "what?"), .error(ErrorCode(rawValue: 1234), ""),
  ]

  /// What the frame's bytes say, all in one chunk.
  static func decode(_ bytes: [UInt8]) throws(Defect) -> (FrameHeader, Message) {
    let header = try FrameHeader(decoding: bytes.span.bytes)
    let chunk = Array(bytes[FrameHeader.byteCount...])
    let payload: Parcel.Payload =
      switch header.payloadKind {
      case .bytes: .bytes(chunk)
      case .floats:
        .floats(
          FloatVector(
            chunk.withUnsafeBytes { chunk in
              (0..<chunk.count / 4).map {
                chunk.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
              }
            }))
      case .place, .narrow: throw Defect(.payload, "not as an array")
      }
    return (header, try Parcel(subject: header.subject, payload: payload).message())
  }

  @Test("every message comes back as it was sent", arguments: messages)
  func roundTrip(message: Message) throws {
    let run = RunID.random()
    let (header, decoded) = try Self.decode(frame(message, run: run, term: 5, sequence: 42))
    #expect(decoded == message)
    #expect(header.run == run && header.term == 5 && header.sequence == 42)
  }

  @Test("any one changed, missing or added byte is noticed", arguments: messages)
  func damage(message: Message) {
    let good = frame(message, run: .random(), term: 1)
    for position in good.indices {
      var bad = good
      bad[position] ^= UInt8.random(in: 1...255)
      #expect(throws: Defect.self) { try Self.decode(bad) }
      #expect(throws: Defect.self) { try Self.decode(Array(good[..<position])) }
    }
    #expect(throws: Defect.self) { try Self.decode(good + [0]) }
  }

  @Test("headers that lie in spite of a right checksum are refused")
  func lies() throws {
    let partial = Message.partial(
      Partial(step: 1, node: 0..<2, values: [1, 2], parametersHash: 0))
    func defect(_ change: (inout FrameHeader) -> Void) -> Defect.Kind? {
      do throws(Defect) {
        _ = try FrameHeader(decoding: frame(partial, change: change).span.bytes)
        return nil
      } catch {
        return error.kind
      }
    }
    #expect(defect { _ in } == nil)
    #expect(defect { $0.totalBytes = 4 } == .header)
    #expect(defect { $0.totalBytes = 1 << 40 } == nil)  // the conversation's bound refuses it
    #expect(defect { $0.totalBytes = 10 } == .header)
    #expect(defect { $0.chunkOffset = 1 << 40 } == .header)
    #expect(defect { ($0.chunkOffset, $0.totalBytes) = (2, 12) } == .header)
    #expect(defect { ($0.chunkOffset, $0.totalBytes) = (.max, .max) } == .header)
  }

  @Test("payloads that are no such message are refused")
  func payloads() {
    let kinds = MessageKind.allCases
    for kind in kinds {
      let wantsFloats = [.parameters, .partial, .scores, .slice].contains(kind)
      let wrong = Parcel(
        subject: Subject(kind: kind), payload: wantsFloats ? .bytes([]) : .floats([1]))
      #expect(throws: Defect.self) { try wrong.message() }
    }
    // Steps are counted from 1 where people read them.
    let last = WorkSpan(.lane, step: .max, range: 0..<1, start: .zero)
    #expect(throws: Defect.self) { try Parcel(.spans([last])).message() }
    var generator = Seeded(3)
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...64, using: &generator)
      // Small numbers, so that lengths are often nearly right.
      let bytes = (0..<count).map { _ in
        UInt8.random(in: 0...(Bool.random(using: &generator) ? 255 : 3), using: &generator)
      }
      let parcel = Parcel(
        subject: Subject(kind: kinds.randomElement(using: &generator)!), payload: .bytes(bytes))
      if let message = try? parcel.message(), bytes.count > 0 {
        // What is understood is understood in full.
        #expect(Parcel(message).byteCount == bytes.count)
      }
    }
  }

  @Test("random bytes are never a frame")
  func garbage() {
    var generator = Seeded(1)
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...300, using: &generator)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(throws: Defect.self) { try FrameHeader(decoding: bytes.span.bytes) }
    }
  }

  @Test("a run's name is 32 digits and reads back")
  func runNames() {
    for run in [.none, .random(), RunID(first: 1, second: .max)] {
      #expect(run.description.count == 32)
      #expect(RunID(run.description) == run)
    }
    for text in ["", "xyz", String(repeating: "g", count: 32), String(repeating: "+", count: 32)] {
      #expect(RunID(text) == nil)
    }
  }
}
