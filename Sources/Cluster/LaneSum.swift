/// Adds lanes' vectors along the lane tree, in whatever order they arrive.
///
/// Two siblings are added as soon as both are there, always left + right, so the bits of the result are
/// those of the tree and of nothing else. A worker uses it to add what the tree lets it add and to know
/// which partials to send; the coordinator uses it to finish the sum.
///
/// Vectors that lie in memory of the workers wait there instead until every lane is in, and are added in one
/// pass (see `TreeSum`).
///
/// Memory: at most ⌈L/2⌉ other vectors wait for their siblings at any time. Buffers are kept for the next step,
/// unless somebody still holds what was in them.
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

  private let memory: SharedVectors?
  /// Sums, and copies of what was lent.
  private var own: [LaneTree.Node: VectorBuffer] = [:]
  /// What was given and waits for its sibling as it is.
  private var given: [LaneTree.Node: FloatVector] = [:]
  private var spare: [VectorBuffer] = []

  /// - Parameters:
  ///   - count: elements in every vector; 0 is allowed
  ///   - memory: where the sums are made, so that they need not be copied there; it has a slot a lane
  package init(tree: LaneTree, count: Int, in memory: SharedVectors? = nil) {
    precondition(count >= 0, "a vector cannot have \(count) elements")
    self.tree = tree
    self.count = count
    self.memory = memory
  }

  /// Takes the sum over `node`'s lanes, and copies it if it has to wait.
  ///
  /// Nodes may come in any order and more than once. One that arrives when parts of it are already
  /// held replaces them: by the promise both are the same bits.
  package mutating func add(_ values: Span<Float>, at node: Range<Int>) -> Outcome {
    add(values, at: node, as: nil)
  }

  /// The same for a vector that may be kept.
  package mutating func add(_ vector: FloatVector, at node: Range<Int>) -> Outcome {
    let outcome = vector.withSpan { add($0, at: node, as: vector) }
    if missing.isEmpty { finish() }
    return outcome
  }

  /// Where the vector of a node that is added next would wait in shared memory; nil if it would not.
  func room(at node: LaneTree.Node) -> VectorBuffer? {
    guard let memory, tree.sibling(of: node).map({ own[$0] == nil }) ?? true else { return nil }
    return VectorBuffer(SharedVectors.Place(slot: node.lowerBound, count: count), in: memory)
  }

  private mutating func add(
    _ values: Span<Float>, at node: Range<Int>, as vector: FloatVector?
  ) -> Outcome {
    guard tree.contains(node) else { return .notANode }
    guard values.count == count else { return .wrongLength }
    guard !covers(node) else { return .duplicate }
    for part in nodes where node.contains(part.lowerBound) { discard(part) }
    if let vector, vector.shared != nil {
      given[node] = vector
      return .added
    }

    var node = node
    guard var sum = added(values, at: node) else {
      if let vector {
        given[node] = vector
      } else {
        let buffer = buffer(for: node)
        buffer.copy(values)
        own[node] = buffer
      }
      return .added
    }
    node = tree.parent(of: node) ?? node
    while let next = sum.withSpan({ added($0, at: node) }) {
      keep(sum)
      sum = next
      node = tree.parent(of: node) ?? node
    }
    own[node] = sum
    return .added
  }

  /// Whether every lane of `range` is in the sum.
  package func covers(_ range: Range<Int>) -> Bool {
    nodes.contains { $0.clamped(to: range) == range }
  }

  /// The sum over all lanes, once every lane is in it.
  package var total: FloatVector? { self[tree.root] }

  /// What is held, in lane order: the partial sums to send.
  package var partials: [(node: LaneTree.Node, values: FloatVector)] {
    nodes.sorted { $0.lowerBound < $1.lowerBound }.compactMap { node in
      self[node].map { (node, $0) }
    }
  }

  /// The lanes that are not in the sum yet, as contiguous ranges in order.
  package var missing: [Range<Int>] {
    var gaps: [Range<Int>] = []
    var next = 0
    for node in nodes.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if node.lowerBound > next { gaps.append(next..<node.lowerBound) }
      next = node.upperBound
    }
    if next < tree.laneCount { gaps.append(next..<tree.laneCount) }
    return gaps
  }

  /// Forgets every lane, for the next step.
  package mutating func reset() {
    for node in nodes { discard(node) }
  }

  /// Adds what waits for its sibling to no purpose: nothing more will come.
  private mutating func finish() {
    let parts = nodes
    guard parts.count > 1 else { return }
    let sum = buffer(for: tree.root)
    withTerm(at: tree.root) { $0.write(to: sum.elements) }
    for part in parts { discard(part) }
    own[tree.root] = sum
  }

  private func withTerm(at node: LaneTree.Node, _ body: (TreeSum) -> Void) {
    if let values = self[node] {
      return values.withSpan { $0.withUnsafeBufferPointer { body(.vector($0)) } }
    }
    guard let (left, right) = tree.children(of: node) else {
      preconditionFailure("lane \(node.lowerBound) is missing")
    }
    withTerm(at: left) { left in
      withTerm(at: right) { right in body(.sum(left, right)) }
    }
  }

  private var nodes: [LaneTree.Node] { Array(own.keys) + Array(given.keys) }

  private subscript(node: LaneTree.Node) -> FloatVector? {
    own[node].map(FloatVector.init) ?? given[node]
  }

  /// The sum of `values` and what waits at the sibling of `node`, which waits no longer; nil if nothing does.
  private mutating func added(_ values: Span<Float>, at node: LaneTree.Node) -> VectorBuffer? {
    guard let sibling = tree.sibling(of: node) else { return nil }
    let isLeft = node.lowerBound < sibling.lowerBound
    if var sum = own.removeValue(forKey: sibling) {
      if isKnownUniquelyReferenced(&sum) {
        addElements(of: values, onto: sum, sumIsLeft: !isLeft)
        return sum
      }
      given[sibling] = FloatVector(sum)  // somebody looks at it: it stays as it is
    }
    guard let waiting = given.removeValue(forKey: sibling) else { return nil }
    let sum = buffer(for: isLeft ? node : sibling)
    waiting.withSpan { waiting in
      if isLeft {
        writeSum(of: values, and: waiting, to: sum)
      } else {
        writeSum(of: waiting, and: values, to: sum)
      }
    }
    return sum
  }

  private mutating func buffer(for node: LaneTree.Node) -> VectorBuffer {
    if let memory {
      return VectorBuffer(SharedVectors.Place(slot: node.lowerBound, count: count), in: memory)
    }
    return spare.popLast() ?? VectorBuffer(count: count)
  }

  private mutating func discard(_ node: LaneTree.Node) {
    given[node] = nil
    if let buffer = own.removeValue(forKey: node) { keep(buffer) }
  }

  private mutating func keep(_ buffer: consuming VectorBuffer) {
    var buffer = buffer
    if buffer.memory == nil, isKnownUniquelyReferenced(&buffer) { spare.append(buffer) }
  }
}

// Floating-point addition commutes in value but not in the bits of a NaN, hence the two orders.
private func addElements(of values: Span<Float>, onto buffer: VectorBuffer, sumIsLeft: Bool) {
  let sum = buffer.elements
  values.withUnsafeBufferPointer { values in
    if sumIsLeft {
      for i in 0..<sum.count { sum[i] = sum[i] + values[i] }
    } else {
      for i in 0..<sum.count { sum[i] = values[i] + sum[i] }
    }
  }
}

private func writeSum(of left: Span<Float>, and right: Span<Float>, to buffer: VectorBuffer) {
  let sum = buffer.elements
  left.withUnsafeBufferPointer { left in
    right.withUnsafeBufferPointer { right in
      for i in 0..<sum.count { sum[i] = left[i] + right[i] }
    }
  }
}
