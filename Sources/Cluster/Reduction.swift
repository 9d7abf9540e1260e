/// The ways to sum the lanes' vectors of a step. All follow the lane tree and give the same bits; they
/// differ in who adds what, and so in the traffic. A new one is a file and a case here.
package enum Topology: String, Sendable, CaseIterable {
  /// Workers send what they could add; the coordinator finishes the sum.
  case star
  /// Each worker finishes the sum of a slice; any step may be finished as a star.
  case sharded

  /// - Parameters:
  ///   - count: elements in every vector
  ///   - wire: how lanes are rounded before they are added
  ///   - memory: where sums are made, if the coordinator shares it
  ///   - exchange: the worker's links to others; without them it takes part in stars only
  package static func makeWorkerSide(
    tree: LaneTree, count: Int, wire: WireFormat = .fp32, in memory: SharedVectors? = nil,
    exchange: PeerExchange? = nil
  ) -> any WorkerReduction {
    guard let exchange else {
      return StarReduction.WorkerSide(tree: tree, count: count, wire: wire, in: memory)
    }
    return ShardedReduction.WorkerSide(
      tree: tree, count: count, wire: wire, in: memory, exchange: exchange)
  }

  package func makeCoordinatorSide(tree: LaneTree, count: Int) -> any CoordinatorReduction {
    switch self {
    case .star: StarReduction.CoordinatorSide(tree: tree, count: count)
    case .sharded: ShardedReduction.CoordinatorSide(tree: tree, count: count)
    }
  }
}

/// What a coordinator is asked for: one of the topologies, or the one that suits.
package enum TopologyChoice: String, Sendable, CaseIterable {
  case star, sharded, auto
}

/// A worker's part of a reduction, step after step.
package protocol WorkerReduction {
  /// Begins a step with lanes that this worker is to compute, as `order` says. What was not finished is
  /// forgotten.
  mutating func begin(_ order: Compute, parametersHash: UInt64)

  /// Where to compute the vector of a lane that is added next, so that it need not be copied; nil for
  /// anywhere.
  func room(for lane: Int) -> VectorBuffer?

  /// Takes a lane's vector and sends what can be sent by now, perhaps nothing.
  ///
  /// - Precondition: `lane` belongs to the order, and the vector has the agreed count
  mutating func add(
    _ values: Span<Float>, lane: Int, send: (Message) throws(ClusterError) -> Void
  ) throws(ClusterError)

  /// Sends the coordinator what it would have got in a star: the step cannot be finished otherwise.
  mutating func gather(
    step: Int, send: (Message) throws(ClusterError) -> Void
  ) throws(ClusterError)
}

/// The coordinator's part of a reduction, step after step.
package protocol CoordinatorReduction {
  /// Begins a step. What was not finished is forgotten.
  mutating func begin(step: Int, parametersHash: UInt64)

  /// Takes what a worker has sent.
  mutating func accept(_ partial: Partial) -> PartialOutcome

  /// The step's sum is to come in slices, from so many owners; or as partial sums all the same.
  mutating func share(among owners: Int)

  /// Takes an owner's slice of the sum.
  mutating func accept(_ slice: Slice) -> PartialOutcome

  /// Lanes that are not in the sum yet, as contiguous ranges in order.
  var missing: [Range<Int>] { get }

  /// The sum over all lanes, once none is missing.
  var sum: FloatVector? { get }
}

/// What became of a partial sum.
package enum PartialOutcome: Hashable, Sendable {
  case added
  /// Its lanes were in the sum already. Harmless: they are the same bits.
  case duplicate
  /// For another step: a late answer.
  case otherStep
  /// Computed with other parameters than the step's.
  case otherParameters
  /// For lanes that are no node of the tree, or with another count of elements.
  case malformed
}
