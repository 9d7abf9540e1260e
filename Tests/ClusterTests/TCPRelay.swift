import Foundation

/// Passes the bytes of one TCP connection on, remembers what the client has said, and repeats it if asked.
final class TCPRelay: @unchecked Sendable {
  let port: UInt16
  private let listener: Int32
  private let lock = NSLock()
  private var said: [[UInt8]] = []
  private var doubles = false

  /// - Parameter target: a port on loopback
  init(to target: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, size)
        _ = listen(descriptor, 8)
        _ = getsockname(descriptor, $0, &size)
      }
    }
    (listener, port) = (descriptor, UInt16(bigEndian: address.sin_port))
    Thread {
      let client = accept(descriptor, nil, nil)
      guard client >= 0 else { return }
      var there = loopback(target)
      let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      _ = withUnsafePointer(to: &there) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      Thread { self.pass(from: server, to: client, isClient: false) }.start()
      self.pass(from: client, to: server, isClient: true)
    }.start()
  }

  deinit { close(listener) }

  /// Everything that the client has said, in the pieces in which it came.
  var recorded: [[UInt8]] { lock.withLock { said } }

  /// From now on everything that the client says is said twice.
  func repeatAll() { lock.withLock { doubles = true } }

  private func pass(from source: Int32, to target: Int32, isClient: Bool) {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = recv(source, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      let twice = lock.withLock {
        if isClient { said.append(Array(buffer.prefix(count))) }
        return isClient && doubles
      }
      for _ in 0..<(twice ? 2 : 1) { _ = Glibc.send(target, buffer, count, Int32(MSG_NOSIGNAL)) }
    }
    shutdown(source, Int32(SHUT_RDWR))
    shutdown(target, Int32(SHUT_RDWR))
  }
}

private func loopback(_ port: UInt16) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return address
}
