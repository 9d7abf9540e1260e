/// The one order in which lanes are summed: a fixed binary tree over lanes 0..<L.
///
/// Level by level, neighbours are paired: 0+1, 2+3, …; an odd last one passes up unchanged. A node is
/// named by the contiguous range of lanes below it, so nothing has to be stored: all questions are
/// arithmetic on the range. With five lanes:
/// ```
///          0..<5
///         /     \
///      0..<4     |
///      /   \     |
///   0..<2 2..<4  |
///    / \   / \   |
///   0   1 2   3  4
/// ```
/// Every sum in a run follows this tree, whoever computes it, so its bits depend on nothing else.
package struct LaneTree: Hashable, Sendable {
  /// A node's lanes, contiguous and never empty.
  package typealias Node = Range<Int>

  package let laneCount: Int

  /// - Precondition: `lanes > 0`
  package init(lanes: Int) {
    precondition(lanes > 0, "a lane tree needs a lane, got \(lanes)")
    laneCount = lanes
  }

  package var root: Node { 0..<laneCount }

  /// Whether the tree has a node with exactly these lanes. Any range may be asked for.
  package func contains(_ range: Range<Int>) -> Bool {
    guard range.lowerBound >= 0, range.upperBound <= laneCount, !range.isEmpty else { return false }
    let block = Self.powerOfTwo(notBelow: range.count)
    return range.lowerBound % block == 0
      && (range.count == block || range.upperBound == laneCount)
  }

  /// The two nodes whose sum is `node`, or nil for a single lane.
  package func children(of node: Node) -> (left: Node, right: Node)? {
    precondition(contains(node), "\(node) is no node of the tree over \(laneCount) lanes")
    guard node.count > 1 else { return nil }
    let middle = node.lowerBound + Self.powerOfTwo(notBelow: node.count) / 2
    return (node.lowerBound..<middle, middle..<node.upperBound)
  }

  /// The node that `node` is added into, or nil for the root.
  package func parent(of node: Node) -> Node? {
    precondition(contains(node), "\(node) is no node of the tree over \(laneCount) lanes")
    guard node != root else { return nil }
    // Blocks double until one holds more lanes than the node: an odd last node skips levels.
    var block = Self.powerOfTwo(notBelow: node.count)
    while true {
      block *= 2
      let lower = node.lowerBound / block * block
      let candidate = lower..<min(lower + block, laneCount)
      if candidate.count > node.count { return candidate }
    }
  }

  /// The other child of `node`'s parent, or nil for the root.
  package func sibling(of node: Node) -> Node? {
    guard let parent = parent(of: node), let (left, right) = children(of: parent) else {
      return nil
    }
    return node == left ? right : left
  }

  /// The fewest nodes that together cover `range` exactly, in lane order: the partial sums that a
  /// holder of these lanes can form, at most about 2·log2(L). An empty range has none.
  ///
  /// - Precondition: `range` lies within the lanes
  package func maximalSubtrees(covering range: Range<Int>) -> [Node] {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= laneCount,
      "lanes \(range) lie outside 0..<\(laneCount)")
    var found: [Node] = []
    func visit(_ node: Node) {
      if node.clamped(to: range) == node {
        found.append(node)
      } else if node.overlaps(range), let (left, right) = children(of: node) {
        visit(left)
        visit(right)
      }
    }
    if !range.isEmpty { visit(root) }
    return found
  }

  /// How many those are, without making them.
  ///
  /// - Precondition: `range` lies within the lanes
  package func subtreeCount(covering range: Range<Int>) -> Int {
    var (lane, count) = (range.lowerBound, 0)
    while lane < range.upperBound {
      // The largest block that begins here; at the end of the tree it may stick out.
      var block = 1
      while lane & (2 * block - 1) == 0, lane + block < range.upperBound,
        lane + 2 * block <= range.upperBound || range.upperBound == laneCount
      {
        block *= 2
      }
      lane += block
      count += 1
    }
    return count
  }

  private static func powerOfTwo(notBelow count: Int) -> Int {
    count <= 1 ? 1 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
  }
}
