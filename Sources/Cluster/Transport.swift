/// How whole messages get from one process (or thread) to another. ZeroMQ is one conformer, the
/// in-process one serves tests; one that delays, cuts or doubles can wrap either.
///
/// A transport may be shared between threads. A link may not: it is opened, used and closed on the one
/// I/O thread of its endpoint.
package protocol Transport: Sendable {
  /// Opens the coordinator's side.
  ///
  /// - Throws: `ClusterError.unavailable` for a malformed or unresolvable address, or one in use
  func listen(at address: String) throws(ClusterError) -> any Link

  /// Opens a worker's side. The other side need not be there yet.
  ///
  /// - Throws: `ClusterError.unavailable` for a malformed or unresolvable address
  func connect(to address: String) throws(ClusterError) -> any Link

  /// Who may connect to a listener of this transport; nil if it does not tell one from another.
  var admitted: AllowList? { get }

  /// The same, for connections to nobody but the owner of `key`.
  func connecting(to key: PublicKey) -> any Transport

  /// The same, for many connections, which share the threads that serve them.
  ///
  /// - Throws: `ClusterError.system` if the system gives none
  func forManyConnections() throws(ClusterError) -> any Transport
}

/// A transport that knows everybody.
extension Transport {
  package var admitted: AllowList? { nil }
  package func connecting(to key: PublicKey) -> any Transport { self }
  package func forManyConnections() -> any Transport { self }
}

/// One endpoint's socket.
package protocol Link: AnyObject {
  /// The address as others can use it: with the real port where port 0 was asked for.
  var address: String { get }
  /// Ends a `wait` from any thread.
  var waker: Waker { get }

  /// Hands one message of `byteCount` bytes, written by `write`, to the transport. Never waits; `write` is
  /// called only if the message will be sent. A worker's side has one peer and ignores `peer`.
  func send(to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void)
    -> Delivery

  /// Gives the next message, if there is one, to `body`, which may send at once. Never waits.
  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception

  /// Who has sent the message that `receive` gave last, if the transport has made sure of it.
  var sender: String? { get }

  /// Whether a `sender` may still take part.
  func isAllowed(_ sender: String) -> Bool

  /// The coordinator's side only: who could not come in, since this was last asked. To be asked in
  /// every round.
  func takeProblems() -> [AccessProblem]

  /// Sleeps until a message is there (if `forMessages`), the waker is used, or the deadline has passed.
  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant)

  /// Closes the socket; what was sent has until `linger` is over to leave.
  func close(linger: Duration)
}

/// A link of a transport that knows everybody.
extension Link {
  package var sender: String? { nil }
  package func isAllowed(_ sender: String) -> Bool { true }
  package func takeProblems() -> [AccessProblem] { [] }
}

package enum Delivery: Sendable {
  case sent
  /// The peer does not keep up: try again later.
  case wouldBlock
  /// The peer's connection is gone.
  case unreachable
}

package enum Reception: Sendable {
  case message
  /// A message that is not one part, from `peer`; it was dropped.
  case oddParts(PeerID)
  case nothing
  /// A worker's side only: the connection to the coordinator has ended and everything was received.
  case disconnected
  /// A worker's side only: there will be no connection.
  case obstructed(AccessProblem)
}

/// One life of a peer: a fresh random identity for every connection, never used again.
package struct PeerID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) { self.bytes = bytes }

  /// What a worker calls its only peer.
  package static let coordinator = PeerID(bytes: [])

  /// 16 random bytes, the first of them not zero (ZeroMQ keeps those identities for itself).
  package static func random() -> PeerID {
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    bytes[0] |= 1
    return PeerID(bytes: bytes)
  }

  /// The first eight bytes in hexadecimal.
  package var description: String {
    bytes.isEmpty ? "coordinator" : hexadecimal(bytes.prefix(8))
  }
}

/// Wakes a link that waits, from any thread.
package final class Waker: Sendable {
  private let action: @Sendable () -> Void

  package init(_ action: @escaping @Sendable () -> Void) { self.action = action }

  package func wake() { action() }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
