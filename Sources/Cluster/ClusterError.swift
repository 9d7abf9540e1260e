/// What went wrong between machines: one root error for sockets, peers and messages.
///
/// Nothing that a network does ends the process; it becomes one of these, or an event (a peer is lost).
package struct ClusterError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable {
    /// A port, host, coordinator or peer cannot be used or reached.
    case unavailable
    /// Nobody answered, or not as a coordinator does; another attempt may be answered.
    case unanswered
    /// The other side will not have this one, now or later.
    case refused
    /// The endpoint is closed, or the other side is gone.
    case closed
    /// `interrupt()` woke a blocked call.
    case interrupted
    /// A message exceeds the bound that both sides agreed on.
    case tooLarge
    /// libzmq or the operating system refused what should always work.
    case system
  }

  package let code: Code
  /// What was attempted, as an infinitive: "listen", "connect", "send parameters".
  package let attempt: String
  /// The endpoint or peer, as the user wrote it.
  package let place: String
  /// Why it failed, and what to do.
  package let detail: String

  package init(_ code: Code, attempt: String, place: String, detail: String) {
    self.code = code
    self.attempt = attempt
    self.place = place
    self.detail = detail
  }

  package var description: String { "cannot \(attempt) at \(place): \(detail)" }
}
