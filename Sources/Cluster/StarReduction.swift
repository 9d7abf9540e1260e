/// Star reduction: every worker sends its partial sums to the coordinator, who finishes the sum.
///
/// 1. A worker adds its lanes' vectors as far as the lane tree lets it. As soon as one of the maximal
///    subtrees of its lanes is complete, it sends that node's sum: one vector for a whole subtree, never
///    more than about 2·log2(L).
/// 2. The coordinator adds what arrives along the same tree, siblings as soon as both are there, left + right.
///
/// A lane that is no part of a larger sum of its worker's travels in the wire type; sums travel in 32 bits.
///
/// Bytes per step, with vectors of M bytes and W workers that hold whole subtrees: M from each worker, W·M into
/// the coordinator. Good for few workers or small models.
package enum StarReduction {
  package struct WorkerSide: WorkerReduction {
    private var sum: LaneSum
    private var order: Compute?
    private var parametersHash: UInt64 = 0
    private var unsent: [LaneTree.Node] = []
    private let wire: WireFormat
    private let memory: SharedVectors?
    /// The lanes whose slots in it may hold something.
    private var touched = 0..<0

    package init(
      tree: LaneTree, count: Int, wire: WireFormat = .fp32, in memory: SharedVectors? = nil
    ) {
      self.wire = wire
      self.memory = memory
      sum = LaneSum(tree: tree, count: count, in: memory)
    }

    package mutating func begin(_ order: Compute, parametersHash: UInt64) {
      sum.reset()
      if let memory { clear(memory, for: order) }
      self.order = order
      self.parametersHash = parametersHash
      unsent = sum.tree.maximalSubtrees(covering: order.lanes)
    }

    package func room(for lane: Int) -> VectorBuffer? {
      wire.type == .fp32 ? sum.room(at: lane..<lane + 1) : nil
    }

    package mutating func add(
      _ values: Span<Float>, lane: Int, send: (Message) throws(ClusterError) -> Void
    ) throws(ClusterError) {
      guard let order, order.lanes.contains(lane) else {
        preconditionFailure("lane \(lane) is not among \(order?.lanes ?? 0..<0)")
      }
      let node = lane..<lane + 1
      precondition(
        values.count == sum.count, "lane \(lane) has \(values.count) of \(sum.count) elements")
      let outcome: LaneSum.Outcome
      if wire.type == .fp32 {
        outcome = sum.add(values, at: node)
      } else {
        let rounded = NarrowVector(values, as: wire)
        if unsent.contains(node) && memory == nil {
          return try self.send(FloatVector(rounded), of: node, order, send)
        }
        outcome = sum.add(rounded.values.span, at: node)
      }
      precondition(outcome == .added, "lane \(lane) of \(order.lanes): \(outcome)")
      for partial in sum.partials where unsent.contains(partial.node) {
        try self.send(partial.values, of: partial.node, order, send)
      }
    }

    /// Lanes move from worker to worker. What was written for those that are elsewhere by now goes when the
    /// next step begins: the step before is whole, and nobody looks at it any more.
    private mutating func clear(_ memory: SharedVectors, for next: Compute) {
      guard next.step != order?.step, !touched.isEmpty,
        touched.clamped(to: next.lanes) != touched
      else {
        let (old, new) = (touched.isEmpty ? next.lanes : touched, next.lanes)
        touched = min(old.lowerBound, new.lowerBound)..<max(old.upperBound, new.upperBound)
        return
      }
      memory.keep(only: next.lanes)
      touched = next.lanes
    }

    /// It has sent all there is.
    package mutating func gather(
      step: Int, send: (Message) throws(ClusterError) -> Void
    ) throws(ClusterError) {}

    private mutating func send(
      _ values: FloatVector, of node: LaneTree.Node, _ order: Compute,
      _ send: (Message) throws(ClusterError) -> Void
    ) throws(ClusterError) {
      unsent.removeAll { $0 == node }
      try send(
        .partial(
          Partial(
            step: order.step, node: node, values: values, parametersHash: parametersHash)))
    }
  }

  package struct CoordinatorSide: CoordinatorReduction {
    private var total: LaneSum
    private var step: Int?
    private var parametersHash: UInt64 = 0

    package init(tree: LaneTree, count: Int) {
      total = LaneSum(tree: tree, count: count)
    }

    package mutating func begin(step: Int, parametersHash: UInt64) {
      total.reset()
      self.step = step
      self.parametersHash = parametersHash
    }

    package mutating func accept(_ partial: Partial) -> PartialOutcome {
      guard partial.step == step else { return .otherStep }
      guard partial.parametersHash == parametersHash else { return .otherParameters }
      return switch total.add(partial.values, at: partial.node) {
      case .added: .added
      case .duplicate: .duplicate
      case .notANode, .wrongLength: .malformed
      }
    }

    /// Nobody owns a part of a star's sum.
    package mutating func share(among owners: Int) {}
    package mutating func accept(_ slice: Slice) -> PartialOutcome { .malformed }

    package var missing: [Range<Int>] { total.missing }
    package var sum: FloatVector? { total.total }
  }
}
