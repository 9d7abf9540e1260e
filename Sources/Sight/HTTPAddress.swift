import Cluster

/// Where somebody listens for HTTP, as a user writes it: `PORT` or `HOST:PORT`, `[HOST]:PORT` for IPv6.
package struct HTTPAddress: Equatable, Sendable, CustomStringConvertible {
  package let host: String
  /// 0 for any that is free.
  package let port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// - Returns: nil if it is no address
  package init?(_ text: String) {
    let colon = text.lastIndex(of: ":")
    var host = colon.map { String(text[..<$0]) } ?? "127.0.0.1"
    let digits = colon.map { text[text.index(after: $0)...] } ?? text[...]
    guard digits.allSatisfy(\.isASCII), !digits.hasPrefix("+"), let port = UInt16(digits) else {
      return nil
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || "[]/@".contains($0) }) else {
      return nil
    }
    self.init(host: host, port: Int(port))
  }

  /// Whether only processes of this machine reach it.
  package var isLocal: Bool { ZeroMQTransport.isLocal("tcp://\(authority)") }

  private var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  package var description: String { "http://\(authority)" }
}
