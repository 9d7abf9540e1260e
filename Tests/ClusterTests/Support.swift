import Cluster
import Testing

/// A small reproducible generator (SplitMix64): a failing property test can be run again.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Floats over many magnitudes: their sum depends on the order.
func roughVector(_ count: Int, _ generator: inout Seeded) -> [Float] {
  (0..<count).map { _ in
    Float.random(in: -1...1, using: &generator)
      * Float(sign: .plus, exponent: .random(in: -20...20, using: &generator), significand: 1)
  }
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
func bits(_ values: FloatVector) -> [UInt32] { bits(values.array) }

/// Both conformers, so that a test is a sentence about either.
enum Wire: String, CaseIterable, CustomTestStringConvertible {
  case zeroMQ
  case inProcess

  var testDescription: String { rawValue }

  func make() -> (transport: any Transport, address: String) {
    switch self {
    case .zeroMQ: (ZeroMQTransport(), "tcp://127.0.0.1:0")
    case .inProcess: (InProcessTransport(), "*")
    }
  }
}

let someHello = Hello(
  build: "1.0", host: "bassoon", processID: 4711, threads: 2, processor: "a processor",
  more: ["note": "größer"])

/// A coordinator and what its workers need to find it.
struct Stage {
  let transport: any Transport
  let coordinator: CoordinatorEndpoint
  let run = RunID(first: 7, second: 9)

  init(
    _ wire: Wire, settings: EndpointSettings, term: UInt32 = 1, memory: CoordinatorMemory? = nil,
    over wrap: (any Transport) -> any Transport = { $0 }
  ) throws {
    let (transport, address) = wire.make()
    self.transport = wrap(transport)
    coordinator = try CoordinatorEndpoint(
      listeningAt: address, over: transport, run: run, term: term, settings: settings,
      memory: memory)
  }

  func connect(_ settings: EndpointSettings, hello: Hello = someHello) throws -> WorkerEndpoint {
    try WorkerEndpoint(
      connectingTo: coordinator.address, over: transport, hello: hello, settings: settings)
  }

  /// A worker that has joined, and the coordinator's name for it.
  func join(_ settings: EndpointSettings) throws -> (WorkerEndpoint, PeerID) {
    let worker = try connect(settings)
    let peer = try coordinator.expect { event in
      if case .joined(let peer, _) = event { peer } else { nil }
    }
    return (worker, peer)
  }
}

struct NothingCame: Error {}

extension CoordinatorEndpoint {
  /// The first event that `pick` takes; others before it are dropped.
  func expect<Result>(_ pick: (CoordinatorEvent) -> Result?) throws -> Result {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let event = try nextEvent(timeout: .seconds(60)), let result = pick(event) {
        return result
      }
    }
    throw NothingCame()
  }

  func expectMessage() throws -> Message {
    try expect { if case .message(_, let message) = $0 { message } else { nil } }
  }

  func expectLoss() throws -> (PeerID, LossReason) {
    try expect { if case .lost(let peer, let reason) = $0 { (peer, reason) } else { nil } }
  }

  func expectRejection(_ kind: Defect.Kind) throws {
    try expect { event -> Void? in
      if case .rejected(_, let defect) = event, defect.kind == kind { () } else { nil }
    }
  }
}

extension WorkerEndpoint {
  func expect<Result>(_ pick: (WorkerEvent) -> Result?) throws -> Result {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let event = try receive(timeout: .seconds(60)), let result = pick(event) { return result }
    }
    throw NothingCame()
  }

  func expectMessage() throws -> Message {
    try expect { if case .message(let message) = $0 { message } else { nil } }
  }

  func expectLoss() throws -> LossReason {
    try expect { if case .lost(let reason) = $0 { reason } else { nil } }
  }
}

/// A frame as an endpoint would write it, with `change` applied to the header before its checksum.
func frame(
  _ message: Message, run: RunID = .none, term: UInt32 = 0, sequence: UInt64 = 1,
  change: (inout FrameHeader) -> Void = { _ in }
) -> [UInt8] {
  let parcel = Parcel(message)
  var header = FrameHeader(
    subject: parcel.subject, payloadKind: parcel.payloadKind, run: run, term: term,
    sequence: sequence, totalBytes: parcel.byteCount, chunkBytes: parcel.byteCount, chunkOffset: 0)
  change(&header)
  var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount + parcel.byteCount)
  bytes.withUnsafeMutableBytes { bytes in
    parcel.withChunk(at: 0, count: parcel.byteCount) { header.encode(chunk: $0, into: bytes) }
  }
  return bytes
}

extension Link {
  func send(_ bytes: [UInt8]) -> Delivery {
    send(to: .coordinator, byteCount: bytes.count) { $0.copyBytes(from: bytes) }
  }
}
