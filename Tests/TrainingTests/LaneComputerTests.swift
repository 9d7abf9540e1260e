import Cluster
import Dataset
import Foundation
import Kernels
import Testing
import Training

/// What a worker computes of a lane depends on weights, step and lane, not on the worker.
@Suite struct LaneComputerTests {
  let folder: TemporaryFolder
  let store: Store
  let configuration = InProcessTrainingTests.configuration

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
  }

  /// Lends a computer with the first weights.
  private func withComputer<Result>(_ body: (LaneComputer) throws -> Result) throws -> Result {
    let computer = try LaneComputer(configuration, store: store, pool: ThreadPool(threads: 1))
    defer { computer.stop() }
    let weights = RunState(computer.network, configuration, stepsPerEpoch: 3).weights.values
    #expect(computer.load(FloatVector(weights)) == contentHash(weights.span))
    return try body(computer)
  }

  private func contribution(
    _ computer: LaneComputer, step: Int, lane: Int
  ) throws -> [Float] {
    try computer.contribution(
      step: step, epoch: step / 3, stepInEpoch: step % 3, lane: lane, clipsInStep: 10
    ).values
  }

  @Test("the order of lanes, what was announced and what came before do not matter")
  func order() throws {
    let wanted = (0..<6).flatMap { step in (0..<5).map { (step: step, lane: $0) } }
    let inOrder = try withComputer { computer in
      try wanted.map { step, lane in
        if lane == 0 { computer.announce(epoch: step / 3, stepInEpoch: step % 3, lanes: 0..<5) }
        return try contribution(computer, step: step, lane: lane)
      }
    }
    let backwards = try withComputer { computer in
      _ = try computer.logits(.validation, 0..<10)
      return try wanted.reversed().map { try contribution(computer, step: $0.step, lane: $0.lane) }
    }
    #expect(inOrder == backwards.reversed())
    // In another epoch a lane may meet a clip alone again, and drop the same.
    for epoch in [inOrder.prefix(15), inOrder.suffix(15)] { #expect(Set(epoch).count == 15) }
  }

  @Test("weights and contributions in shared memory give the same bits, and are not copied")
  func sharedMemory() throws {
    func room(_ count: Int) throws -> VectorBuffer {
      let memory = try SharedVectors(slots: 2, length: count)
      var side = StarReduction.WorkerSide(tree: LaneTree(lanes: 2), count: count, in: memory)
      side.begin(
        Compute(step: 0, epoch: 0, stepInEpoch: 0, lanes: 1..<2, clipsInStep: 1, plan: 0),
        parametersHash: 0)
      return try #require(side.room(for: 1))
    }
    try withComputer { computer in
      let copied = try (0..<3).map { try contribution(computer, step: $0, lane: $0) }
      let logits = try computer.logits(.validation, 0..<10)

      let weights = RunState(computer.network, configuration, stepsPerEpoch: 3).weights.values
      let place = try room(weights.count)
      place.copy(weights.span)
      #expect(computer.load(FloatVector(place)) == contentHash(weights.span))
      let target = try room(computer.network.weightCount + 1)
      for step in 0..<3 {
        let made = try computer.contribution(
          step: step, epoch: 0, stepInEpoch: step, lane: step, clipsInStep: 10, in: target)
        #expect(made.base == target.elements.baseAddress && made.values == copied[step])
        // The next may be made elsewhere again.
        #expect(try contribution(computer, step: step, lane: step) == copied[step])
      }
      #expect(try computer.logits(.validation, 0..<10) == logits)
      place.elements[0] += 1
      #expect(try contribution(computer, step: 0, lane: 0) != copied[0])
    }
  }

  @Test("a split's logits do not depend on how it is handed out")
  func logits() throws {
    try withComputer { computer in
      let whole = try computer.logits(.validation, 0..<10)
      #expect(whole.count == 10 * 3 && Set(whole).count > 20)
      let parts = try [7..<10, 0..<4, 4..<7].map { try computer.logits(.validation, $0) }
      #expect(parts[1] + parts[2] + parts[0] == whole)
      #expect(try computer.logits(.validation, 5..<6) == Array(whole[15..<18]))
    }
  }

  @Test("a contribution that is not finite is named: tensor, lane, clips")
  func defect() throws {
    try withComputer { computer in
      let contribution = try computer.contribution(
        step: 0, epoch: 0, stepInEpoch: 0, lane: 2, clipsInStep: 10)
      func defect() throws -> String? {
        try computer.defect(in: contribution, epoch: 0, stepInEpoch: 0, lane: 2)
      }
      #expect(try defect() == nil)
      let ids = try computer.schedule.clips(epoch: 0, step: 0, lane: 2)
        .map { try store.id(ofClip: $0) }
      contribution.base[contribution.count - 1] = .infinity
      #expect(try defect() == "the loss is inf in lane 2, clips \(ids.joined(separator: ", "))")
      let window = try #require(computer.network.parameters.first { $0.name == "output.weight" })
      contribution.base[window.offset] = .nan
      #expect(try defect()?.hasPrefix("the gradient of output.weight is nan in lane 2") == true)
    }
  }
}
