import CZeroMQ
import Cluster
import Foundation
import Synchronization

/// Bytes that went through one peer's socket, in both directions.
struct Traffic {
  var sent = 0
  var received = 0

  static func - (a: Traffic, b: Traffic) -> Traffic {
    Traffic(sent: a.sent - b.sent, received: a.received - b.received)
  }

  static func / (a: Traffic, parts: Int) -> Traffic {
    Traffic(sent: a.sent / parts, received: a.received / parts)
  }
}

/// Counts on the socket's thread, is read on another.
final class TrafficMeter: Sendable {
  private let sent = Atomic<Int>(0)
  private let received = Atomic<Int>(0)

  func countSent(_ bytes: Int) { sent.add(bytes, ordering: .relaxed) }
  func countReceived(_ bytes: Int) { received.add(bytes, ordering: .relaxed) }

  var traffic: Traffic {
    Traffic(sent: sent.load(ordering: .relaxed), received: received.load(ordering: .relaxed))
  }
}

/// Another transport, with a meter at every link.
struct MeteredTransport: Transport {
  private let transport: any Transport
  private let meter: TrafficMeter

  init(_ transport: any Transport, _ meter: TrafficMeter) {
    self.transport = transport
    self.meter = meter
  }

  var admitted: AllowList? { transport.admitted }

  func connecting(to key: PublicKey) -> any Transport {
    MeteredTransport(transport.connecting(to: key), meter)
  }

  func listen(at address: String) throws(ClusterError) -> any Link {
    MeteredLink(try transport.listen(at: address), meter)
  }

  func connect(to address: String) throws(ClusterError) -> any Link {
    MeteredLink(try transport.connect(to: address), meter)
  }
}

private final class MeteredLink: Link {
  private let link: any Link
  private let meter: TrafficMeter

  init(_ link: any Link, _ meter: TrafficMeter) {
    self.link = link
    self.meter = meter
  }

  var address: String { link.address }
  var waker: Waker { link.waker }
  var sender: String? { link.sender }

  func send(
    to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Delivery {
    let delivery = link.send(to: peer, byteCount: byteCount, write: write)
    if delivery == .sent { meter.countSent(byteCount) }
    return delivery
  }

  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    link.receive { peer, frame in
      meter.countReceived(frame.byteCount)
      body(peer, frame)
    }
  }

  func isAllowed(_ sender: String) -> Bool { link.isAllowed(sender) }
  // What nobody takes keeps the link awake.
  func takeProblems() -> [AccessProblem] { link.takeProblems() }

  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant) {
    link.wait(forMessages: forMessages, until: deadline)
  }

  func close(linger: Duration) { link.close(linger: linger) }
}

/// How fast plain ZeroMQ moves messages of 1 MiB from one thread to another over loopback.
enum LoopbackRate {
  private static let messageBytes = 1 << 20
  private static let messages = 256

  /// - Returns: bytes a second, the best of three runs
  static func measure() throws -> Double {
    try (0..<3).map { _ in try measureOnce() }.max() ?? .nan
  }

  private static func measureOnce() throws -> Double {
    let context = zmq_ctx_new()
    defer { zmq_ctx_term(context) }
    let pull = zmq_socket(context, ZMQ_PULL)
    defer { zmq_close(pull) }
    var (text, size) = ([CChar](repeating: 0, count: 256), 256)
    guard zmq_bind(pull, "tcp://127.0.0.1:*") == 0,
      zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, &text, &size) == 0
    else {
      throw ClusterError(
        .unavailable, attempt: "listen", place: "tcp://127.0.0.1",
        detail: String(cString: zmq_strerror(zmq_errno())))
    }
    let sender = Sender(
      address: String(decoding: text.prefix(size - 1).map(UInt8.init), as: UTF8.self))
    defer { sender.join() }
    var buffer = [UInt8](repeating: 0, count: messageBytes)
    func receive(_ count: Int) throws {
      for _ in 0..<count {
        guard zmq_recv(pull, &buffer, messageBytes, 0) == messageBytes else {
          throw ClusterError(
            .system, attempt: "receive", place: "loopback",
            detail: String(cString: zmq_strerror(zmq_errno())))
        }
      }
    }
    // The first says that the connection stands.
    try receive(1)
    let seconds = try ContinuousClock().measure { try receive(messages) } / .seconds(1)
    return Double(messages * messageBytes) / seconds
  }

  /// Sends one message more than are timed.
  private final class Sender: Sendable {
    private let ended = DispatchSemaphore(value: 0)

    init(address: String) {
      let ended = ended
      Thread.detachNewThread {
        let context = zmq_ctx_new()
        let push = zmq_socket(context, ZMQ_PUSH)
        zmq_connect(push, address)
        let message = [UInt8](repeating: 1, count: messageBytes)
        for _ in 0...messages { _ = zmq_send(push, message, messageBytes, 0) }
        zmq_close(push)
        zmq_ctx_term(context)
        ended.signal()
      }
    }

    func join() { ended.wait() }
  }
}
