import Cluster
import Foundation
import Glibc
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
