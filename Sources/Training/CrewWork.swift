import Cluster

/// What a crew is at: a step's sum, or a split's logits. It hands out parts of itself, takes the answers,
/// and does not mind who comes and who goes: what a worker leaves undone another does.
protocol CrewWork: AnyObject {
  var isDone: Bool { get }
  /// When it wants to look again, though nothing has happened until then.
  var deadline: ContinuousClock.Instant? { get }
  /// Gives those who are ready what nobody holds, and what is late a second time.
  func handOut(to crew: Crew) throws
  /// - Throws: `Mistake` if the answer makes no sense
  func take(_ message: Message, from peer: PeerID, of crew: Crew) throws
  /// A worker is gone, or has forgotten what it held.
  func forget(_ peer: PeerID)
  /// Whether a worker owes something.
  func isHeld(by peer: PeerID) -> Bool
}

/// An answer that a worker of this build does not give: it is dismissed for it.
struct Mistake: Error {
  let description: String
}
