import CXXHash
import Cluster

extension Target {
  /// What a peer sends: frames one after the other, each beginning with the magic.
  static let frames = Target(
    name: "frames", longest: 4096, words: [magic, magic + "\u{1}\0"],
    seeds: {
      let vector = (0..<300).map { Float($0) }
      let parameters = Parcel(.parameters(Parameters(step: 1, values: FloatVector(vector))))
      let chunks = stride(from: 0, to: parameters.byteCount, by: 400).map { $0..<$0 + 400 }
      return [
        messages.enumerated().flatMap { frame(Parcel($1), sequence: UInt64($0 + 1)) },
        chunks.enumerated().flatMap { frame(parameters, chunk: $1, sequence: UInt64($0 + 1)) },
      ] + messages.map { frame(Parcel($0), sequence: 1) }
    },
    repair: { frames(in: $0).flatMap(sealed) },
    read: { bytes in
      let settings = EndpointSettings(largestVector: 1024)
      let conversation = Conversation(
        with: PeerID(bytes: [1, 2, 3]), settings: settings, session: nil)
      var defect: Defect?
      for frame in frames(in: bytes) where !frame.isEmpty {
        do throws(Defect) {
          if let parcel = try conversation.receive(frame.span.bytes) { try check(parcel) }
        } catch {
          defect = error
        }
      }
      if let defect { throw defect }
    })

  /// A message means the same when it is sent on; NaNs are why bytes are compared.
  private static func check(_ parcel: Parcel) throws(Defect) {
    let first = Parcel(try parcel.message())
    expect(first.byteCount == parcel.byteCount, "\(parcel.subject) changed its size")
    let second = Parcel(try first.message())
    expect(frame(first, sequence: 1) == frame(second, sequence: 1), "\(parcel.subject)")
  }

  private static let magic = "TUTI"

  private static func narrow(_ type: WireType) -> FloatVector {
    FloatVector(NarrowVector([1, -0.0, .infinity].span, as: WireFormat(type, narrowCount: 2)))
  }

  private static let messages: [Message] = [
    .hello(
      Hello(
        build: "1.0", host: "bassoon", processID: 4711, threads: 2, processor: "a processor",
        more: ["note": "größer", "": ""])),
    .welcome(Welcome(configuration: "a: 1\n", storeFingerprint: "abc", more: ["k": "v"])),
    .refuse(reason: "no"), .ready(proofHash: .max),
    .parameters(Parameters(step: 12, values: [1, -0.0, .infinity])),
    .compute(Compute(step: 9, epoch: 1, stepInEpoch: 2, lanes: 3..<8, clipsInStep: 128)),
    .partial(Partial(step: 9, node: 4..<8, values: [], parametersHash: 77)),
    .partial(Partial(step: 9, node: 4..<5, values: narrow(.bf16), parametersHash: 77)),
    .partial(Partial(step: 9, node: 4..<5, values: narrow(.fp16), parametersHash: 77)),
    .evaluate(Evaluate(job: 3, split: "validation", clips: 100..<11_774)),
    .timing(Timing(step: 9, lanes: 0..<2, elapsed: .milliseconds(7), waited: .zero)),
    .scores(Scores(job: 3, clips: 0..<1, values: [0.5], parametersHash: 77)),
    .spans([WorkSpan(.lane, step: 9, range: 2..<3, clips: 16, start: .seconds(9), length: .zero)]),
    .listening("tcp://10.0.0.7:5"),
    .plan(
      Plan(
        version: 3, index: 1,
        owners: [
          Plan.Owner("a", key: PublicKey(bytes: [UInt8](repeating: 7, count: 32))), Plan.Owner(""),
        ])),
    .linked(version: 3, reached: true), .gather(step: 8), .need(step: 8),
    .fetch(Fetch(ticket: 4, part: 9, offset: 131_072, count: 131_072, isAhead: true)),
    .piece(Piece(ticket: 4, partBytes: 262_272, bytes: [1, 2, 3])),
    .piece(Piece(ticket: 4, refusal: "there is no such part")),
    .slice(Slice(step: 8, index: 2, values: [1, -0.0], hash: 5)),
    .heartbeat(
      Progress(step: 4, done: 1, total: 16),
      ClockStamps(sent: .seconds(9), echo: .seconds(8), held: .milliseconds(7))),
    .drain, .bye, .error(.malformed, "what?"),
  ]

  static func timingOfAges() -> [UInt8] {
    let longest = [UInt8](repeating: 0xFF, count: 7) + [0x7F]
    let parcel = Parcel(subject: Subject(kind: .timing), payload: .bytes(longest + longest))
    return frame(parcel, sequence: 1)
  }

  private static func frame(
    _ parcel: Parcel, chunk: Range<Int>? = nil, sequence: UInt64
  ) -> [UInt8] {
    let chunk = chunk ?? 0..<parcel.byteCount
    let header = FrameHeader(
      subject: parcel.subject, payloadKind: parcel.payloadKind, run: RunID(first: 7, second: 9),
      term: 1, sequence: sequence, totalBytes: parcel.byteCount, chunkBytes: chunk.count,
      chunkOffset: chunk.lowerBound)
    var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount + chunk.count)
    bytes.withUnsafeMutableBytes { frame in
      parcel.withChunk(at: chunk.lowerBound, count: chunk.count) {
        header.encode(chunk: $0, into: frame)
      }
    }
    return bytes
  }

  /// The input cut before every magic.
  private static func frames(in bytes: [UInt8]) -> [[UInt8]] {
    let parts = pieces(of: bytes, cutBy: magic)
    return [Array(parts[0])] + parts.dropFirst().map { Array(magic.utf8) + $0 }
  }

  /// The frame with its own length and checksum in its header.
  private static func sealed(_ frame: [UInt8]) -> [UInt8] {
    guard frame.count >= FrameHeader.byteCount else { return frame }
    var frame = frame
    frame.withUnsafeMutableBytes { bytes in
      let payload = UnsafeRawBufferPointer(rebasing: bytes[FrameHeader.byteCount...])
      bytes.storeBytes(of: UInt32(payload.count).littleEndian, toByteOffset: 60, as: UInt32.self)
      let seed = xxh3(bytes.baseAddress, 80)
      let checksum = xxh3_with_seed(payload.baseAddress, payload.count, seed)
      bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 80, as: UInt64.self)
    }
    return frame
  }
}
