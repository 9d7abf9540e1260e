import Cluster
import Testing

@Suite struct LaneTreeTests {
  static let laneCounts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 31, 32, 33, 100]

  /// The definition, level by level.
  static func slowTree(_ lanes: Int) -> (nodes: Set<Range<Int>>, parents: [Range<Int>: Range<Int>])
  {
    var level = (0..<lanes).map { $0..<$0 + 1 }
    var nodes = Set(level)
    var parents: [Range<Int>: Range<Int>] = [:]
    while level.count > 1 {
      var next: [Range<Int>] = []
      for pair in stride(from: 0, to: level.count, by: 2) {
        if pair + 1 == level.count {
          next.append(level[pair])  // an odd last one passes up unchanged
        } else {
          let sum = level[pair].lowerBound..<level[pair + 1].upperBound
          parents[level[pair]] = sum
          parents[level[pair + 1]] = sum
          next.append(sum)
        }
      }
      level = next
      nodes.formUnion(level)
    }
    return (nodes, parents)
  }

  @Test(
    "nodes, parents and children are those of the tree built level by level", arguments: laneCounts)
  func definition(lanes: Int) {
    let tree = LaneTree(lanes: lanes)
    let (nodes, parents) = Self.slowTree(lanes)
    for lower in -1...lanes + 1 {
      for upper in lower...lanes + 2 {
        #expect(tree.contains(lower..<upper) == nodes.contains(lower..<upper))
      }
    }
    for node in nodes {
      #expect(tree.parent(of: node) == parents[node])
      if let (left, right) = tree.children(of: node) {
        #expect(parents[left] == node && parents[right] == node)
        #expect(left.upperBound == right.lowerBound)
        #expect(tree.sibling(of: left) == right && tree.sibling(of: right) == left)
      } else {
        #expect(node.count == 1)
      }
    }
    #expect(tree.sibling(of: tree.root) == nil)
  }

  @Test(
    "maximal subtrees tile the range, and none of them could be one larger", arguments: laneCounts)
  func maximalSubtrees(lanes: Int) {
    let tree = LaneTree(lanes: lanes)
    for lower in 0...lanes {
      for upper in lower...lanes {
        let nodes = tree.maximalSubtrees(covering: lower..<upper)
        #expect(tree.subtreeCount(covering: lower..<upper) == nodes.count)
        var next = lower
        for node in nodes {
          #expect(tree.contains(node) && node.lowerBound == next)
          next = node.upperBound
          if let parent = tree.parent(of: node) {
            #expect(parent.clamped(to: lower..<upper) != parent)
          }
        }
        #expect(next == upper)
      }
    }
  }
}

@Suite struct LaneAssignmentTests {
  @Test("ranges tile the lanes, sizes differ by one at most, spares come last", arguments: 1...20)
  func even(lanes: Int) {
    for workers in 1...24 {
      let ranges = assignLanes(lanes: lanes, workers: workers)
      #expect(ranges.count == workers)
      var next = 0
      for range in ranges {
        #expect(range.lowerBound == next)
        next = range.upperBound
      }
      #expect(next == lanes)
      let busy = ranges.filter { !$0.isEmpty }
      #expect(busy.count == min(lanes, workers))
      #expect(busy.map(\.count).max()! - busy.map(\.count).min()! <= 1)
    }
  }

  @Test("no other even cut needs fewer partials", arguments: [(8, 3), (12, 5), (16, 6), (13, 4)])
  func fewestPartials(lanes: Int, workers: Int) {
    let tree = LaneTree(lanes: lanes)
    func partials(_ sizes: [Int]) -> Int {
      var lower = 0
      return sizes.reduce(0) { sum, size in
        defer { lower += size }
        return sum + tree.maximalSubtrees(covering: lower..<lower + size).count
      }
    }
    // Every way to say which workers get the larger share.
    let least = (0..<1 << workers)
      .filter { $0.nonzeroBitCount == lanes % workers }
      .map { choice in partials((0..<workers).map { lanes / workers + (choice >> $0) & 1 }) }
      .min()
    #expect(partials(assignLanes(lanes: lanes, workers: workers).map(\.count)) == least)
  }

  @Test("four workers of eight lanes hold whole subtrees; more workers than lanes stand by")
  func examples() {
    #expect(assignLanes(lanes: 8, workers: 4) == [0..<2, 2..<4, 4..<6, 6..<8])
    #expect(assignLanes(lanes: 2, workers: 4) == [0..<1, 1..<2, 2..<2, 2..<2])
    let tree = LaneTree(lanes: 8)
    #expect(assignLanes(2..<5, of: tree, workers: 2) == [2..<4, 4..<5])
    #expect(assignLanes(5..<5, of: tree, workers: 2) == [5..<5, 5..<5])
  }
}

@Suite struct MembershipTests {
  @Test("lanes go to ready members only")
  func bookkeeping() {
    var members = Membership(tree: LaneTree(lanes: 8))
    let peers = (0..<4).map { _ in PeerID.random() }
    for peer in peers { members.join(peer, someHello) }
    members.assign()
    #expect(members.members.allSatisfy { $0.lanes.isEmpty })
    for peer in peers.dropLast() { members.set(.ready, for: peer) }
    members.set(.draining, for: peers[0])
    members.assign()
    #expect(members[peers[0]]?.lanes.isEmpty == true)
    #expect(members[peers[1]]?.lanes == 0..<4)
    #expect(members[peers[2]]?.lanes == 4..<8)

    members.remove(peers[1])
    members.set(.ready, for: peers[1])
    #expect(members[peers[1]] == nil)
    members.assign()
    #expect(members[peers[2]]?.lanes == 0..<8)
  }

  @Test("ready members beyond the number of lanes are spares")
  func spares() {
    var members = Membership(tree: LaneTree(lanes: 2))
    let peers = (0..<3).map { _ in PeerID.random() }
    for peer in peers {
      members.join(peer, someHello)
      members.set(.ready, for: peer)
    }
    members.assign()
    #expect(members.spares.map(\.peer) == [peers[2]])
  }

  @Test("a slow member gets fewer lanes, down to none, and is tried again in time")
  func speeds() throws {
    var members = Membership(tree: LaneTree(lanes: 16))
    let peers = (0..<4).map { _ in PeerID.random() }
    for (number, peer) in peers.enumerated() {
      members.join(peer, someHello)
      members.set(.ready, for: peer)
      members.observe(peer, secondsPerLane: number == 1 ? 5 : 1)
    }
    members.assign()
    #expect(members.members.map(\.lanes) == [0..<5, 5..<6, 6..<11, 11..<16])
    members.observe(peers[1], secondsPerLane: 1000)
    members.assign()
    #expect(members[peers[1]]?.lanes.isEmpty == true)
    #expect(members.members.reduce(0) { $0 + $1.lanes.count } == 16)
    var steps = 0
    while members[peers[1]]?.lanes.isEmpty == true && steps < 1000 {
      members.assign()
      steps += 1
    }
    #expect((10..<1000).contains(steps))
  }

  @Test("members keep their lanes unless others make the step a tenth shorter, exchange and all")
  func steadiness() {
    var members = Membership(tree: LaneTree(lanes: 4))
    let peers = (0..<4).map { _ in PeerID.random() }
    for peer in peers {
      members.join(peer, someHello)
      members.set(.ready, for: peer)
    }
    members.assign()
    let dealt = members.members.map(\.lanes)
    #expect(dealt == [0..<1, 1..<2, 2..<3, 3..<4])
    for (peer, milliseconds) in zip(peers, [1.0, 1, 1, 9]) {
      members.observe(peer, secondsPerLane: 0.001 * milliseconds)
      members.observe(peer, exchangeSeconds: 0.5)
    }
    members.assign()
    #expect(members.members.map(\.lanes) == dealt)
    for _ in 0..<10 { for peer in peers { members.observe(peer, exchangeSeconds: 0) } }
    members.assign()
    #expect(members[peers[3]]?.lanes.isEmpty == true)
    members.remove(peers[0])
    members.assign()
    #expect(members.members.reduce(0) { $0 + $1.lanes.count } == 4)
  }

  @Test(
    "shares add up, and the last to finish finishes as early as can be",
    arguments: [[1.0, 1, 1], [1, 1.4, 1], [1, 3], [5, 1, 1, 1], [0.1, 0.2, 0.7, 9]], [1, 4, 7, 16])
  func shares(seconds: [Double], lanes: Int) {
    let shares = laneShares(lanes: lanes, secondsPerLane: seconds)
    #expect(shares.reduce(0, +) == lanes && shares.count == seconds.count)
    let end = zip(shares, seconds).map { Double($0) * $1 }.max() ?? 0
    guard seconds.max()! > 1.5 * seconds.min()! else {
      #expect(shares.max()! - shares.min()! <= 1)
      return
    }
    for (giver, share) in shares.enumerated() where share > 0 {
      for taker in shares.indices where taker != giver && Double(share) * seconds[giver] == end {
        #expect(Double(shares[taker] + 1) * seconds[taker] >= end)
      }
    }
  }
}
