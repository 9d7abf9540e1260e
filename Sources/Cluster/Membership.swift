/// Who takes part in a run, in the order of joining, and which lanes each holds.
///
/// Plain bookkeeping for the coordinator's loop, which feeds it the endpoint's events. Lanes change hands
/// only when `assign` is called, between steps.
package struct Membership: Sendable {
  package enum State: Hashable, Sendable {
    /// Said hello; still checks its data.
    case joining
    /// Can hold lanes.
    case ready
    /// Finishes what it holds and leaves; gets nothing new.
    case draining
  }

  package struct Member: Sendable {
    package let peer: PeerID
    package let hello: Hello
    package fileprivate(set) var state: State
    /// Empty for a spare.
    package fileprivate(set) var lanes: Range<Int>
  }

  package let tree: LaneTree
  package private(set) var members: [Member] = []

  package init(tree: LaneTree) { self.tree = tree }

  package subscript(peer: PeerID) -> Member? { members.first { $0.peer == peer } }

  package var ready: [Member] { members.filter { $0.state == .ready } }

  /// Ready members without lanes.
  package var spares: [Member] { ready.filter { $0.lanes.isEmpty } }

  /// Who holds `lane`, if anybody does.
  package func holder(of lane: Int) -> Member? { members.first { $0.lanes.contains(lane) } }

  /// Lanes that nobody holds, as contiguous ranges in order.
  package var orphans: [Range<Int>] {
    var ranges: [Range<Int>] = []
    for lane in tree.root where holder(of: lane) == nil {
      if let last = ranges.last, last.upperBound == lane {
        ranges[ranges.count - 1] = last.lowerBound..<lane + 1
      } else {
        ranges.append(lane..<lane + 1)
      }
    }
    return ranges
  }

  /// A peer has said hello.
  ///
  /// - Precondition: it is new
  package mutating func join(_ peer: PeerID, _ hello: Hello) {
    precondition(self[peer] == nil, "peer \(peer) joined twice")
    members.append(Member(peer: peer, hello: hello, state: .joining, lanes: 0..<0))
  }

  /// Peers that have left in the meantime are ignored.
  package mutating func set(_ state: State, for peer: PeerID) {
    guard let index = members.firstIndex(where: { $0.peer == peer }) else { return }
    members[index].state = state
  }

  /// - Returns: the lanes that the peer held and nobody holds now
  @discardableResult
  package mutating func remove(_ peer: PeerID) -> Range<Int> {
    guard let index = members.firstIndex(where: { $0.peer == peer }) else { return 0..<0 }
    return members.remove(at: index).lanes
  }

  /// Deals all lanes to the ready members, in the order of joining; the last ones may become spares.
  ///
  /// - Returns: false if nobody is ready; then nobody holds anything
  @discardableResult
  package mutating func assign() -> Bool {
    let ready = members.indices.filter { members[$0].state == .ready }
    for index in members.indices { members[index].lanes = 0..<0 }
    guard !ready.isEmpty else { return false }
    for (index, lanes) in zip(ready, assignLanes(lanes: tree.laneCount, workers: ready.count)) {
      members[index].lanes = lanes
    }
    return true
  }
}
