import Cluster
import Foundation
import Synchronization
import Testing

/// What strangers and broken peers send: refused, counted, survived.
@Suite(.serialized) struct HostilePeerTests {
  /// A bare link to the coordinator, and whatever error the coordinator answers with.
  final class Stranger {
    let link: any Link

    init(_ stage: Stage) throws {
      link = try stage.transport.connect(to: stage.coordinator.address)
    }

    deinit { link.close(linger: .zero) }

    func send(_ bytes: [UInt8]) {
      while link.send(bytes) != .sent { Thread.sleep(forTimeInterval: 0.001) }
    }

    /// The code of the next error frame; other frames are skipped.
    func nextError() -> ErrorCode? {
      let deadline = ContinuousClock.now + .seconds(60)
      var code: ErrorCode?
      while code == nil, ContinuousClock.now < deadline {
        link.wait(forMessages: true, until: deadline)
        _ = link.receive { _, bytes in
          let header = try? FrameHeader(decoding: bytes)
          if let subject = header?.subject, subject.kind == .error {
            code = ErrorCode(rawValue: UInt32(subject.tag))
          }
        }
      }
      return code
    }
  }

  static let partial = Message.partial(
    Partial(step: 1, node: 0..<1, values: [1, 2], parametersHash: 0))

  @Test("a stranger's nonsense is refused, answered and counted", arguments: Wire.allCases)
  func strangers(wire: Wire) throws {
    let stage = try Stage(wire, settings: EndpointSettings(largestVector: 2))
    let hello = Message.hello(someHello)
    var otherVersion = frame(hello)
    otherVersion[4] += 1
    var damaged = frame(hello)
    damaged[100] ^= 1
    let cases: [([UInt8], Defect.Kind, ErrorCode)] = [
      ([], .size, .malformed),
      ([1, 2, 3], .size, .malformed),
      ([UInt8](repeating: 7, count: 1000), .magic, .malformed),
      (otherVersion, .version, .version),
      (damaged, .checksum, .malformed),
      (frame(Self.partial), .notJoined, .notJoined),
      (frame(hello) { $0.totalBytes = 1 << 50 }, .notJoined, .notJoined),
      (frame(hello) { $0.subject.kind = .refuse }, .notJoined, .notJoined),
      (frame(hello, run: RunID(first: 1, second: 1)), .foreignRun, .stale),
      (frame(hello, run: stage.run, term: 9), .staleTerm, .stale),
      (frame(.drain) { $0.subject.kind = .hello }, .payload, .malformed),
    ]
    for (bytes, kind, code) in cases {
      let stranger = try Stranger(stage)
      stranger.send(bytes)
      #expect(stranger.nextError() == code)
      #expect(stage.coordinator.defects[kind] >= 1, "\(kind)")
    }
    #expect(stage.coordinator.defects.total == cases.count)
    // And the endpoint goes on.
    let (worker, _) = try stage.join(EndpointSettings())
    try worker.send(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)
  }

  @Test(
    "a joined peer's nonsense is refused and counted, and the peer stays", arguments: Wire.allCases)
  func members(wire: Wire) throws {
    let stage = try Stage(wire, settings: EndpointSettings(largestVector: 2))
    let peer = try Stranger(stage)
    var sequence: UInt64 = 0
    func say(_ message: Message, change: (inout FrameHeader) -> Void = { _ in }) {
      sequence += 1
      peer.send(frame(message, run: stage.run, term: 1, sequence: sequence, change: change))
    }
    say(.hello(someHello))
    let half: (inout FrameHeader) -> Void = { $0.totalBytes = 8 }
    let one = Message.partial(Partial(step: 1, node: 0..<1, values: [1], parametersHash: 0))

    // These do not count as heard, so their numbers are free.
    say(.drain) { $0.term = 2 }
    #expect(peer.nextError() == .stale)
    sequence -= 1
    say(.drain) { $0.run = .none }
    #expect(peer.nextError() == .stale)
    sequence -= 1
    say(.drain) { $0.subject.kind = .welcome }
    #expect(peer.nextError() == .malformed)
    say(.drain) { $0.subject.kind = .partial }
    #expect(peer.nextError() == .malformed)
    say(one) { $0.totalBytes = 12 }
    #expect(peer.nextError() == .tooLarge)
    say(one) { ($0.totalBytes, $0.chunkOffset) = (8, 4) }  // the second chunk without the first
    #expect(peer.nextError() == .malformed)
    say(one, change: half)
    say(one, change: half)  // the first chunk twice
    #expect(peer.nextError() == .malformed)
    say(.hello(someHello))
    sequence -= 1
    say(.drain)  // a number that was used
    say(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)

    let defects = stage.coordinator.defects
    #expect(defects[.staleTerm] == 1 && defects[.foreignRun] == 1 && defects[.direction] == 1)
    #expect(defects[.payload] == 1 && defects[.tooLarge] == 1 && defects[.chunkOrder] == 2)
    #expect(defects[.duplicate] == 2 && defects[.gap] == 0)
    #expect(try stage.coordinator.nextEvent(timeout: .zero) != .message(.coordinator, .drain))
  }

  @Test(
    "after a frame that is missing the peer is lost, told so, and may join under another name",
    arguments: Wire.allCases)
  func gap(wire: Wire) throws {
    let stage = try Stage(wire, settings: EndpointSettings(largestVector: 2))
    let peer = try Stranger(stage)
    peer.send(frame(.hello(someHello), run: stage.run, term: 1, sequence: 1))
    peer.send(frame(.drain, run: stage.run, term: 1, sequence: 3))
    #expect(peer.nextError() == .notJoined)
    #expect(try stage.coordinator.expectLoss().1 == .incomplete)
    peer.send(frame(.drain, run: stage.run, term: 1, sequence: 4))
    #expect(peer.nextError() == .notJoined)
    peer.send(frame(.hello(someHello), run: stage.run, term: 1, sequence: 1))
    #expect(peer.nextError() == .notJoined)
    let again = try Stranger(stage)
    again.send(frame(.hello(someHello), run: stage.run, term: 1, sequence: 1))
    again.send(frame(.drain, run: stage.run, term: 1, sequence: 2))
    #expect(try stage.coordinator.expectMessage() == .drain)
    #expect(stage.coordinator.defects[.gap] == 1)
  }

  @Test("damage, loss and repetition on the way never get through", arguments: 0..<10)
  func chaos(seed: UInt64) throws {
    var settings = EndpointSettings(largestVector: 1000)
    settings.chunkBytes = 256
    settings.silence = .seconds(3600)
    let stage = try Stage(.inProcess, settings: settings) { ChaosTransport($0, seed: seed) }
    let values = { @Sendable (step: Int) in (0..<1000).map { Float(step * 1000 + $0) } }
    let sending = DispatchGroup()
    sending.enter()
    let agreed = settings
    Thread {
      // What is lost ends the conversation; the next begins where this one was noticed to end.
      var step = 1
      while step <= 200 {
        guard
          let worker = try? WorkerEndpoint(
            connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
            settings: agreed)
        else { break }
        do {
          while step <= 200 {
            try worker.send(
              .partial(
                Partial(
                  step: step, node: 0..<1, values: FloatVector(values(step)), parametersHash: 0)))
            step += 1
            if case .lost = try worker.receive(timeout: .milliseconds(5)) { break }
          }
        } catch {}
        worker.close()
      }
      sending.leave()
    }.start()
    var lastStep = 0
    var whole = 0
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      let event = try stage.coordinator.nextEvent(timeout: .milliseconds(100))
      if event == nil && sending.wait(timeout: .now()) == .success { break }
      guard case .message(_, .partial(let partial)) = event else { continue }
      // Each at most once, in order, and right.
      #expect(partial.step > lastStep)
      lastStep = partial.step
      whole += 1
      #expect(partial.values.array == values(partial.step))
    }
    #expect(whole > 20 && sending.wait(timeout: .now()) == .success)
    let defects = stage.coordinator.defects
    #expect(defects[.duplicate] > 0 && defects[.gap] > 0 && defects[.checksum] > 0, "\(defects)")
  }

  @Test("raw bytes on the TCP port, and ZMTP that claims too much, do no harm")
  func rawTCP() throws {
    let stage = try Stage(.zeroMQ, settings: EndpointSettings(largestVector: 2))
    let port = try #require(UInt16(stage.coordinator.address.split(separator: ":").last!))
    var generator = Seeded(8)
    for _ in 0..<50 {
      let raw = RawConnection(port: port)
      let count = Int.random(in: 1...4096, using: &generator)
      raw.send((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
    let claim = RawConnection(port: port)
    claim.sayHandshake()
    claim.send([0x02, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])  // 2^60 bytes will follow
    #expect(claim.isClosedByPeer())

    let parts = RawConnection(port: port)
    parts.sayHandshake()
    parts.send([0x01, 1, 65, 0x00, 1, 66])  // a message of two parts
    try stage.coordinator.expectRejection(.parts)

    let (worker, _) = try stage.join(EndpointSettings())
    try worker.send(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)
  }

  @Test("a worker counts a coordinator's nonsense and goes on", arguments: Wire.allCases)
  func nonsenseToWorker(wire: Wire) throws {
    let (transport, address) = wire.make()
    let link = try transport.listen(at: address)
    defer { link.close(linger: .zero) }
    let linkAddress = link.address
    let finished = Guardian()
    let worker = Box<WorkerEndpoint>()
    Thread {
      worker.value = try? WorkerEndpoint(
        connectingTo: linkAddress, over: transport, hello: someHello, timeout: .seconds(60))
      finished.finish(nil)
    }.start()
    var peer: PeerID?
    while peer == nil {
      link.wait(forMessages: true, until: .now + .seconds(60))
      _ = link.receive { from, _ in peer = from }
    }
    func say(_ bytes: [UInt8]) {
      while link.send(to: peer!, byteCount: bytes.count, write: { $0.copyBytes(from: bytes) })
        != .sent
      { Thread.sleep(forTimeInterval: 0.001) }
    }
    let run = RunID.random()
    say([1, 2, 3])
    say(frame(.heartbeat(.none), run: run, term: 4, sequence: 1))
    _ = finished.wait()
    let endpoint = try #require(worker.value)
    say(frame(.drain, run: run, term: 3, sequence: 2))
    say(frame(Self.partial, run: run, term: 4, sequence: 2))
    say(frame(.ready(proofHash: 1), run: run, term: 4, sequence: 3))
    say(frame(.bye, run: run, term: 4, sequence: 4))
    #expect(try endpoint.expectMessage() == .bye)
    let defects = endpoint.defects
    #expect(defects[.size] == 1 && defects[.staleTerm] == 1 && defects[.tooLarge] == 1)
    #expect(defects[.direction] == 1 && defects.total == 4, "\(defects)")
    var other = frame(.drain, run: run, term: 4, sequence: 5)
    other[4] = 99
    say(other)
    guard case .refused(.version, let text) = try endpoint.expectLoss() else {
      Issue.record("another version was not noticed")
      return
    }
    #expect(text.contains("protocol 99"))
  }
}

final class Box<Value>: @unchecked Sendable {
  var value: Value?
}

/// Damages, drops and repeats what workers send after their hello.
final class ChaosTransport: Transport {
  let base: any Transport
  let seed: UInt64
  private let links = Mutex<UInt64>(0)

  init(_ base: any Transport, seed: UInt64) {
    self.base = base
    self.seed = seed
  }

  func listen(at address: String) throws(ClusterError) -> any Link { try base.listen(at: address) }

  func connect(to address: String) throws(ClusterError) -> any Link {
    let link = links.withLock { count in
      count += 1
      return count
    }
    return ChaosLink(try base.connect(to: address), seed: seed &* 1000 &+ link)
  }
}

final class ChaosLink: Link {
  private let base: any Link
  private var generator: Seeded
  private var sent = 0

  init(_ base: any Link, seed: UInt64) {
    self.base = base
    generator = Seeded(seed)
  }

  var address: String { base.address }
  var waker: Waker { base.waker }

  func send(
    to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Delivery {
    var frame = [UInt8](repeating: 0, count: byteCount)
    frame.withUnsafeMutableBytes(write)
    let dice = sent == 0 ? 99 : Int.random(in: 0..<100, using: &generator)
    if dice == 0 { return .sent }  // lost
    if dice == 1 { frame[Int.random(in: 6..<byteCount, using: &generator)] ^= 0x10 }
    let delivery = base.send(to: peer, byteCount: byteCount) { $0.copyBytes(from: frame) }
    guard delivery == .sent else { return delivery }
    sent += 1
    if dice == 2 { _ = base.send(to: peer, byteCount: byteCount) { $0.copyBytes(from: frame) } }
    return .sent
  }

  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception { base.receive(body) }

  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant) {
    base.wait(forMessages: forMessages, until: deadline)
  }

  func close(linger: Duration) { base.close(linger: linger) }
}

/// A plain TCP client on loopback.
final class RawConnection {
  private let descriptor: Int32

  init(port: UInt16) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    precondition(status == 0, "nobody listens on port \(port)")
    var patience = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// ZMTP 3.0 with the NULL mechanism, as a DEALER.
  func sayHandshake() {
    send([0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 0] + Array("NULL".utf8))
    send([UInt8](repeating: 0, count: 16 + 1 + 31))
    let property = [11] + Array("Socket-Type".utf8) + [0, 0, 0, 6] + Array("DEALER".utf8)
    let ready: [UInt8] = [5] + Array("READY".utf8) + property
    send([0x04, UInt8(ready.count)] + ready)
  }

  /// Reads until the other side hangs up.
  func isClosedByPeer() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count == 0 || (count < 0 && errno == ECONNRESET) { return true }
      if count < 0 { return false }
    }
  }
}
