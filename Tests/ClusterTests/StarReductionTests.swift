import Cluster
import Testing

@Suite(.serialized) struct StarReductionTests {
  @Test(
    "the sum's bits do not depend on the number of workers or the wire",
    arguments: Wire.allCases, [1, 2, 3, 8, 11])
  func sameBits(wire: Wire, workers: Int) throws {
    let (lanes, count) = (8, 10_007)
    let tree = LaneTree(lanes: lanes)
    var generator = Seeded(5)
    let vectors = (0..<lanes).map { _ in roughVector(count, &generator) }
    let expected = LaneSumTests.slowSum(tree, vectors, tree.root)

    var settings = EndpointSettings(largestVector: count)
    settings.chunkBytes = 4096
    let stage = try Stage(wire, settings: settings)
    var total = Topology.star.makeCoordinatorSide(tree: tree, count: count)
    total.begin(step: 3, parametersHash: 99)
    for lanesOfOne in assignLanes(lanes: lanes, workers: workers).shuffled(using: &generator) {
      let (worker, _) = try stage.join(settings)
      var side = Topology.star.makeWorkerSide(tree: tree, count: count)
      side.begin(
        Compute(step: 3, epoch: 0, stepInEpoch: 3, lanes: lanesOfOne, clipsInStep: 64),
        parametersHash: 99)
      var sent = 0
      for lane in lanesOfOne.shuffled(using: &generator) {
        let vector = vectors[lane]
        try side.add(vector.span, lane: lane) { (message) throws(ClusterError) in
          sent += 1
          try worker.send(message)
        }
      }
      #expect(sent == tree.maximalSubtrees(covering: lanesOfOne).count)
      for _ in 0..<sent {
        guard case .partial(let partial) = try stage.coordinator.expectMessage() else { continue }
        #expect(total.accept(partial) == .added)
        #expect(total.accept(partial) == .duplicate)
      }
    }
    #expect(total.missing.isEmpty)
    #expect(bits(try #require(total.sum)) == bits(expected))
  }

  @Test("late, foreign and shapeless partials change nothing")
  func refusals() {
    var total = Topology.star.makeCoordinatorSide(tree: LaneTree(lanes: 2), count: 1)
    let partial = Partial(step: 1, node: 0..<1, values: [1], parametersHash: 7)
    #expect(total.accept(partial) == .otherStep)  // no step has begun
    total.begin(step: 2, parametersHash: 7)
    #expect(total.accept(partial) == .otherStep)
    func accept(_ change: (inout Partial) -> Void) -> PartialOutcome {
      var changed = Partial(step: 2, node: 0..<1, values: [1], parametersHash: 7)
      change(&changed)
      return total.accept(changed)
    }
    #expect(accept { $0.parametersHash = 8 } == .otherParameters)
    #expect(accept { $0.values = [1, 2] } == .malformed)
    #expect(accept { $0.node = 0..<0 } == .malformed)
    #expect(accept { $0.node = 1..<5 } == .malformed)
    #expect(total.missing == [0..<2])
    #expect(accept { $0.node = 1..<2 } == .added)
    #expect(total.missing == [0..<1] && total.sum == nil)
    #expect(accept { _ in } == .added)
    #expect(total.sum == [2])
    total.begin(step: 3, parametersHash: 7)
    #expect(total.sum == nil)
  }
}
