import Glibc

/// A worker's links to the other workers of a step, for sums and weights that go slice by slice.
///
/// It listens for the others and connects to each of them; what it says to one goes over its own connection, and
/// all that it hears comes in where it listens. A thread of its own adds what comes while the worker computes:
/// the sum of its slice goes to the coordinator when the last lane is in it, and the weights are handed to
/// the worker, as if the coordinator had sent them, when the last slice has come.
///
/// Where connections are encrypted, a worker shows the others the key that it shows the coordinator, and lets in
/// just the owners of the plan that it follows.
///
/// Nothing here has to succeed. Who misses something asks the coordinator, and who is missed is noticed there.
package final class PeerExchange: Sendable {
  /// Where the others find this worker.
  package let address: String

  private struct State: Sendable {
    var plan: Plan?
    var links: [Int: WorkerEndpoint] = [:]
    var sum: SliceSum?
    var weights: SharedWeights?
    /// The weights that the worker waits for.
    var wanted: (step: Int, hash: UInt64)?
  }

  /// The sum of this worker's slice over a step's lanes.
  private struct SliceSum: Sendable {
    let step: Int
    let parametersHash: UInt64
    var sum: LaneSum
    var isSent = false
  }

  private struct SharedWeights: Sendable {
    let step: Int
    let hash: UInt64
    var vector: SlicedVector
  }

  private let tree: LaneTree
  /// Elements in a lane's vector and in the weights.
  private let counts: (sum: Int, weights: Int)
  private let transport: any Transport
  private let settings: EndpointSettings
  private let coordinator: WorkerEndpoint
  private let hall: CoordinatorEndpoint
  private let state = Guarded(State())
  private let thread: Guarded<IOThread?> = Guarded(nil)

  /// Listens on the interface by which the coordinator is reached.
  ///
  /// - Parameters:
  ///   - coordinator: the worker's own link, where sums go and weights come from
  ///   - sumCount, weightCount: elements in a lane's vector, and in the weights
  /// - Throws: `ClusterError` if this machine has no such address
  package init(
    over transport: any Transport, for coordinator: WorkerEndpoint, tree: LaneTree, sumCount: Int,
    weightCount: Int
  ) throws(ClusterError) {
    self.tree = tree
    self.transport = try transport.forManyConnections()
    self.coordinator = coordinator
    counts = (sumCount, weightCount)
    var settings = EndpointSettings(largestVector: max(sumCount, weightCount))
    // With many workers these are most of all messages, and the coordinator knows sooner who is gone.
    (settings.heartbeat, settings.silence) = (.milliseconds(2500), .seconds(10))
    self.settings = settings
    hall = try CoordinatorEndpoint(
      listeningAt: EndpointAddress.beside(coordinator: coordinator.address), over: transport,
      run: coordinator.run, term: coordinator.term,
      settings: settings)
    self.address = hall.address
    let listener = try IOThread { [weak self, hall] in
      while let event = try? hall.nextEvent() {
        guard let self else { return }
        if case .message(_, let message) = event { self.take(message) }
      }
    }
    thread.update { $0 = listener }
  }

  package func close() {
    hall.close()
    thread.value?.join()
    for link in state.value.links.values { link.close() }
  }

  /// So long it may take to reach everybody.
  private static let patience = Duration.seconds(3)

  /// Connects to everybody in the plan, and lets nobody else in where there are keys.
  ///
  /// - Returns: whether all were reached
  package func follow(_ plan: Plan) -> Bool {
    let old = state.update { state in
      defer { state = State() }
      return state.links.values
    }
    for link in old { link.close() }
    guard plan.owners.indices.contains(plan.index), plan.owners[plan.index].address == address
    else {
      return false
    }
    transport.admitted?.allowOnly(plan.owners.compactMap(\.key), as: "owner")
    let deadline = ContinuousClock.now + Self.patience
    var links: [Int: WorkerEndpoint] = [:]
    for (index, owner) in plan.owners.enumerated() where index != plan.index {
      guard let link = connect(to: owner, as: plan.index, until: deadline) else {
        for link in links.values { link.close() }
        return false
      }
      links[index] = link
    }
    let complete = links
    state.update { state in
      state.plan = plan
      state.links = complete
    }
    return true
  }

  /// Tries again as long as the other one does not know the plan, and so this one's key.
  private func connect(
    to owner: Plan.Owner, as index: Int, until deadline: ContinuousClock.Instant
  ) -> WorkerEndpoint? {
    // Whatever another worker has said, no file is touched.
    guard !owner.address.hasPrefix("ipc:"), owner.key != nil || transport.admitted == nil else {
      return nil
    }
    let transport = owner.key.map(transport.connecting) ?? transport
    let hello = Hello(build: "", host: "", processID: index, threads: 0, processor: "a peer")
    repeat {
      let link = try? WorkerEndpoint(
        connectingTo: owner.address, over: transport, hello: hello, settings: settings,
        timeout: max(.zero, deadline - .now))
      if let link { return link }
      usleep(20_000)
    } while .now < deadline
    return nil
  }

  /// The plan that is followed; 0 if none is.
  package var version: UInt64 { state.value.plan?.version ?? 0 }

  /// Gives everybody its slice of a partial sum.
  package func share(_ partial: Partial) {
    let state = state.value
    guard let plan = state.plan else { return }
    let slices = Slices(of: counts.sum, for: plan.owners.count)
    for index in plan.owners.indices {
      var piece = partial
      piece.values = partial.values.slice(slices[index])
      if index == plan.index { add(piece) } else { send(.partial(piece), to: index, state.links) }
    }
  }

  /// Takes this worker's own slice of the weights, and passes it on.
  package func share(_ slice: Slice) {
    let state = state.value
    guard let plan = state.plan, slice.index == plan.index else { return }
    self.state.update { $0.wanted = (slice.step, slice.hash) }
    for index in plan.owners.indices where index != plan.index {
      send(.slice(slice), to: index, state.links)
    }
    put(slice)
  }

  /// The worker has its weights from the coordinator.
  package func wantNoWeights() { state.update { $0.wanted = nil } }

  // MARK: What comes

  private func take(_ message: Message) {
    switch message {
    case .partial(let piece): add(piece)
    case .slice(let slice): put(slice)
    default: break
    }
  }

  private func add(_ piece: Partial) {
    let finished: Slice? = state.update { state in
      guard let plan = state.plan else { return nil }
      if state.sum.map({ $0.step < piece.step }) ?? true {
        let slice = Slices(of: counts.sum, for: plan.owners.count)[plan.index]
        state.sum = SliceSum(
          step: piece.step, parametersHash: piece.parametersHash,
          sum: LaneSum(tree: tree, count: slice.count))
      }
      guard state.sum?.step == piece.step, state.sum?.parametersHash == piece.parametersHash,
        state.sum?.sum.add(piece.values, at: piece.node) == .added,
        let total = state.sum?.sum.total
      else { return nil }
      return Slice(
        step: piece.step, index: plan.index, values: total, hash: piece.parametersHash)
    }
    if let finished { say(.slice(finished)) }
  }

  private func put(_ slice: Slice) {
    let finished: Parameters? = state.update { state in
      guard let plan = state.plan else { return nil }
      if state.weights.map({ $0.step != slice.step || $0.hash != slice.hash }) ?? true {
        state.weights = SharedWeights(
          step: slice.step, hash: slice.hash,
          vector: SlicedVector(Slices(of: counts.weights, for: plan.owners.count)))
      }
      guard state.weights?.vector.put(slice.values, at: slice.index) == true,
        let whole = state.weights?.vector.whole, let wanted = state.wanted,
        wanted == (slice.step, slice.hash)
      else { return nil }
      (state.weights, state.wanted) = (nil, nil)
      return whole.withSpan(contentHash) == slice.hash
        ? Parameters(step: slice.step, values: whole) : nil
    }
    if let finished { coordinator.deliver(.parameters(finished)) }
  }

  // MARK: What goes

  private func send(_ message: Message, to index: Int, _ links: [Int: WorkerEndpoint]) {
    // Lost or not there: the coordinator will miss what does not arrive.
    try? links[index]?.send(message)
  }

  private func say(_ message: Message) {
    while true {
      do throws(ClusterError) { return try coordinator.send(message) } catch {
        guard error.code == .interrupted else { return }
        coordinator.interrupt()  // it was meant for the worker, who is not waiting here
        usleep(1_000)
      }
    }
  }
}
