import Cluster

/// The lanes that each worker was given and that are not in the step's sum yet.
struct HeldLanes {
  private var lanes: [PeerID: Set<Int>] = [:]

  subscript(peer: PeerID) -> Set<Int> { lanes[peer] ?? [] }

  /// Everybody who was given some, also if he holds none any more.
  var holders: [PeerID] { Array(lanes.keys) }

  /// Who holds the most of those that `counts`.
  func fullest(where counts: (PeerID) -> Bool) -> (peer: PeerID, lanes: Set<Int>)? {
    lanes.filter { !$0.value.isEmpty && counts($0.key) }
      .max { $0.value.count < $1.value.count }.map { ($0.key, $0.value) }
  }

  mutating func give(_ range: Range<Int>, to peer: PeerID) {
    lanes[peer, default: []].formUnion(range)
  }

  /// These are in the sum.
  mutating func release(_ range: Range<Int>) {
    for holder in lanes.keys { lanes[holder]?.subtract(range) }
  }

  mutating func releaseAll() { lanes = [:] }

  mutating func forget(_ peer: PeerID) -> Set<Int> { lanes.removeValue(forKey: peer) ?? [] }

  /// What nobody holds of `missing`, as contiguous ranges in order.
  func orphans(of missing: [Range<Int>]) -> [Range<Int>] {
    let held = lanes.values.reduce(into: Set<Int>()) { $0.formUnion($1) }
    return missing.joined().filter { !held.contains($0) }.reduce(into: []) { ranges, lane in
      if let last = ranges.last, last.upperBound == lane {
        ranges[ranges.count - 1] = last.lowerBound..<lane + 1
      } else {
        ranges.append(lane..<lane + 1)
      }
    }
  }
}

/// Lanes in words.
func text(ofLanes lanes: Range<Int>) -> String {
  lanes.count == 1
    ? "lane \(lanes.lowerBound)" : "lanes \(lanes.lowerBound) to \(lanes.upperBound - 1)"
}
