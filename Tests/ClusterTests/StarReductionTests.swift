import Cluster
import Testing

@Suite(.serialized) struct StarReductionTests {
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
