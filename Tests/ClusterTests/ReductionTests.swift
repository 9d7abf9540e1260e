import Cluster
import Testing

/// Every topology, with any number of workers, over either transport: one sum, that of the lane tree.
@Suite(.serialized) struct ReductionTests {
  static let lanes = 11
  static let lengths = [0, 1, 7, 1024, 1031, 5003]

  /// A coordinator and workers that share a plan.
  struct Company {
    let stage: Stage
    let workers: [(endpoint: WorkerEndpoint, peer: PeerID, exchange: PeerExchange)]
    let tree = LaneTree(lanes: ReductionTests.lanes)
    let count: Int

    init(_ wire: Wire, workers: Int, count: Int) throws {
      let settings = EndpointSettings(largestVector: count)
      let stage = try Stage(wire, settings: settings)
      self.stage = stage
      self.count = count
      let tree = tree
      self.workers = try (0..<workers).map { _ in
        let (endpoint, peer) = try stage.join(settings)
        let exchange = try PeerExchange(
          over: stage.transport, for: endpoint, tree: tree, sumCount: count, weightCount: count)
        return (endpoint, peer, exchange)
      }
      let owners = self.workers.map { Plan.Owner($0.exchange.address) }
      for (index, worker) in self.workers.enumerated() {
        #expect(worker.exchange.follow(Plan(version: 1, index: index, owners: owners)))
      }
    }

    func close() {
      for worker in workers { worker.exchange.close() }
    }

    func order(_ worker: Int, step: Int, plan: UInt64 = 1) -> Compute {
      Compute(
        step: step, epoch: 0, stepInEpoch: step,
        lanes: assignLanes(lanes: ReductionTests.lanes, workers: workers.count)[worker],
        clipsInStep: 64, plan: plan)
    }

    func side(_ worker: Int, _ topology: Topology, _ format: WireFormat) -> any WorkerReduction {
      Topology.makeWorkerSide(
        tree: tree, count: count, wire: format,
        exchange: topology == .sharded ? workers[worker].exchange : nil)
    }

    /// Takes what comes to the coordinator until it has the sum.
    func finish(_ reduction: inout any CoordinatorReduction) throws -> FloatVector {
      while true {
        if let sum = reduction.sum { return sum }
        switch try stage.coordinator.expectMessage() {
        case .partial(let partial):
          #expect([.added, .duplicate].contains(reduction.accept(partial)))
        case .slice(let slice): #expect([.added, .otherStep].contains(reduction.accept(slice)))
        default: break
        }
      }
    }
  }

  static func rounded(_ vector: [Float], _ format: WireFormat) -> [Float] {
    format.type == .fp32 ? vector : NarrowVector(vector.span, as: format).values
  }

  @Test(
    "any topology, wire type, length and number of workers gives the lane tree's sum",
    arguments: Wire.allCases, Array(1...9))
  func sameBits(wire: Wire, workers: Int) throws {
    for count in Self.lengths {
      let company = try Company(wire, workers: workers, count: count)
      defer { company.close() }
      var generator = Seeded(UInt64(count + workers))
      var step = 0
      for type in WireType.allCases {
        let format = type == .fp32 ? .fp32 : WireFormat(type, narrowCount: count - count / 5)
        let vectors = (0..<Self.lanes).map { _ in roughVector(count, &generator) }
        let expected = LaneSumTests.slowSum(
          company.tree, vectors.map { Self.rounded($0, format) }, company.tree.root)
        for topology in Topology.allCases {
          var total = topology.makeCoordinatorSide(tree: company.tree, count: count)
          total.begin(step: step, parametersHash: 99)
          if topology == .sharded { total.share(among: workers) }
          for worker in (0..<workers).shuffled(using: &generator) {
            var side = company.side(worker, topology, format)
            let order = company.order(worker, step: step)
            side.begin(order, parametersHash: 99)
            for lane in order.lanes.shuffled(using: &generator) {
              let vector = vectors[lane]
              try side.add(
                vector.span, lane: lane, send: company.workers[worker].endpoint.send)
            }
          }
          let sum = try company.finish(&total)
          #expect(bits(sum) == bits(expected), "\(topology), \(type), \(count) elements")
          #expect(total.missing.isEmpty)
          step += 1
        }
      }
      try weights(company, &generator)
    }
  }

  /// Each owner gets its slice, and every worker the whole.
  private func weights(_ company: Company, _ generator: inout Seeded) throws {
    let weights = roughVector(company.count, &generator)
    let slices = Slices(of: company.count, for: company.workers.count)
    for (index, worker) in company.workers.enumerated() {
      let slice = Slice(
        step: 40, index: index, values: FloatVector(Array(weights[slices[index]])),
        hash: contentHash(weights.span))
      try company.stage.coordinator.send(.slice(slice), to: worker.peer)
    }
    for worker in company.workers {
      guard case .slice(let slice) = try worker.endpoint.expectMessage() else { continue }
      worker.exchange.share(slice)
    }
    for worker in company.workers {
      #expect(
        try worker.endpoint.expectMessage()
          == .parameters(Parameters(step: 40, values: FloatVector(weights))))
    }
  }

  @Test(
    "a worker that is lost in a shared step changes nothing in the sum",
    arguments: Wire.allCases, [WireType.fp32, .fp16])
  func loss(wire: Wire, type: WireType) throws {
    let (count, workers, victim) = (5003, 4, 2)
    let format = type == .fp32 ? .fp32 : WireFormat(type, narrowCount: count)
    // Lanes that the victim has computed when it goes; the others have done theirs, or nothing yet.
    for (done, isFirst) in [(0, true), (1, true), (1, false), (3, true), (3, false)] {
      let company = try Company(wire, workers: workers, count: count)
      defer { company.close() }
      var generator = Seeded(UInt64(done))
      let vectors = (0..<Self.lanes).map { _ in roughVector(count, &generator) }
      let expected = LaneSumTests.slowSum(
        company.tree, vectors.map { Self.rounded($0, format) }, company.tree.root)
      var total = Topology.sharded.makeCoordinatorSide(tree: company.tree, count: count)
      total.begin(step: 5, parametersHash: 99)
      total.share(among: workers)
      var sides = (0..<workers).map { company.side($0, .sharded, format) }
      func compute(_ worker: Int, lanes: Int) throws {
        let order = company.order(worker, step: 5)
        sides[worker].begin(order, parametersHash: 99)
        for lane in order.lanes.prefix(lanes) {
          let vector = vectors[lane]
          try sides[worker].add(
            vector.span, lane: lane, send: company.workers[worker].endpoint.send)
        }
      }
      let others = (0..<workers).filter { $0 != victim }
      if isFirst { try compute(victim, lanes: done) }
      for worker in others { try compute(worker, lanes: Self.lanes) }
      if !isFirst { try compute(victim, lanes: done) }
      company.workers[victim].exchange.close()
      company.workers[victim].endpoint.close()

      // The coordinator has the step finished as a star.
      for worker in others {
        try sides[worker].gather(step: 5, send: company.workers[worker].endpoint.send)
      }
      var order = company.order(victim, step: 5, plan: 0)
      order.lanes = company.order(victim, step: 5).lanes
      sides[0].begin(order, parametersHash: 99)
      for lane in order.lanes {
        let vector = vectors[lane]
        try sides[0].add(vector.span, lane: lane, send: company.workers[0].endpoint.send)
      }
      #expect(bits(try company.finish(&total)) == bits(expected), "\(done) lanes, \(isFirst)")
    }
  }

  @Test(
    "slices are cut at blocks, and are all of the vector", arguments: [0, 1, 1024, 5003, 99_991])
  func slices(count: Int) {
    for owners in 1...9 {
      let slices = Slices(of: count, for: owners)
      var next = 0
      for owner in 0..<owners {
        #expect(slices[owner].lowerBound == next)
        #expect(next % 1024 == 0 || slices[owner].isEmpty)
        #expect(slices[owner].count <= (count / 1024 / owners + 1) * 1024 + 1024)
        next = slices[owner].upperBound
      }
      #expect(next == count)
    }
  }

  @Test(
    "slices of another step, computed with other parameters, or of another length are not taken")
  func refusals() {
    var total = Topology.sharded.makeCoordinatorSide(tree: LaneTree(lanes: 2), count: 2048)
    let values = FloatVector([Float](repeating: 1, count: 1024))
    func accept(_ change: (inout Slice) -> Void = { _ in }) -> PartialOutcome {
      var slice = Slice(step: 2, index: 0, values: values, hash: 7)
      change(&slice)
      return total.accept(slice)
    }
    total.begin(step: 2, parametersHash: 7)
    #expect(accept() == .otherStep)  // the step is not shared
    total.share(among: 2)
    #expect(accept { $0.step = 3 } == .otherStep)
    #expect(accept { $0.hash = 8 } == .otherParameters)
    #expect(accept { $0.values = [1] } == .malformed)
    #expect(accept { $0.index = 2 } == .malformed)
    #expect(accept { $0.index = -1 } == .malformed)
    #expect(accept() == .added && total.sum == nil && total.missing == [0..<2])
    #expect(accept { $0.index = 1 } == .added)
    #expect(total.sum?.array == [Float](repeating: 1, count: 2048) && total.missing.isEmpty)
    total.begin(step: 3, parametersHash: 7)
    #expect(total.sum == nil)
  }

  @Test("who cannot reach the others says so", arguments: Wire.allCases)
  func unreachable(wire: Wire) throws {
    let company = try Company(wire, workers: 2, count: 5)
    defer { company.close() }
    let own = company.workers[0].exchange.address
    let nowhere = wire == .zeroMQ ? "tcp://127.0.0.1:9" : "nowhere"
    let exchange = company.workers[0].exchange
    func plan(_ version: UInt64, _ index: Int, _ addresses: String...) -> Plan {
      Plan(version: version, index: index, owners: addresses.map { Plan.Owner($0) })
    }
    #expect(!exchange.follow(plan(2, 0, own, nowhere)))
    #expect(!exchange.follow(plan(3, 0, "somebody else", own)))
    #expect(!exchange.follow(plan(4, 5, own)))
    #expect(!exchange.follow(plan(5, 0, own, "ipc:///tmp/whatever")))
    #expect(exchange.version == 0)
  }
}
