import Cluster

/// Workers' fetches in the order in which they are answered: first what somebody waits for, then what is fetched
/// ahead, each in the order in which they came.
package struct FetchQueue {
  private var urgent: [(peer: PeerID, fetch: Fetch)] = []
  private var ahead: [(peer: PeerID, fetch: Fetch)] = []

  package init() {}

  package var isEmpty: Bool { urgent.isEmpty && ahead.isEmpty }

  /// Whether somebody waits for what a worker has asked.
  package func isAwaited(by peer: PeerID) -> Bool { urgent.contains { $0.peer == peer } }

  /// One of no bytes raises what that worker has asked of the part before.
  package mutating func add(_ fetch: Fetch, from peer: PeerID) {
    if fetch.isAhead { return ahead.append((peer, fetch)) }
    if fetch.count == 0 {
      for index in ahead.indices where ahead[index].peer == peer {
        if ahead[index].fetch.part == fetch.part { ahead[index].fetch.isAhead = false }
      }
      urgent += ahead.filter { !$0.fetch.isAhead }
      ahead.removeAll { !$0.fetch.isAhead }
    }
    urgent.append((peer, fetch))
  }

  package mutating func next() -> (peer: PeerID, fetch: Fetch)? {
    if !urgent.isEmpty { return urgent.removeFirst() }
    return ahead.isEmpty ? nil : ahead.removeFirst()
  }
}
