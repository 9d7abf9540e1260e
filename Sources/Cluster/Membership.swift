/// Who takes part in a run, in the order of joining, and which lanes each holds.
///
/// Plain bookkeeping for the coordinator's loop, which feeds it the endpoint's events. Lanes are dealt
/// anew when `assign` is called, between steps: to whoever is ready, the slow with fewer.
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
    /// What a lane takes here, as measured lately; nil as long as nothing was.
    package fileprivate(set) var secondsPerLane: Double?
    /// What a step takes here beside its lanes, for weights to come and sums to go; likewise.
    package fileprivate(set) var exchangeSeconds: Double?
  }

  package let tree: LaneTree
  package private(set) var members: [Member] = []
  /// Where in `members` each is.
  private var places: [PeerID: Int] = [:]
  /// Who has asked to leave.
  package private(set) var draining: Set<PeerID> = []
  /// How often somebody came, went, or got another state or other lanes.
  package private(set) var changes = 0

  package init(tree: LaneTree) { self.tree = tree }

  package subscript(peer: PeerID) -> Member? { places[peer].map { members[$0] } }

  package var ready: [Member] { members.filter { $0.state == .ready } }
  package var hasReady: Bool { members.contains { $0.state == .ready } }

  /// Ready members without lanes.
  package var spares: [Member] { ready.filter { $0.lanes.isEmpty } }

  /// A peer has said hello.
  ///
  /// - Precondition: it is new
  package mutating func join(_ peer: PeerID, _ hello: Hello) {
    precondition(places[peer] == nil, "peer \(peer) joined twice")
    places[peer] = members.count
    members.append(Member(peer: peer, hello: hello, state: .joining, lanes: 0..<0))
    changes += 1
  }

  /// Peers that have left in the meantime are ignored.
  package mutating func set(_ state: State, for peer: PeerID) {
    guard let index = places[peer] else { return }
    if state == .draining { draining.insert(peer) } else { draining.remove(peer) }
    members[index].state = state
    changes += 1
  }

  package mutating func remove(_ peer: PeerID) {
    members.removeAll { $0.peer == peer }
    draining.remove(peer)
    places = [:]
    for (index, member) in members.enumerated() { places[member.peer] = index }
    changes += 1
  }

  /// A peer has taken `seconds` for each of its lanes.
  package mutating func observe(_ peer: PeerID, secondsPerLane seconds: Double) {
    guard seconds > 0, seconds.isFinite, let index = places[peer] else { return }
    members[index].secondsPerLane =
      members[index].secondsPerLane.map { ($0 + seconds) / 2 } ?? seconds
  }

  /// A peer's step took so much longer than its lanes did.
  package mutating func observe(_ peer: PeerID, exchangeSeconds seconds: Double) {
    guard seconds >= 0, seconds.isFinite, let index = places[peer] else { return }
    members[index].exchangeSeconds =
      members[index].exchangeSeconds.map { ($0 + seconds) / 2 } ?? seconds
  }

  /// What a lane takes a member in the middle of the field.
  package var medianSecondsPerLane: Double? { median(\.secondsPerLane) }
  package var medianExchangeSeconds: Double? { median(\.exchangeSeconds) }

  private func median(_ value: (Member) -> Double?) -> Double? {
    let known = ready.compactMap(value).sorted()
    return known.isEmpty ? nil : known[known.count / 2]
  }

  /// Deals all lanes to the ready members, in the order of joining; the last ones may become spares. As
  /// long as the members are the same, they keep what they have unless that makes the step longer by a tenth:
  /// small differences come and go, and who shares vectors with whom depends on who has lanes.
  package mutating func assign() {
    let ready = members.indices.filter { members[$0].state == .ready }
    let median = medianSecondsPerLane ?? 1
    // Who was too slow for a lane is forgiven little by little, and so measured again.
    for index in ready where members[index].lanes.isEmpty {
      members[index].secondsPerLane = members[index].secondsPerLane.map {
        0.95 * $0 + 0.05 * median
      }
    }
    let seconds = ready.map { members[$0].secondsPerLane ?? median }
    if even.count != ready.count, !ready.isEmpty {
      even = assignLanes(lanes: tree.laneCount, workers: ready.count).map(\.count)
    }
    let dealt = Deal(
      peers: ready.map { members[$0].peer },
      shares: laneShares(lanes: tree.laneCount, secondsPerLane: seconds, even: even))
    if let last, last.peers == dealt.peers {
      let exchange = medianExchangeSeconds ?? 0
      func step(_ deal: Deal) -> Double {
        exchange + (zip(deal.shares, seconds).map { Double($0) * $1 }.max() ?? 0)
      }
      guard step(dealt) < Self.worthIt * step(last) else { return }
    }
    last = dealt
    changes += 1
    for index in members.indices { members[index].lanes = 0..<0 }
    guard !ready.isEmpty else { return }
    for (index, lanes) in zip(ready, assignLanes(tree, shares: dealt.shares)) {
      members[index].lanes = lanes
    }
  }

  /// Another deal must make a step shorter by so much.
  private static let worthIt = 0.9

  /// What `assign` has dealt last: the same again needs no thought.
  private struct Deal: Equatable {
    let peers: [PeerID]
    let shares: [Int]
  }
  private var last: Deal?
  /// Even shares among as many as are ready: they take some thought, and the same at every step.
  private var even: [Int] = []
}
