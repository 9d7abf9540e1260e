/// What a coordinator's endpoint has to tell, in the order it happened.
package enum CoordinatorEvent: Equatable, Sendable {
  /// A worker has said hello. It waits for `welcome` or `refuse`.
  case joined(PeerID, Hello)
  /// Never a hello or a heartbeat; a heartbeat's content is `CoordinatorEndpoint.progress`.
  case message(PeerID, Message)
  /// The peer is gone for good: its identity does not come back.
  case lost(PeerID, LossReason)
  /// Something that made no sense came from `peer`, a stranger perhaps. It was counted and, where
  /// that helps, answered. Only a few of these wait at a time; the counters are complete.
  case rejected(PeerID, Defect)
  /// Somebody could not connect, for the `count`th time with this problem. Only the first, the tenth, the
  /// hundredth time and so on are events, and only so many keys have their own.
  case turnedAway(AccessProblem, count: Int)
  /// `interrupt()` was called.
  case interrupted
}

/// What a worker's endpoint has to tell.
package enum WorkerEvent: Equatable, Sendable {
  case message(Message)
  /// The coordinator is gone, or has given this worker up. Make a new endpoint to join again.
  case lost(LossReason)
  /// `interrupt()` was called.
  case interrupted
}

/// Why a peer is gone.
package enum LossReason: Hashable, Sendable, CustomStringConvertible {
  /// No sign of life for this long.
  case silent(Duration)
  /// Its connection has ended.
  case disconnected
  /// Something that it sent has not arrived, and will not.
  case incomplete
  /// It does not take what is sent to it, and too much waits.
  case backlogged
  /// The coordinator refused what this worker sent.
  case refused(ErrorCode, String)
  /// It has sent this many messages that make no sense.
  case misbehaved(Int)
  /// Its key was allowed, and is not any more.
  case noLongerAllowed
  /// No connection came about.
  case obstructed(AccessProblem)

  package var description: String {
    switch self {
    case .silent(let duration): "no sign of life for \(duration)"
    case .disconnected: "the connection has ended"
    case .incomplete: "something that it sent was lost on the way"
    case .backlogged: "it does not take what is sent to it"
    case .refused(_, let text): "refused: \(text)"
    case .misbehaved(let count): "it has sent \(count) messages that make no sense"
    case .noLongerAllowed: "its key is no longer allowed"
    case .obstructed(let problem): "\(problem)"
    }
  }
}
