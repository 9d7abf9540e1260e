import CZeroMQ
import Glibc

/// A ROUTER or DEALER socket with what its thread waits for beside it: a signal from the compute thread, and
/// what becomes of connections.
final class ZeroMQLink: Link {
  let address: String
  let waker: Waker
  private var watch: ConnectionWatch?
  private var socket: ZeroMQSocket?
  private let isRouter: Bool
  private let signal: WakeSignal
  /// Only where connections are encrypted.
  private var gatekeeper: Gatekeeper?
  private(set) var sender: String?

  /// - Parameter signal: what also wakes whoever waits here
  init(
    address: String, socket: ZeroMQSocket, isRouter: Bool, watch: ConnectionWatch,
    signal: WakeSignal, gatekeeper: Gatekeeper?
  ) {
    self.address = address
    self.socket = socket
    self.isRouter = isRouter
    self.watch = watch
    self.signal = signal
    self.gatekeeper = gatekeeper
    waker = signal.waker
  }

  deinit { close(linger: .zero) }

  func send(
    to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Delivery {
    guard let socket else { return .unreachable }
    if isRouter {
      // Only the first part can be refused; for a peer that is slow the frame is not even written.
      let delivery = socket.send(byteCount: peer.bytes.count, moreFollow: true) {
        $0.copyBytes(from: peer.bytes)
      }
      guard delivery == .sent else { return delivery }
    } else if !socket.canSend {
      return .wouldBlock
    }
    return socket.send(byteCount: byteCount, moreFollow: false, write: write)
  }

  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    let reception = receivePart(body)
    guard case .nothing = reception, !isRouter, watch != nil else { return reception }
    if let obstacle = watch?.findObstacle(at: address) { return .obstructed(obstacle) }
    guard watch?.hasDisconnected == true else { return .nothing }
    // What arrived before the connection ended comes first.
    let last = receivePart(body)
    guard case .nothing = last else { return last }
    return .disconnected
  }

  func isAllowed(_ sender: String) -> Bool {
    guard let gatekeeper, let known = KnownKey(userID: sender) else { return true }
    return gatekeeper.allowed.name(of: known.key) != nil
  }

  func takeProblems() -> [AccessProblem] {
    (gatekeeper?.takeProblems() ?? []) + (watch?.takeProblems() ?? [])
  }

  private func receivePart(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    guard let socket else { return .nothing }
    var peer = PeerID.coordinator
    if isRouter {
      let more = socket.receive { bytes, _ in peer = PeerID(bytes: Array(bytes)) }
      guard let more else { return .nothing }
      guard more else { return .oddParts(peer) }
    }
    let more = socket.receive(withSender: gatekeeper != nil) { bytes, moreFollow, sender in
      self.sender = sender
      if !moreFollow { body(peer, bytes.bytes) }
    }
    guard let more else { return .nothing }
    guard !more else {
      socket.dropRest()
      return .oddParts(peer)
    }
    return .message
  }

  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant) {
    guard let socket else { return }
    let readable = Int16(ZMQ_POLLIN)
    var items = [zmq_pollitem_t(socket: nil, fd: signal.descriptor, events: readable, revents: 0)]
    // A worker's connection ends only after its messages; strangers knock whatever we do.
    if forMessages {
      items.append(zmq_pollitem_t(socket: socket.handle, fd: 0, events: readable, revents: 0))
    }
    if let watch, isRouter || forMessages && !watch.hasDisconnected {
      items.append(zmq_pollitem_t(socket: watch.handle, fd: 0, events: readable, revents: 0))
    }
    // Rounded up, so that the deadline has passed when the wait was for it; a wake-up too early (a
    // signal, say) only makes the caller look again.
    let left = deadline - .now
    let milliseconds = left <= .zero ? 0 : min(left, .seconds(60)) / .milliseconds(1)
    zmq_poll(&items, Int32(items.count), Int(milliseconds.rounded(.up)))
    if items[0].revents != 0 { signal.lower() }
  }

  func close(linger: Duration) {
    guard let closing = socket else { return }
    try? closing.set(ZMQ_LINGER, to: Int(linger / .milliseconds(1)))
    zmq_socket_monitor(closing.handle, nil, 0)
    watch = nil
    socket = nil
    // The last one: nobody may come in unasked.
    gatekeeper = nil
  }
}

/// A pipe whose reading end another thread can make readable. It lives as long as anybody may raise it.
final class WakeSignal: Sendable {
  let descriptor: Int32
  private let writingEnd: Int32

  init() throws(ClusterError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw ClusterError(
        .system, attempt: "make a pipe", place: "this machine",
        detail: String(cString: strerror(errno)))
    }
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    descriptor = ends[0]
    writingEnd = ends[1]
  }

  deinit {
    close(descriptor)
    close(writingEnd)
  }

  var waker: Waker { Waker { self.raise() } }

  func raise() {
    var byte: UInt8 = 1
    write(writingEnd, &byte, 1)  // a full pipe is readable too
  }

  func lower() {
    var bytes = [UInt8](repeating: 0, count: 256)
    while read(descriptor, &bytes, bytes.count) == bytes.count {}
  }
}
