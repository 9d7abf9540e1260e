import Cluster
import Foundation
import Glibc
import Testing

@Suite struct SharedMemoryTests {
  /// What a started worker would inherit.
  static func inherit(from memory: CoordinatorMemory) throws -> WorkerMemory {
    WorkerMemory(
      parameters: try SharedVectors(
        inherited: dup(memory.parameters.descriptor), isWritten: false),
      partials: try SharedVectors(
        inherited: dup(memory.forWorker().descriptor), isWritten: true))
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

  @Test("a worker whose lanes move keeps memory for those that it has")
  func moving() throws {
    let (lanes, count) = (16, 4096)
    let memory = try SharedVectors(slots: lanes, length: count)
    var reduction = StarReduction.WorkerSide(
      tree: LaneTree(lanes: lanes), count: count, in: memory)
    let vector = [Float](repeating: 1, count: count)
    func compute(_ lanes: Range<Int>, step: Int) throws {
      let order = Compute(step: step, epoch: 0, stepInEpoch: step, lanes: lanes, clipsInStep: 16)
      reduction.begin(order, parametersHash: 1)
      for lane in lanes { try reduction.add(vector.span, lane: lane) { _ in } }
    }
    func vectorsHeld() -> Int {
      var status = stat()
      fstat(memory.descriptor, &status)
      return Int(status.st_blocks) * 512 / (4 * count)
    }
    for step in 0..<3 * lanes {
      let first = step * 3 % (lanes - 1)
      try compute(first..<first + 2, step: step)
      // A vector and the sum that it goes into, and no trace of the steps before.
      #expect((1...2).contains(vectorsHeld()), "step \(step): \(vectorsHeld())")
      // A second order of the same step leaves the sums of the first where they are.
      try compute(15..<16, step: step)
      #expect(vectorsHeld() >= 2)
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
        for lane in lanes {
          let isShared = workers[number].isShared
          let room = workers[number].side.room(for: lane)
          #expect(isShared || room == nil)
          let vector = FloatVector(vectors[lane])
          vector.withSpan { room?.copy($0) }
          let values = room.map(FloatVector.init) ?? vector
          try values.withSpan { (values) throws(ClusterError) in
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

  @Test("weights made where workers read them are not copied, and no worker may write there")
  func weights() throws {
    let count = 10_000
    let settings = EndpointSettings(largestVector: count)
    let memory = try CoordinatorMemory(lanes: 1, length: count)
    let stage = try Stage(.inProcess, settings: settings, memory: memory)
    let shared = try Self.inherit(from: memory)
    let worker = try WorkerEndpoint(
      connectingTo: stage.coordinator.address, over: stage.transport, hello: someHello,
      settings: settings, memory: shared)
    let peer = try stage.coordinator.expect { event in
      if case .joined(let peer, _) = event { peer } else { nil }
    }
    var rooms = ParameterRooms(stage.coordinator.memory)
    var generator = Seeded(4)
    for step in 0..<4 {
      let room = rooms.room(ofStep: step, count: count)
      let values = roughVector(count, &generator)
      room.copy(values.span)
      let parameters = Parameters(step: step, values: FloatVector(room))
      try stage.coordinator.send(.parameters(parameters), to: [peer])
      guard case .parameters(let received) = try worker.expectMessage() else {
        Issue.record("something else")
        return
      }
      #expect(received.values.array.map(\.bitPattern) == values.map(\.bitPattern))
      // As it was read after it was sent, so it lies there.
      room.elements[7] = 77
      #expect(received.values.withSpan { $0[7] } == 77)
    }
    #expect(throws: ClusterError.self) {
      try SharedVectors(inherited: dup(memory.parameters.descriptor), isWritten: true)
    }
  }

  @Test("without shared memory weights are made in buffers that nobody holds")
  func unsharedWeights() throws {
    var rooms = ParameterRooms(nil)
    var held: [VectorBuffer] = []
    for step in 0..<6 {
      let room = rooms.room(ofStep: step, count: 9)
      #expect(!held.contains { $0 === room })
      #expect(UInt(bitPattern: room.elements.baseAddress) % 64 == 0 && room.elements.count == 9)
      held.append(room)
    }
    let first = held.removeFirst().elements.baseAddress
    #expect(rooms.room(ofStep: 6, count: 9).elements.baseAddress == first)
    #expect(rooms.room(ofStep: 6, count: 8).elements.count == 8)
  }

  @Test("another file is no shared memory")
  func otherFiles() throws {
    for path in ["/dev/null", "/proc/self/exe"] {
      let descriptor = open(path, O_RDONLY)
      #expect(throws: ClusterError.self) {
        try SharedVectors(inherited: descriptor, isWritten: true)
      }
      close(descriptor)
    }
    #expect(throws: ClusterError.self) { try SharedVectors(inherited: -1, isWritten: true) }
  }
}
