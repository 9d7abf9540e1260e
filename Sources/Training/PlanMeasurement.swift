import Cluster
import Foundation
import Kernels
import Layers
import Models

/// Measures `PlanRates` on this machine, in a few seconds and with what a run computes with.
package struct PlanMeasurement {
  package let configuration: Configuration
  package let network: Models.Network
  package let threads: Int

  package init(_ configuration: Configuration, _ network: Models.Network, threads: Int) {
    (self.configuration, self.network, self.threads) = (configuration, network, threads)
  }

  package var subject: PlanRates.Subject {
    PlanRates.Subject(
      network: network.name, weights: network.weightCount, multiplyAdds: network.multiplyAdds,
      clipsPerLane: configuration.training.clipsPerLane, threads: threads)
  }

  /// - Throws: `TrainingError` if a lane does not fit into this machine's memory
  package func rates(memory: MemoryBudget = .machine) throws -> PlanRates {
    let clips = configuration.training.clipsPerLane
    try memory.require(
      LaneComputer.memory(network, clips: clips, threads: threads), for: "measuring a lane",
      advice: "lower training.clipsPerLane or the network's width, or give --rates")
    let pool = ThreadPool(threads: threads)
    let state = RunState(network, configuration, stepsPerEpoch: 1000)
    let lane = lane(state.weights, pool)
    let clip = forward(state.weights, pool)
    pool.stop()
    let update = update(state)
    let bytes = Double(network.weightCount * MemoryLayout<Float>.stride)
    let (added, copied) = passes()
    let exchange = try ExchangeMeasurement(count: network.weightCount + 1).measured()
    return PlanRates(
      subject: subject, processor: Processor.description,
      cores: ProcessInfo.processInfo.activeProcessorCount, secondsPerLane: lane,
      secondsPerClip: clip, updateSeconds: update, secondsPerByteAdded: added / bytes,
      secondsPerByteCopied: copied / bytes, roundTripSeconds: exchange.roundTrip,
      message: exchange.message, plainByte: exchange.plainByte,
      encryptedByte: exchange.encryptedByte)
  }

  private func lane(_ weights: Storage, _ pool: ThreadPool) -> Double {
    let clips = configuration.training.clipsPerLane
    let executor = Executor(
      network, clips: clips, loss: configuration.trainingLoss, trains: true, weights: weights,
      pool: pool)
    fill(executor.input)
    for i in 0..<executor.labels.count { executor.labels.base[i] = i % 3 == 0 ? 1 : 0 }
    let gradient = Tensor(executor.contribution, shape: [executor.contribution.count])
    return Self.median {
      executor.train(
        clips: clips, clipsInStep: clips, dropout: DropoutStreams(seed: 0, step: 0, lane: 0))
      _ = gradient.firstNotFinite
    }
  }

  private func forward(_ weights: Storage, _ pool: ThreadPool) -> Double {
    let executor = Executor(
      network, clips: 1, loss: configuration.trainingLoss, trains: false, weights: weights,
      pool: pool)
    let clip = Tensor(shape: executor.input.shape)
    fill(clip)
    return Self.median {
      _ = executor.input.buffer.update(fromContentsOf: clip.buffer)
      _ = executor.logits(clips: 1)
    }
  }

  /// Decibels, as features have them.
  private func fill(_ input: Tensor) {
    let noise = RandomStream(seed: 0, purpose: .initialWeights, time: 1)
    for i in 0..<input.count { input.base[i] = -80 * noise.uniform(i) }
  }

  /// What `Coordinator.step` does with a sum, and `Crew.send` with the weights.
  private func update(_ state: RunState) -> Double {
    let pool = ThreadPool(threads: 1)
    let sum = [Float](repeating: 1e-3, count: network.weightCount + 1)
    return Self.median {
      let sum = Storage(sum.span)
      _ = Tensor(sum, shape: [sum.count]).firstNotFinite
      _ = state.apply(sum, stepsPerEpoch: 1000, pool: pool)
      _ = contentHash(state.weights.values.span)
    }
  }

  /// Seconds to add a vector of the network's length to another, and to copy and hash one.
  private func passes() -> (added: Double, copied: Double) {
    let values = [Float](repeating: 1, count: network.weightCount)
    let target = Storage(count: network.weightCount)
    var sum = LaneSum(tree: LaneTree(lanes: 2), count: values.count)
    let waiting = FloatVector(values)
    let added = Self.median {
      sum.reset()
      // Kept as it is, not copied.
      _ = sum.add(waiting, at: 0..<1)
      _ = sum.add(values.span, at: 1..<2)
    }
    let copied = Self.median { _ = copyAndHash(values.span, to: target.buffer) }
    return (added, copied)
  }

  /// Seconds of a run of `body` in the middle of several, after one that does not count: at least three, and
  /// as many as a second has time for.
  static func median(_ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    let end = clock.now + .seconds(1)
    var seconds: [Double] = []
    while seconds.count < 3 || clock.now < end && seconds.count < 200 {
      seconds.append(clock.measure(body) / .seconds(1))
    }
    return seconds.sorted()[seconds.count / 2]
  }
}
