import Glibc

/// The first 64 bytes of a ZeroMQ connection (ZMTP 3), exchanged by hand.
///
/// In them each side names how it authenticates. Where one encrypts and the other does not, libzmq hangs up as
/// soon as it has read that, often before its own words have left: one side then knows what is wrong, the
/// other has only seen somebody come and go. A worker whose handshake has failed exchanges greetings
/// once more, slowly, so that both sides know.
enum Greeting {
  private static let byteCount = 64
  private static let versionEnd = 12

  /// Says to the listener at `endpoint` how this side would authenticate. Takes a few hundred
  /// milliseconds, and less than two seconds whatever the listener does.
  ///
  /// - Returns: whether the listener encrypts; nil if it does not say
  static func exchange(encrypted: Bool, with endpoint: EndpointAddress) -> Bool? {
    guard let connection = connect(endpoint.resolved) else { return nil }
    defer { close(connection) }
    let own = bytes(mechanism: encrypted ? "CURVE" : "NULL")
    // It answers to the version with all that it has to say, and to the rest by hanging up.
    send(own[..<versionEnd], connection)
    var answer: [UInt8] = []
    let deadline = ContinuousClock.now + .seconds(1)
    while answer.count < byteCount, .now < deadline, let more = receive(connection) {
      answer += more
    }
    send(own[versionEnd...], connection)
    while .now < deadline, receive(connection) != nil {}
    switch answer.dropFirst(versionEnd).prefix(while: { $0 != 0 }) {
    case Array("CURVE".utf8)[...]: return true
    case Array("NULL".utf8)[...]: return false
    default: return nil
    }
  }

  private static func bytes(mechanism: String) -> [UInt8] {
    let head = [0xFF] + [UInt8](repeating: 0, count: 8) + [0x7F, 3, 0] + Array(mechanism.utf8)
    return head + [UInt8](repeating: 0, count: byteCount - head.count)
  }

  private static func send(_ bytes: ArraySlice<UInt8>, _ connection: Int32) {
    _ = bytes.withUnsafeBytes {
      Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// - Returns: nil if nothing comes
  private static func receive(_ connection: Int32) -> [UInt8]? {
    guard poll(connection, for: POLLIN) else { return nil }
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = recv(connection, &buffer, buffer.count, 0)
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }

  private static func connect(_ resolved: String) -> Int32? {
    guard resolved.hasPrefix("tcp://"), let colon = resolved.lastIndex(of: ":") else { return nil }
    let host = resolved.dropFirst(6).prefix(upTo: colon).filter { !"[]".contains($0) }
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let port = String(resolved[resolved.index(after: colon)...])
    guard getaddrinfo(host, port, &hints, &list) == 0, let first = list?.pointee else { return nil }
    defer { freeaddrinfo(list) }
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let connection = socket(first.ai_family, kind, 0)
    guard connection >= 0 else { return nil }
    let failed = Glibc.connect(connection, first.ai_addr, first.ai_addrlen) != 0
    guard !failed || errno == EINPROGRESS && poll(connection, for: POLLOUT) else {
      close(connection)
      return nil
    }
    return connection
  }

  private static func poll(_ descriptor: Int32, for event: Int32) -> Bool {
    var item = pollfd(fd: descriptor, events: Int16(event), revents: 0)
    return Glibc.poll(&item, 1, 300) == 1
  }
}
