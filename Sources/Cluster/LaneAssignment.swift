/// Cuts `lanes` lanes into one contiguous range for each worker: as even as possible and, among the even
/// cuts, the one with the fewest partial sums to send. With more workers than lanes the last ones get
/// empty ranges: they are spares.
///
/// `assignLanes(lanes: 8, workers: 3)` is `[0..<2, 2..<5, 5..<8]`, or another cut as good.
package func assignLanes(lanes: Int, workers: Int) -> [Range<Int>] {
  assignLanes(0..<lanes, of: LaneTree(lanes: lanes), workers: workers)
}

/// The same for a part of a tree's lanes: those of a lost worker, say, to be shared by the others.
///
/// - Precondition: `workers > 0`, `range` lies within the tree's lanes
package func assignLanes(_ range: Range<Int>, of tree: LaneTree, workers: Int) -> [Range<Int>] {
  precondition(workers > 0, "lanes need at least one worker, got \(workers)")
  let busy = min(workers, range.count)
  let spares = [Range<Int>](
    repeating: range.upperBound..<range.upperBound, count: workers - busy)
  guard busy > 0 else { return spares }
  let (size, larger) = range.count.quotientAndRemainder(dividingBy: busy)

  // Dynamic programme from the last worker backwards: `best[extra]` is the cheapest cut for the workers
  // from `worker` on when `extra` larger shares were given before.
  typealias Cut = (partials: Int, takesExtra: Bool)
  var choices: [[Cut?]] = []
  var best: [Cut?] = (0...larger).map { $0 == larger ? (0, false) : nil }
  for worker in stride(from: busy - 1, through: 0, by: -1) {
    best = (0...larger).map { extra in
      let lower = range.lowerBound + worker * size + extra
      var cheapest: Cut?
      for takesExtra in [true, false] where extra + (takesExtra ? 1 : 0) <= larger {
        let upper = lower + size + (takesExtra ? 1 : 0)
        guard upper <= range.upperBound, let rest = best[extra + (takesExtra ? 1 : 0)] else {
          continue
        }
        let partials = tree.subtreeCount(covering: lower..<upper) + rest.partials
        if cheapest == nil || partials < cheapest!.partials { cheapest = (partials, takesExtra) }
      }
      return cheapest
    }
    choices.append(best)
  }

  var ranges: [Range<Int>] = []
  var lower = range.lowerBound
  var extra = 0
  for choice in choices.reversed() {
    let takesExtra = choice[extra]!.takesExtra
    extra += takesExtra ? 1 : 0
    ranges.append(lower..<lower + size + (takesExtra ? 1 : 0))
    lower = ranges.last!.upperBound
  }
  return ranges + spares
}

/// How many lanes each worker should get, given what a lane takes each: even shares unless one is much
/// slower than another, then such that the last to finish finishes as early as can be.
///
/// - Parameter even: the even shares, if they are known
package func laneShares(lanes: Int, secondsPerLane: [Double], even: [Int]? = nil) -> [Int] {
  guard let fastest = secondsPerLane.min(), let slowest = secondsPerLane.max() else { return [] }
  guard slowest > 1.5 * fastest else {
    return even ?? assignLanes(lanes: lanes, workers: secondsPerLane.count).map(\.count)
  }
  var shares = [Int](repeating: 0, count: secondsPerLane.count)
  for _ in 0..<lanes {
    let next = shares.indices.min {
      Double(shares[$0] + 1) * secondsPerLane[$0] < Double(shares[$1] + 1) * secondsPerLane[$1]
    }
    if let next { shares[next] += 1 }
  }
  return shares
}

/// One contiguous range for each share, in order.
package func assignLanes(_ tree: LaneTree, shares: [Int]) -> [Range<Int>] {
  let even = assignLanes(lanes: tree.laneCount, workers: shares.count)
  if even.map(\.count) == shares { return even }
  var lower = 0
  return shares.map { share in
    defer { lower += share }
    return lower..<lower + share
  }
}
