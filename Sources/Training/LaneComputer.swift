import Cluster
import Dataset
import Foundation
import Kernels
import Models

/// Computes lanes: one lane's contribution to a step, one batch's logits.
///
/// What it returns depends on the weights, the step and the lane alone, not on which process runs
/// it, in which order, or on how many threads.
package final class LaneComputer {
  package let network: Network
  package let schedule: LaneSchedule
  private let store: Store
  private let seed: UInt64
  /// For weights that do not lie where they can be read.
  private let weights: Storage
  private let training: Executor
  private let contribution: Storage
  private let window: ClipWindow
  private let evaluator: Evaluator
  private let prefetcher: Prefetcher
  /// How long contributions have stood waiting for their clips, all in all.
  package private(set) var waited = Duration.zero

  /// Batches that are read ahead.
  private static let depth = 4

  /// - Throws: `TrainingError` if it does not fit into `memory`
  package init(
    _ configuration: Configuration, store: Store, pool: ThreadPool, memory: MemoryBudget = .machine
  ) throws {
    let configuration = try configuration.resolved(for: store)
    network = try configuration.network(for: store)
    let clips = configuration.training.clipsPerLane
    try memory.require(
      Self.memory(network, clips: clips, threads: pool.threads),
      for: "a worker with \(clips) clips a lane",
      advice: "lower training.clipsPerLane or the network's width")
    schedule = configuration.schedule(for: store)
    seed = configuration.training.seed
    self.store = store
    window = ClipWindow(configuration, store: store)
    weights = Storage(count: network.weightCount)
    training = Executor(
      network, clips: configuration.training.clipsPerLane, loss: configuration.trainingLoss,
      trains: true, weights: weights, pool: pool)
    contribution = training.contribution
    evaluator = Evaluator(network, configuration.trainingLoss, weights: weights, pool: pool)
    let schedule = schedule
    prefetcher = Prefetcher(store: store, depth: Self.depth) { key in
      schedule.clips(epoch: key.epoch, step: key.step, lane: key.lane)
    }
  }

  /// Bytes that a worker takes: arenas, weights, clips read ahead, and vectors on their way.
  package static func memory(_ network: Models.Network, clips: Int, threads: Int) -> Int {
    Executor.memory(network, clips: clips, trains: true, threads: threads)
      + Evaluator.memory(network, threads: threads)
      + ((depth + 2) * clips * network.input.count + 3 * network.weightCount)
      * MemoryLayout<Float>.stride
  }

  package func stop() { prefetcher.stop() }

  /// Takes the weights that hold from now on: a copy, unless they lie in shared memory.
  ///
  /// - Returns: the content hash of what it has taken
  package func load(_ vector: FloatVector) -> UInt64 {
    let place = vector.shared.map { Storage($0) }
    (training.weights, evaluator.weights) = (place ?? weights, place ?? weights)
    return vector.withSpan { place == nil ? copyAndHash($0, to: weights.buffer) : contentHash($0) }
  }

  /// Says which lanes will be asked for, so that their clips are read in time: those of this step
  /// and, as things stand, of the next.
  package func announce(epoch: Int, stepInEpoch: Int, lanes: Range<Int>) {
    let last = stepInEpoch + 1 == schedule.stepsPerEpoch
    let next = last ? (epoch + 1, 0) : (epoch, stepInEpoch + 1)
    prefetcher.announce(
      [(epoch, stepInEpoch), next].flatMap { epoch, step in
        lanes.map { Prefetcher.Key(epoch: epoch, step: step, lane: $0) }
      })
  }

  /// Whether a lane's clips can be had at once, after waiting for them for a while.
  package func hasClips(
    epoch: Int, stepInEpoch: Int, lane: Int, within timeout: Duration
  ) -> Bool {
    let start = ContinuousClock.now
    defer { waited += .now - start }
    return prefetcher.wait(
      for: Prefetcher.Key(epoch: epoch, step: stepInEpoch, lane: lane), timeout: timeout)
  }

  /// One lane's share of a step: gradient, batch statistics, loss (see `Executor`). Valid until the
  /// next call.
  ///
  /// - Parameter room: where it is made, if somebody wants it there
  /// - Throws: what reading the store throws
  package func contribution(
    step: Int, epoch: Int, stepInEpoch: Int, lane: Int, clipsInStep: Int,
    in room: VectorBuffer? = nil
  ) throws -> Storage {
    let batch = try prefetcher.take(
      Prefetcher.Key(epoch: epoch, step: stepInEpoch, lane: lane))
    waited += batch.waited
    let size = store.bands * store.frames
    for place in batch.clips.indices {
      let features = batch.features.span.extracting(place * size..<(place + 1) * size)
      window.training(
        features, into: input(of: training, place), step: step, lane: lane, place: place)
    }
    _ = training.labels.buffer.update(from: batch.labels)
    training.contribution = room.map { Storage($0) } ?? contribution
    training.train(
      clips: batch.clips.count, clipsInStep: clipsInStep,
      dropout: DropoutStreams(seed: seed, step: step, lane: lane))
    return training.contribution
  }

  /// Names what in a contribution is not finite, and the clips that made it; nil if all is well.
  package func defect(
    in contribution: Storage, epoch: Int, stepInEpoch: Int, lane: Int
  ) throws -> String? {
    guard let index = Tensor(contribution, shape: [contribution.count]).firstNotFinite else {
      return nil
    }
    let window = (network.parameters + network.statistics).first { $0.range.contains(index) }
    let clips = try schedule.clips(epoch: epoch, step: stepInEpoch, lane: lane)
      .map { try store.id(ofClip: $0) }
    let what = window.map { "the gradient of \($0.name)" } ?? "the loss"
    return
      "\(what) is \(contribution.base[index]) in lane \(lane), clips \(clips.joined(separator: ", "))"
  }

  /// Says which clips of a split will be asked for next.
  ///
  /// - Returns: their numbers in the store
  @discardableResult
  package func announce(_ split: Split, _ clips: Range<Int>) throws -> [Int] {
    let all = store.range(of: split)
    let clips = clips.clamped(to: 0..<all.count).map { all.lowerBound + $0 }
    try store.willNeed(clips)
    return clips
  }

  /// Logits of some clips of a split (see `Evaluator`).
  package func logits(_ split: Split, _ clips: Range<Int>) throws -> [Float] {
    try evaluator.logits(store, split, clips)
  }

  /// The window of one clip in an executor's input.
  private func input(of executor: Executor, _ place: Int) -> Tensor {
    let input = executor.input
    return Tensor(
      input.storage, offset: input.offset + place * network.input.count, shape: network.input)
  }
}
