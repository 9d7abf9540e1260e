import CZeroMQ
import Glibc

/// What libzmq tells of a socket's connections.
///
/// It must be read: libzmq's thread waits when a thousand events are not.
struct ZeroMQMonitor {
  /// A step in a connection's life.
  enum Event {
    case accepted(descriptor: Int32)
    case handshakeSucceeded
    case handshakeFailed(Failure)
    case disconnected(descriptor: Int32)
  }

  enum Failure {
    /// The connection has ended, or the time was up.
    case interrupted
    /// One side encrypts, the other does not.
    case mechanism
    /// Something cannot be decrypted, or has come before.
    case decryption
    /// A side has said something that the protocol does not know.
    case nonsense
    /// The key is not allowed.
    case access
  }

  let socket: ZeroMQSocket

  init(_ context: ZeroMQContext, watching watched: ZeroMQSocket) throws(ClusterError) {
    let name = "inproc://monitor-\(UInt(bitPattern: watched.handle))"
    let events =
      ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED
      | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
      | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
    guard zmq_socket_monitor(watched.handle, name, events) == 0 else {
      throw zeroMQError("monitor a socket", at: name)
    }
    socket = try ZeroMQSocket(context, type: ZMQ_PAIR)
    try socket.set(ZMQ_LINGER, to: 0)
    guard zmq_connect(socket.handle, name) == 0 else {
      throw zeroMQError("monitor a socket", at: name)
    }
  }

  /// The next event, if there is one.
  func next() -> Event? {
    while true {
      var (number, value): (Int32, Int32) = (0, 0)
      // Two parts: the event's number (16 bits) with its value (32), and this side's address.
      let more = socket.receive { bytes, _ in
        guard bytes.count >= 6 else { return }
        number = Int32(bytes.loadUnaligned(as: UInt16.self))
        value = bytes.loadUnaligned(fromByteOffset: 2, as: Int32.self)
      }
      guard let more else { return nil }
      if more { socket.dropRest() }
      if let event = Event(number, value) { return event }
    }
  }
}

extension ZeroMQMonitor.Event {
  init?(_ number: Int32, _ value: Int32) {
    switch number {
    case ZMQ_EVENT_ACCEPTED: self = .accepted(descriptor: value)
    case ZMQ_EVENT_DISCONNECTED: self = .disconnected(descriptor: value)
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: self = .handshakeSucceeded
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: self = .handshakeFailed(.interrupted)
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: self = .handshakeFailed(.access)
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      self = .handshakeFailed(ZeroMQMonitor.Failure(protocolError: value))
    default: return nil
    }
  }
}

extension ZeroMQMonitor.Failure {
  fileprivate init(protocolError: Int32) {
    switch protocolError {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: self = .mechanism
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC, ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE:
      self = .decryption
    default: self = .nonsense
    }
  }
}

/// The address of a connection's other end, as far as it still has one.
func peerAddress(ofDescriptor descriptor: Int32) -> String? {
  var address = sockaddr_storage()
  var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
  var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
  let failure = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      getpeername(descriptor, address, &size) != 0
        || getnameinfo(address, size, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) != 0
    }
  }
  guard !failure else { return nil }
  let text = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  return text.isEmpty ? nil : text
}
