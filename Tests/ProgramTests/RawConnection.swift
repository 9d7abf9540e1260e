import Foundation

/// A TCP connection on this machine that says whatever a test wants, wrong or not.
///
/// ZMTP 3, the protocol under ZeroMQ, begins with a greeting of 64 bytes and a READY command of each
/// side; then come frames: a byte of flags, a length, and that many bytes.
final class RawConnection {
  private let descriptor: Int32

  /// - Throws: `Program.Failure` if nobody listens
  init(port: UInt16) throws {
    let caller = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    descriptor = caller
    var address = Self.loopback(port)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let failed = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(caller, $0, size) } != 0
    }
    guard !failed else { throw Program.Failure(description: "nobody listens at port \(port)") }
  }

  deinit { close(descriptor) }

  /// Sends bytes; if the other side has hung up, they are lost.
  func send(_ bytes: Data) {
    _ = bytes.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Waits for bytes; none if the other side hangs up or says nothing within a second.
  func receive() -> Data {
    var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waited, 1, 1000) == 1 else { return Data() }
    var bytes = Data(count: 4096)
    let count = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
    return bytes.prefix(max(0, count))
  }

  /// Whether the other side has hung up, and all that it has said was received.
  var isClosed: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
    return count == 0 || count < 0 && errno != EAGAIN && errno != EINTR
  }

  // MARK: ZMTP

  static let greeting =
    Data([0xFF] + [UInt8](repeating: 0, count: 8) + [0x7F, 3, 0])
    + Data("NULL".utf8) + Data(count: 16 + 32)

  /// Becomes a ZeroMQ DEALER in the other side's eyes.
  func shakeHands() {
    send(Self.greeting)
    let name = Data("Socket-Type".utf8)
    let ready =
      Data([5]) + Data("READY".utf8) + Data([UInt8(name.count)]) + name + Data([0, 0, 0, 6])
      + Data("DEALER".utf8)
    send(Data([4, UInt8(ready.count)]) + ready)
    _ = receive()
  }

  /// A frame of fewer than 256 bytes, followed by more parts of its message or not.
  static func frame(_ bytes: Data, moreFollow: Bool = false) -> Data {
    Data([moreFollow ? 1 : 0, UInt8(bytes.count)]) + bytes
  }

  // MARK: Ports

  /// A port that nobody listens at now.
  static func freePort() -> UInt16 {
    let listener = PortHolder()
    return listener.port
  }

  fileprivate static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}

/// Listens at a port of its own, and answers nobody.
final class PortHolder: @unchecked Sendable {
  let port: UInt16
  private let descriptor: Int32

  init() {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = RawConnection.loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(listener, $0, size)
        _ = listen(listener, 8)
        _ = getsockname(listener, $0, &size)
      }
    }
    descriptor = listener
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}
