import CMemory
import CZeroMQ
import Glibc

/// A ZeroMQ context with one I/O thread of libzmq's own. Ends after its last socket. Other than those it
/// may be used on any thread.
final class ZeroMQContext: @unchecked Sendable {
  let handle: UnsafeMutableRawPointer

  init() throws(ClusterError) {
    Self.keepFreedMemory
    guard let handle = zmq_ctx_new() else { throw zeroMQError("make a context", at: "ZeroMQ") }
    self.handle = handle
    // Three for each of as many connections as a coordinator takes peers; by default it would be 1023.
    zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, 4096)
  }

  /// libzmq allocates every message anew. Given back to the system each time, a megabyte costs several
  /// times what copying it does when its pages are cleared again.
  private static let keepFreedMemory: Void = keep_freed_memory()

  deinit {
    // Waits while what was sent lingers; a signal may interrupt that.
    while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
  }
}

/// One ZeroMQ socket, used on the thread that made it and closed with its owner.
final class ZeroMQSocket {
  let handle: UnsafeMutableRawPointer
  private let context: ZeroMQContext  // outlives the socket
  // libzmq may keep a short message's bytes inside these, so they stay where they are. Two, because who
  // looks at a message may answer it at once.
  private let incoming = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
  private let outgoing = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)

  init(_ context: ZeroMQContext, type: Int32) throws(ClusterError) {
    guard let handle = zmq_socket(context.handle, type) else {
      incoming.deallocate()
      outgoing.deallocate()
      throw zeroMQError("make a socket", at: "ZeroMQ")
    }
    self.handle = handle
    self.context = context
  }

  deinit {
    zmq_close(handle)
    incoming.deallocate()
    outgoing.deallocate()
  }

  func set(_ option: Int32, to value: Int) throws(ClusterError) {
    // One option is 64 bits wide, the others used here are 32.
    var wide = Int64(value)
    var narrow = Int32(truncatingIfNeeded: value)
    let status =
      option == ZMQ_MAXMSGSIZE
      ? zmq_setsockopt(handle, option, &wide, MemoryLayout<Int64>.size)
      : zmq_setsockopt(handle, option, &narrow, MemoryLayout<Int32>.size)
    guard status == 0 else { throw zeroMQError("set option \(option)", at: "a socket") }
  }

  func set(_ option: Int32, to bytes: [UInt8]) throws(ClusterError) {
    guard zmq_setsockopt(handle, option, bytes, bytes.count) == 0 else {
      throw zeroMQError("set option \(option)", at: "a socket")
    }
  }

  /// The address the system chose.
  var lastEndpoint: String {
    var text = [CChar](repeating: 0, count: 1024)
    var size = text.count
    guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &text, &size) == 0 else { return "" }
    return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  var canSend: Bool {
    var events: Int32 = 0
    var size = MemoryLayout<Int32>.size
    return zmq_getsockopt(handle, ZMQ_EVENTS, &events, &size) == 0 && events & ZMQ_POLLOUT != 0
  }

  /// Sends one part that `write` fills, without waiting.
  func send(
    byteCount: Int, moreFollow: Bool, write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Delivery {
    guard zmq_msg_init_size(outgoing, byteCount) == 0 else { return .wouldBlock }
    write(UnsafeMutableRawBufferPointer(start: zmq_msg_data(outgoing), count: byteCount))
    while zmq_msg_send(outgoing, handle, ZMQ_DONTWAIT | (moreFollow ? ZMQ_SNDMORE : 0)) < 0 {
      let failure = zmq_errno()
      if failure == EINTR { continue }
      zmq_msg_close(outgoing)
      return failure == EAGAIN ? .wouldBlock : .unreachable
    }
    return .sent
  }

  /// Gives the next part, and whether more parts of the same message follow, to `body`. Never waits.
  ///
  /// - Returns: whether more parts follow; nil if nothing was there
  func receive(_ body: (_ part: UnsafeRawBufferPointer, _ moreFollow: Bool) -> Void) -> Bool? {
    receive(withSender: false) { part, moreFollow, _ in body(part, moreFollow) }
  }

  /// The same, with the user of the sender's connection as a gatekeeper has named it.
  func receive(
    withSender: Bool,
    _ body: (_ part: UnsafeRawBufferPointer, _ moreFollow: Bool, _ sender: String?) -> Void
  ) -> Bool? {
    zmq_msg_init(incoming)
    defer { zmq_msg_close(incoming) }
    while zmq_msg_recv(incoming, handle, ZMQ_DONTWAIT) < 0 {
      guard zmq_errno() == EINTR else { return nil }
    }
    let more = zmq_msg_more(incoming) != 0
    let sender =
      withSender ? zmq_msg_gets(incoming, "User-Id").map { String(cString: $0) } : nil
    let part = UnsafeRawBufferPointer(start: zmq_msg_data(incoming), count: zmq_msg_size(incoming))
    body(part, more, sender)
    return more
  }

  /// Drops what is left of a message of several parts.
  func dropRest() {
    while receive({ _, _ in }) == true {}
  }
}

func zeroMQError(_ attempt: String, at place: String) -> ClusterError {
  let number = zmq_errno()
  let text = String(cString: zmq_strerror(number))
  switch number {
  case EADDRINUSE:
    return ClusterError(
      .unavailable, attempt: attempt, place: place,
      detail: "the port is in use; choose another, or 0 for any free one")
  case EADDRNOTAVAIL, ENODEV:
    return ClusterError(
      .unavailable, attempt: attempt, place: place,
      detail: "this machine has no such address; give one of its own, or * for all of them")
  case EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, EACCES, EPERM, ENOENT, ENOTDIR:
    return ClusterError(.unavailable, attempt: attempt, place: place, detail: text)
  default:
    return ClusterError(.system, attempt: attempt, place: place, detail: text)
  }
}
