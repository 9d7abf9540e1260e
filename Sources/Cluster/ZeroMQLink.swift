import CZeroMQ
import Glibc

/// A ROUTER or DEALER socket with what its thread waits for beside it: a signal from the compute thread and,
/// at a worker, the news that the connection has ended.
final class ZeroMQLink: Link {
  let address: String
  let waker: Waker
  private var monitor: ZeroMQMonitor?
  private var socket: ZeroMQSocket?
  private let isRouter: Bool
  private let signal: WakeSignal
  private var hasDisconnected = false

  init(
    address: String, socket: ZeroMQSocket, monitor: ZeroMQMonitor?
  ) throws(ClusterError) {
    let signal = try WakeSignal()
    self.address = address
    self.signal = signal
    waker = Waker { signal.raise() }
    isRouter = monitor == nil
    self.monitor = monitor
    self.socket = socket
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
    guard case .nothing = reception, let monitor else { return reception }
    if !hasDisconnected {
      while let event = monitor.next() {
        if event == ZMQ_EVENT_DISCONNECTED { hasDisconnected = true }
      }
      guard hasDisconnected else { return .nothing }
    }
    // What arrived before the connection ended comes first.
    let last = receivePart(body)
    guard case .nothing = last else { return last }
    return .disconnected
  }

  private func receivePart(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    guard let socket else { return .nothing }
    var peer = PeerID.coordinator
    if isRouter {
      let more = socket.receive { bytes, _ in peer = PeerID(bytes: Array(bytes)) }
      guard let more else { return .nothing }
      guard more else { return .oddParts(peer) }
    }
    let more = socket.receive { bytes, moreFollow in
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
    if forMessages {
      items.append(zmq_pollitem_t(socket: socket.handle, fd: 0, events: readable, revents: 0))
      if !hasDisconnected, let handle = monitor?.socket.handle {
        items.append(zmq_pollitem_t(socket: handle, fd: 0, events: readable, revents: 0))
      }
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
    monitor = nil
    socket = nil
  }
}

/// What libzmq tells of a socket's connections.
struct ZeroMQMonitor {
  let socket: ZeroMQSocket

  init(
    _ context: ZeroMQContext, watching watched: ZeroMQSocket, events: Int32
  ) throws(ClusterError) {
    // Contexts are not shared, so the name can be the same in each.
    let name = "inproc://monitor"
    guard zmq_socket_monitor(watched.handle, name, events) == 0 else {
      throw zeroMQError("monitor a socket", at: name)
    }
    socket = try ZeroMQSocket(context, type: ZMQ_PAIR)
    try socket.set(ZMQ_LINGER, to: 0)
    guard zmq_connect(socket.handle, name) == 0 else {
      throw zeroMQError("monitor a socket", at: name)
    }
  }

  /// The next event's number, if there is one.
  func next() -> Int32? {
    var event: Int32?
    // Two parts: the event's number (16 bits) with its value, and the address.
    let more = socket.receive { bytes, _ in
      if bytes.count >= 2 { event = Int32(bytes.loadUnaligned(as: UInt16.self)) }
    }
    if more == true { socket.dropRest() }
    return event
  }
}

/// A pipe whose reading end another thread can make readable. It lives as long as anybody may raise it.
private final class WakeSignal: Sendable {
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

  func raise() {
    var byte: UInt8 = 1
    write(writingEnd, &byte, 1)  // a full pipe is readable too
  }

  func lower() {
    var bytes = [UInt8](repeating: 0, count: 256)
    while read(descriptor, &bytes, bytes.count) == bytes.count {}
  }
}
