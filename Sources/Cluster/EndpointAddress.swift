import Glibc

/// A ZeroMQ endpoint as a user writes it: `tcp://HOST:PORT` or `ipc://PATH`.
///
/// Hosts are resolved here rather than by libzmq, which would go on trying silently.
struct EndpointAddress: Equatable {
  enum Role {
    case listen
    case connect
  }

  /// What libzmq is given: numeric host and port, or a path.
  let resolved: String
  let isIPv6: Bool

  /// - Parameter text: to listen, HOST may be `*` (every interface) and PORT `*` or 0 (any free one)
  init(parsing text: String, for role: Role) throws(ClusterError) {
    func failure(_ detail: String) -> ClusterError {
      ClusterError(
        .unavailable, attempt: role == .listen ? "listen" : "connect", place: text, detail: detail)
    }
    if text.hasPrefix("ipc://") {
      // sockaddr_un holds 107 bytes
      guard (1...107).contains(text.utf8.count - 6) else {
        throw failure("an ipc path has 1 to 107 bytes")
      }
      resolved = text
      isIPv6 = false
      return
    }
    let form = "an endpoint is written tcp://HOST:PORT or ipc://PATH"
    guard text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":") else { throw failure(form) }
    let hostStart = text.index(text.startIndex, offsetBy: 6)
    guard hostStart < colon else { throw failure(form) }
    var host = String(text[hostStart..<colon])
    let port = String(text[text.index(after: colon)...])

    let isAnyPort = port == "*" || port == "0"
    guard UInt16(port) != nil || port == "*", role == .listen || !isAnyPort else {
      throw failure(
        role == .listen
          ? "the port is a number from 0 to 65535 or *; \(form)"
          : "the port is a number from 1 to 65535; \(form)")
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard !host.isEmpty else { throw failure(form) }
    if host == "*" {
      guard role == .listen else { throw failure("name the coordinator's host instead of *") }
      resolved = "tcp://*:\(isAnyPort ? "*" : port)"
      isIPv6 = false
      return
    }
    guard let numeric = Self.numericAddress(of: host) else {
      throw failure("no address is known for the host \"\(host)\"; is the name right?")
    }
    isIPv6 = numeric.contains(":")
    resolved = "tcp://\(isIPv6 ? "[\(numeric)]" : numeric):\(isAnyPort ? "*" : port)"
  }

  /// Whether only processes of this machine reach an endpoint. A name counts as another machine's, and
  /// what is no address as this one's: nobody reaches it.
  static func isLocal(_ text: String) -> Bool {
    guard text.hasPrefix("tcp://") else { return true }
    let place = text.dropFirst(6)
    guard let colon = place.lastIndex(of: ":"), colon > place.startIndex else { return true }
    let host = place[..<colon]
    // A name may begin like an address: 127.0.0.1.example.org
    let isAddress = host.allSatisfy { $0.isNumber || $0 == "." }
    return host == "localhost" || host.hasPrefix("127.") && isAddress || host == "[::1]"
  }

  /// Where a worker listens for others: the interface by which it reaches its coordinator, any free port.
  static func beside(coordinator address: String) -> String {
    guard address.hasPrefix("tcp://"), let colon = address.lastIndex(of: ":") else {
      return address.hasPrefix("ipc://") ? "tcp://127.0.0.1:0" : "*"
    }
    let start = address.index(address.startIndex, offsetBy: 6)
    var host = String(address[start..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard let own = ownAddress(reaching: host) else { return "tcp://127.0.0.1:0" }
    return own.contains(":") ? "tcp://[\(own)]:0" : "tcp://\(own):0"
  }

  /// A connected datagram socket has the address that packets to `host` would bear; none is sent.
  private static func ownAddress(reaching host: String) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "9", &hints, &list) == 0, let first = list else { return nil }
    defer { freeaddrinfo(list) }
    let descriptor = socket(first.pointee.ai_family, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      return nil
    }
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard getsockname(descriptor, address, &length) == 0 else { return nil }
        return numeric(address, length)
      }
    }
  }

  private static func numeric(
    _ address: UnsafePointer<sockaddr>, _ length: socklen_t
  ) -> String? {
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let failure = getnameinfo(
      address, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
    guard failure == 0 else { return nil }
    return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  /// The host's first IPv4 address, else its first IPv6 one.
  private static func numericAddress(of host: String) -> String? {
    for family in [AF_INET, AF_INET6] {
      var hints = addrinfo()
      hints.ai_family = family
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      var list: UnsafeMutablePointer<addrinfo>?
      guard getaddrinfo(host, nil, &hints, &list) == 0, let first = list else { continue }
      defer { freeaddrinfo(list) }
      if let name = numeric(first.pointee.ai_addr, first.pointee.ai_addrlen) { return name }
    }
    return nil
  }
}
