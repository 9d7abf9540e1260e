import Cluster

/// Who shares the vectors of the next steps, and whether that is worth it.
///
/// A plan names its owners: all who have lanes. It holds from the step on before which all of them have reached
/// each other, until one of them leaves or others get lanes. Trouble in a step costs that step only; who cannot
/// reach the others at all, or a third step that does not come together, ends the sharing for this term.
struct Sharing {
  private struct Agreement {
    let version: UInt64
    let owners: [PeerID]
    var awaited: Set<PeerID>
  }

  let choice: TopologyChoice
  /// Bytes of a vector.
  private let bytes: Int
  private var listeners: [PeerID: Plan.Owner] = [:]
  private var agreement: Agreement?
  private var versions: UInt64 = 0
  private(set) var isGivenUp = false
  private var failures = 0
  /// What exchanges took with so many workers, as stars and shared.
  private var measured: (workers: Int, star: Quickest, shared: Quickest)?

  /// The quickest of some steps.
  private struct Quickest {
    private(set) var seconds = Double.infinity
    private var steps = 0
    var isKnown: Bool { steps >= 3 }

    mutating func observe(_ seconds: Double) {
      self.seconds = min(self.seconds, seconds)
      steps += 1
    }
  }

  init(_ choice: TopologyChoice, bytes: Int) {
    (self.choice, self.bytes) = (choice, bytes)
  }

  mutating func note(_ listener: Plan.Owner, of peer: PeerID) { listeners[peer] = listener }

  mutating func forget(_ peer: PeerID) {
    listeners[peer] = nil
    if agreement?.owners.contains(peer) == true { agreement = nil }
  }

  /// Whether this is the plan that holds, or will when all have followed it.
  func isAgreed(_ version: UInt64) -> Bool { agreement?.version == version }

  /// A step's slices did not come together: the plan is dropped.
  ///
  /// - Returns: whether it has happened too often
  mutating func countFailure() -> Bool {
    agreement = nil
    failures += 1
    return failures >= 3
  }

  mutating func giveUp() {
    isGivenUp = true
    agreement = nil
  }

  /// The plan that all have followed.
  var plan: (version: UInt64, owners: [PeerID])? {
    guard let agreement, agreement.awaited.isEmpty else { return nil }
    return (agreement.version, agreement.owners)
  }

  /// A plan to send, each to its owner, if sharing is worth it and the owners are not those of the last one.
  mutating func newPlan(for owners: [PeerID]) -> [(peer: PeerID, plan: Plan)] {
    guard owners.count > 1, isWorthIt(workers: owners.count), agreement?.owners != owners else {
      return []
    }
    let all = owners.compactMap { listeners[$0] }
    guard all.count == owners.count else { return [] }
    // Nobody reaches another machine's loopback.
    guard Set(all.map { ZeroMQTransport.isLocal($0.address) }).count == 1 else { return [] }
    versions += 1
    agreement = Agreement(version: versions, owners: owners, awaited: Set(owners))
    return owners.enumerated().map { index, peer in
      (peer, Plan(version: versions, index: index, owners: all))
    }
  }

  mutating func linked(_ peer: PeerID, version: UInt64) {
    if agreement?.version == version { agreement?.awaited.remove(peer) }
  }

  /// A step has taken so much longer than its slowest worker computed.
  mutating func observe(seconds: Double, workers: Int, shared: Bool) {
    guard seconds > 0 else { return }
    var known = measured ?? (workers, Quickest(), Quickest())
    if known.workers != workers { known = (workers, Quickest(), Quickest()) }
    if shared { known.shared.observe(seconds) } else { known.star.observe(seconds) }
    measured = known
    if choice == .auto, !isWorthIt(workers: workers) { agreement = nil }
  }

  /// `auto`: a star moves 2·W·M bytes through the coordinator's link, one after the other; the speed of that link
  /// is what the quickest of three steps or more has shown. Sharing moves 2·M through it and as much again
  /// from worker to worker, with 2 ms and half a millisecond a worker for the messages. Where that promises less,
  /// it is tried, and after three steps what was measured decides: links may differ, or workers on one
  /// machine have no links to gain.
  private func isWorthIt(workers: Int) -> Bool {
    if isGivenUp { return false }
    switch choice {
    case .star: return false
    case .sharded: return true
    case .auto:
      guard let measured, measured.workers == workers, measured.star.isKnown else { return false }
      if measured.shared.isKnown { return measured.shared.seconds < measured.star.seconds }
      let bytesPerSecond = Double(2 * workers * bytes) / measured.star.seconds
      let sharing = Double(4 * bytes) / bytesPerSecond + 0.002 + 0.0005 * Double(workers)
      return sharing < measured.star.seconds
    }
  }
}
