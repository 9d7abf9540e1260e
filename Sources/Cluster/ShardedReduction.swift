/// Sharded reduction: every worker owns one slice of the vector and sums it for everybody.
///
/// 1. A worker adds its lanes as in a star. Of each sum that it would send, it sends every other worker the
///    slice that is his.
/// 2. Who has all lanes of his slice sends its sum to the coordinator, who puts the slices together.
/// 3. The new weights go the same way back: to each owner his slice, and from there to all the others.
///
/// Bytes per step, with vectors of M bytes and W workers that hold whole subtrees: M into the coordinator and M out of
/// it, whatever W is; about 2·M·(W−1)/W out of each worker to the others, and as much in. The sum follows the
/// lane tree, element by element, so its bits are the star's.
///
/// In any trouble (a death, a lane that is late, a link that is cut) the step is finished as a star: workers keep
/// their sums until the next step, and send them to the coordinator when it asks. See `PeerExchange`.
package enum ShardedReduction {
  package struct WorkerSide: WorkerReduction {
    private var star: StarReduction.WorkerSide
    private let exchange: PeerExchange
    private var kept: [Partial] = []
    private var order: Compute?
    private var shares = false

    package init(
      tree: LaneTree, count: Int, wire: WireFormat, in memory: SharedVectors?,
      exchange: PeerExchange
    ) {
      star = StarReduction.WorkerSide(tree: tree, count: count, wire: wire, in: memory)
      self.exchange = exchange
    }

    package mutating func begin(_ order: Compute, parametersHash: UInt64) {
      kept = []
      self.order = order
      shares = order.plan != 0 && order.plan == exchange.version
      star.begin(order, parametersHash: parametersHash)
    }

    package func room(for lane: Int) -> VectorBuffer? { star.room(for: lane) }

    package mutating func add(
      _ values: Span<Float>, lane: Int, send: (Message) throws(ClusterError) -> Void
    ) throws(ClusterError) {
      guard shares else { return try star.add(values, lane: lane, send: send) }
      var complete: [Partial] = []
      try star.add(values, lane: lane) { (message) throws(ClusterError) in
        if case .partial(let partial) = message { complete.append(partial) }
      }
      for partial in complete { exchange.share(partial) }
      kept += complete
    }

    package mutating func gather(
      step: Int, send: (Message) throws(ClusterError) -> Void
    ) throws(ClusterError) {
      guard step == order?.step, shares else { return }
      shares = false
      for partial in kept { try send(.partial(partial)) }
      kept = []
    }
  }

  package struct CoordinatorSide: CoordinatorReduction {
    private var star: StarReduction.CoordinatorSide
    private let count: Int
    private var step: Int?
    private var parametersHash: UInt64 = 0
    private var sliced: SlicedVector?

    package init(tree: LaneTree, count: Int) {
      star = StarReduction.CoordinatorSide(tree: tree, count: count)
      self.count = count
    }

    package mutating func begin(step: Int, parametersHash: UInt64) {
      star.begin(step: step, parametersHash: parametersHash)
      (self.step, self.parametersHash, sliced) = (step, parametersHash, nil)
    }

    package mutating func share(among owners: Int) {
      sliced = SlicedVector(Slices(of: count, for: owners))
    }

    package mutating func accept(_ partial: Partial) -> PartialOutcome { star.accept(partial) }

    package mutating func accept(_ slice: Slice) -> PartialOutcome {
      guard slice.step == step, sliced != nil else { return .otherStep }
      guard slice.hash == parametersHash else { return .otherParameters }
      return sliced?.put(slice.values, at: slice.index) == true ? .added : .malformed
    }

    package var missing: [Range<Int>] { sum == nil ? star.missing : [] }
    package var sum: FloatVector? { sliced?.whole ?? star.sum }
  }
}
