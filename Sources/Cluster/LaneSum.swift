/// Adds lanes' vectors along the lane tree, in whatever order they arrive.
///
/// Two siblings are added as soon as both are there, always left + right, so the bits of the result are
/// those of the tree and of nothing else. A worker uses it to add what the tree lets it add and to know
/// which partials to send; the coordinator uses it to finish the sum.
///
/// Memory: at most ⌈L/2⌉ vectors wait for their siblings at any time. Buffers are kept for the next step.
package struct LaneSum {
  package enum Outcome: Hashable, Sendable {
    case added
    /// All of the node's lanes are already in the sum; the vector was dropped.
    case duplicate
    /// The tree has no such node; the vector was dropped.
    case notANode
    /// The vector has another length than the sum; it was dropped.
    case wrongLength
  }

  package let tree: LaneTree
  /// Elements in every vector.
  package let count: Int

  private var held: [LaneTree.Node: [Float]] = [:]
  private var spare: [[Float]] = []

  /// - Parameter count: elements in every vector; 0 is allowed
  package init(tree: LaneTree, count: Int) {
    precondition(count >= 0, "a vector cannot have \(count) elements")
    self.tree = tree
    self.count = count
  }

  /// Takes the sum over `node`'s lanes.
  ///
  /// Nodes may come in any order and more than once. One that arrives when parts of it are already
  /// held replaces them: by the promise both are the same bits.
  package mutating func add(_ values: Span<Float>, at node: Range<Int>) -> Outcome {
    guard tree.contains(node) else { return .notANode }
    guard values.count == count else { return .wrongLength }
    guard !covers(node) else { return .duplicate }
    for part in held.keys where node.contains(part.lowerBound) { discard(part) }

    var (node, sum) = firstSum(values, at: node)
    while let sibling = tree.sibling(of: node), let other = held.removeValue(forKey: sibling) {
      if sibling.lowerBound < node.lowerBound {
        var left = other
        addElements(of: sum.span, onto: &left, sumIsLeft: true)
        spare.append(sum)
        sum = left
      } else {
        addElements(of: other.span, onto: &sum, sumIsLeft: true)
        spare.append(other)
      }
      node = min(node.lowerBound, sibling.lowerBound)..<max(node.upperBound, sibling.upperBound)
    }
    held[node] = sum
    return .added
  }

  /// Whether every lane of `range` is in the sum.
  package func covers(_ range: Range<Int>) -> Bool {
    held.keys.contains { $0.clamped(to: range) == range }
  }

  /// The sum over all lanes, once every lane is in it.
  package var total: [Float]? { held[tree.root] }

  /// What is held, in lane order: the partial sums to send.
  package var partials: [(node: LaneTree.Node, values: [Float])] {
    held.sorted { $0.key.lowerBound < $1.key.lowerBound }.map { ($0.key, $0.value) }
  }

  /// The lanes that are not in the sum yet, as contiguous ranges in order.
  package var missing: [Range<Int>] {
    var gaps: [Range<Int>] = []
    var next = 0
    for node in held.keys.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if node.lowerBound > next { gaps.append(next..<node.lowerBound) }
      next = node.upperBound
    }
    if next < tree.laneCount { gaps.append(next..<tree.laneCount) }
    return gaps
  }

  /// Forgets every lane, for the next step.
  package mutating func reset() {
    for node in Array(held.keys) { discard(node) }
  }

  /// A new vector's first home: added into its waiting sibling if there is one, copied if not.
  private mutating func firstSum(
    _ values: Span<Float>, at node: LaneTree.Node
  ) -> (LaneTree.Node, [Float]) {
    guard let sibling = tree.sibling(of: node), var sum = held.removeValue(forKey: sibling) else {
      var copy = spare.popLast() ?? [Float](repeating: 0, count: count)
      copyElements(of: values, to: &copy)
      return (node, copy)
    }
    let siblingIsLeft = sibling.lowerBound < node.lowerBound
    addElements(of: values, onto: &sum, sumIsLeft: siblingIsLeft)
    let lower = min(node.lowerBound, sibling.lowerBound)
    return (lower..<max(node.upperBound, sibling.upperBound), sum)
  }

  private mutating func discard(_ node: LaneTree.Node) {
    if let vector = held.removeValue(forKey: node) { spare.append(vector) }
  }
}

// Floating-point addition commutes in value but not in the bits of a NaN, hence the two orders.
private func addElements(of values: Span<Float>, onto sum: inout [Float], sumIsLeft: Bool) {
  values.withUnsafeBufferPointer { values in
    sum.withUnsafeMutableBufferPointer { sum in
      if sumIsLeft {
        for i in 0..<sum.count { sum[i] = sum[i] + values[i] }
      } else {
        for i in 0..<sum.count { sum[i] = values[i] + sum[i] }
      }
    }
  }
}

private func copyElements(of values: Span<Float>, to copy: inout [Float]) {
  values.withUnsafeBufferPointer { values in
    copy.withUnsafeMutableBufferPointer { _ = $0.update(from: values) }
  }
}
