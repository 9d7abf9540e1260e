import Cluster
import Foundation
import Testing

@Suite struct SharedMemoryTests {
  /// What a started worker would inherit.
  static func inherit(from memory: CoordinatorMemory) throws -> WorkerMemory {
    WorkerMemory(
      parameters: try SharedVectors(inherited: dup(memory.parameters.descriptor)),
      partials: try SharedVectors(inherited: dup(memory.forWorker().descriptor)))
  }

  @Test(
    "vectors pass through memory for who shares it, and in frames for others",
    arguments: Wire.allCases)
  func bothWays(wire: Wire) throws {
    let count = 100_003
    let settings = EndpointSettings(largestVector: count)
    let memory = try CoordinatorMemory(lanes: 4, length: count)
    let stage = try Stage(wire, settings: settings, memory: memory)
    let shared = try Self.inherit(from: memory)
    let local = try WorkerEndpoint(
      connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
      settings: settings, memory: shared)
    let first = try stage.coordinator.expect { event in
      if case .joined(let peer, _) = event { peer } else { nil }
    }
    let (remote, second) = try stage.join(settings)
    var generator = Seeded(4)
    for step in 0..<5 {
      let parameters = Message.parameters(
        Parameters(step: step, values: FloatVector(roughVector(count, &generator))))
      try stage.coordinator.send(parameters, to: [first, second])
      #expect(try local.expectMessage() == parameters)
      #expect(try remote.expectMessage() == parameters)
      #expect(memory.parameters.bytesWritten == 4 * count * (step + 1))

      let partial = Message.partial(
        Partial(
          step: step, node: 2..<4, values: FloatVector(roughVector(count, &generator)),
          parametersHash: 1))
      try local.send(partial)
      #expect(try stage.coordinator.expectMessage() == partial)
      #expect(shared.partials.bytesWritten == 4 * count * (step + 1))
      try remote.send(partial)
      #expect(try stage.coordinator.expectMessage() == partial)
    }
    #expect(stage.coordinator.defects.total == 0)
  }

  @Test("a sum that is made in shared memory is the tree's, and is not copied there")
  func sums() throws {
    let (lanes, count) = (8, 1009)
    let memory = try SharedVectors(slots: lanes, length: count)
    let tree = LaneTree(lanes: lanes)
    var generator = Seeded(6)
    var sum = LaneSum(tree: tree, count: count, in: memory)
    for _ in 0..<3 {
      let vectors = (0..<lanes).map { _ in roughVector(count, &generator) }
      sum.reset()
      for lane in (0..<lanes).shuffled(using: &generator) {
        let vector = vectors[lane]
        let outcome = sum.add(vector.span, at: lane..<lane + 1)
        #expect(outcome == .added)
      }
      let total = try #require(sum.total)
      #expect(bits(total) == bits(LaneSumTests.slowSum(tree, vectors, tree.root)))
    }
  }

  @Test(
    "sums wait where workers have made them, and come to the tree's bits with any from elsewhere",
    arguments: [1, 2, 3, 5, 8, 13], [0, 1, 1009, 70_001])
  func waiting(lanes: Int, count: Int) throws {
    var generator = Seeded(UInt64(lanes * 100_000 + count))
    let tree = LaneTree(lanes: lanes)
    var coordinator = StarReduction.CoordinatorSide(tree: tree, count: count)
    // Two divisions of the lanes, so that every lane comes twice, in sums that overlap.
    let divisions = [lanes, 2].flatMap { assignLanes(lanes: lanes, workers: $0) }
      .filter { !$0.isEmpty }
    var workers = try divisions.enumerated().map { number, _ in
      let memory = number % 3 == 2 ? nil : try SharedVectors(slots: lanes, length: count)
      return (
        side: StarReduction.WorkerSide(tree: tree, count: count, in: memory),
        isShared: memory != nil
      )
    }
    for step in 0..<3 {
      let vectors = (0..<lanes).map { _ in roughVector(count, &generator) }
      var arrivals: [Partial] = []
      for (number, lanes) in divisions.enumerated() {
        let order = Compute(
          step: step, epoch: 0, stepInEpoch: step, lanes: lanes, clipsInStep: 1, plan: 0)
        workers[number].side.begin(order, parametersHash: 9)
        let isShared = workers[number].isShared
        for lane in lanes {
          let (vector, room) = (vectors[lane], workers[number].side.room(for: lane))
          #expect(isShared || room == nil)
          room?.copy(vector.span)
          try (room.map(FloatVector.init) ?? FloatVector(vector)).withSpan {
            (values) throws(ClusterError) in
            try workers[number].side.add(values, lane: lane) { message in
              guard case .partial(let partial) = message else { return }
              #expect((partial.values.shared != nil) == isShared)
              arrivals.append(partial)
            }
          }
        }
      }
      coordinator.begin(step: step, parametersHash: 9)
      for partial in arrivals.shuffled(using: &generator) {
        let isWhole = coordinator.sum != nil
        let outcome = coordinator.accept(partial)
        #expect(outcome == .added || outcome == .duplicate)
        #expect(!isWhole || outcome == .duplicate)
        #expect((coordinator.sum != nil) == coordinator.missing.isEmpty)
      }
      let sum = try #require(coordinator.sum)
      #expect(bits(sum) == bits(LaneSumTests.slowSum(tree, vectors, tree.root)))
    }
  }

  @Test("a lane that is computed where its worker's sum will lie is not copied there")
  func rooms() throws {
    let memory = try SharedVectors(slots: 4, length: 3)
    var side = StarReduction.WorkerSide(tree: LaneTree(lanes: 4), count: 3, in: memory)
    side.begin(
      Compute(step: 0, epoch: 0, stepInEpoch: 0, lanes: 0..<4, clipsInStep: 1, plan: 0),
      parametersHash: 0)
    // The second of two siblings is added to the first: it has no room of its own.
    for lane in 0..<4 {
      let room = side.room(for: lane)
      #expect((room != nil) == (lane % 2 == 0))
      room?.copy([1, 2, 3].span)
      try (room.map(FloatVector.init) ?? [1, 2, 3]).withSpan { (values) throws(ClusterError) in
        try side.add(values, lane: lane) { message in
          guard case .partial(let partial) = message else { return }
          #expect(lane == 3 && partial.values == [4, 8, 12])
        }
      }
    }
    var narrow = StarReduction.WorkerSide(
      tree: LaneTree(lanes: 4), count: 3, wire: WireFormat(.bf16, narrowCount: 3), in: memory)
    narrow.begin(
      Compute(step: 0, epoch: 0, stepInEpoch: 0, lanes: 0..<4, clipsInStep: 1, plan: 0),
      parametersHash: 0)
    // What is rounded is another vector.
    #expect(narrow.room(for: 0) == nil)
  }

  @Test("nobody gets memory by asking for it, or twice")
  func tokens() throws {
    let settings = EndpointSettings(largestVector: 4)
    let memory = try CoordinatorMemory(lanes: 2, length: 4)
    let stage = try Stage(.inProcess, settings: settings, memory: memory)
    let shared = try Self.inherit(from: memory)
    let partial = Message.partial(
      Partial(step: 0, node: 0..<1, values: [1, 2], parametersHash: 1))
    func join() throws -> WorkerEndpoint {
      try WorkerEndpoint(
        connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
        settings: settings, memory: shared)
    }
    let first = try join()
    try first.send(partial)
    #expect(try stage.coordinator.expectMessage() == partial)
    // The same token again: somebody who has seen the hello, say.
    let second = try join()
    try second.send(partial)
    try stage.coordinator.expectRejection(.payload)
    let stranger = WorkerMemory(
      parameters: shared.parameters, partials: try SharedVectors(slots: 2, length: 4))
    let third = try WorkerEndpoint(
      connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
      settings: settings, memory: stranger)
    try third.send(partial)
    try stage.coordinator.expectRejection(.payload)
  }

  @Test("a vector that is larger than a slot, or for a lane beyond, travels in frames")
  func misfits() throws {
    let settings = EndpointSettings(largestVector: 8)
    let memory = try CoordinatorMemory(lanes: 1, length: 2)
    let stage = try Stage(.inProcess, settings: settings, memory: memory)
    let shared = try Self.inherit(from: memory)
    let worker = try WorkerEndpoint(
      connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
      settings: settings, memory: shared)
    for partial in [
      Partial(step: 0, node: 0..<1, values: [1, 2, 3], parametersHash: 1),
      Partial(step: 0, node: 1..<2, values: [1, 2], parametersHash: 1),
    ] {
      try worker.send(.partial(partial))
      #expect(try stage.coordinator.expectMessage() == .partial(partial))
    }
    #expect(shared.partials.bytesWritten == 0)
  }

  @Test("another file is no shared memory")
  func otherFiles() throws {
    for path in ["/dev/null", "/proc/self/exe"] {
      let descriptor = open(path, O_RDONLY)
      #expect(throws: ClusterError.self) { try SharedVectors(inherited: descriptor) }
      close(descriptor)
    }
    #expect(throws: ClusterError.self) { try SharedVectors(inherited: -1) }
  }
}
