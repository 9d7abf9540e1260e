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
  private let weights: Storage
  private let training: Executor
  private let evaluation: Executor
  private let window: ClipWindow
  private let prefetcher: Prefetcher
  /// How long contributions have stood waiting for their clips, all in all.
  package private(set) var waited = Duration.zero
  /// A clip that is evaluated, `[F, T]`.
  private var clip: [Float]

  /// Batches that are read ahead.
  private static let depth = 4

  /// Clips that are evaluated together. Batches begin at multiples of it, counted from the split's
  /// first clip, so that a clip always has the same company.
  package static let evaluationBatch = 4

  /// - Throws: what does not fit: configuration and store, or network and memory
  package init(_ configuration: Configuration, store: Store, pool: ThreadPool) throws {
    let configuration = try configuration.resolved(for: store)
    network = try configuration.network(for: store)
    let clips = configuration.training.clipsPerLane
    try MachineMemory.require(
      Executor.memory(network, clips: clips, trains: true, threads: pool.threads)
        + Executor.memory(
          network, clips: Self.evaluationBatch, trains: false, threads: pool.threads)
        + (Self.depth + 2) * clips * store.bands * store.frames * MemoryLayout<Float>.stride,
      for: "a worker with \(clips) clips a lane",
      advice: "lower training.clipsPerLane or the network's width")
    schedule = configuration.schedule(for: store)
    seed = configuration.training.seed
    self.store = store
    window = ClipWindow(configuration, store: store)
    clip = [Float](repeating: 0, count: store.bands * store.frames)
    weights = Storage(count: network.weightCount)
    training = Executor(
      network, clips: configuration.training.clipsPerLane, loss: configuration.trainingLoss,
      trains: true, weights: weights, pool: pool)
    evaluation = Executor(
      network, clips: Self.evaluationBatch, loss: configuration.trainingLoss, trains: false,
      weights: weights, pool: pool)
    let schedule = schedule
    prefetcher = Prefetcher(store: store, depth: Self.depth) { key in
      schedule.clips(epoch: key.epoch, step: key.step, lane: key.lane)
    }
  }

  package func stop() { prefetcher.stop() }

  /// The weights that hold from now on.
  package func load(_ values: [Float]) {
    precondition(values.count == weights.count, "\(values.count) of \(weights.count) weights")
    _ = weights.buffer.update(from: values)
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

  /// One lane's share of a step: gradient, batch statistics, loss (see `Executor`). Valid until the
  /// next call.
  ///
  /// - Throws: what reading the store throws
  package func contribution(
    step: Int, epoch: Int, stepInEpoch: Int, lane: Int, clipsInStep: Int
  ) throws -> Storage {
    let batch = try prefetcher.take(
      Prefetcher.Key(epoch: epoch, step: stepInEpoch, lane: lane))
    waited += batch.waited
    for place in batch.clips.indices {
      let features = batch.features.span.extracting(place * clip.count..<(place + 1) * clip.count)
      window.training(
        features, into: input(of: training, place), step: step, lane: lane, place: place)
    }
    _ = training.labels.buffer.update(from: batch.labels)
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

  /// Logits of some clips of a split, `[clips, tags]`.
  ///
  /// - Parameter clips: positions in the split, from a multiple of `evaluationBatch`
  /// - Throws: what reading the store throws
  package func logits(_ split: Split, _ clips: Range<Int>) throws -> [Float] {
    let all = store.range(of: split)
    precondition(
      clips.lowerBound % Self.evaluationBatch == 0 && clips.upperBound <= all.count,
      "logits: clips \(clips) of \(all.count)")
    var logits: [Float] = []
    logits.reserveCapacity(clips.count * network.tags)
    for start in stride(from: clips.lowerBound, to: clips.upperBound, by: Self.evaluationBatch) {
      let batch = start..<min(start + Self.evaluationBatch, clips.upperBound)
      for (place, number) in batch.enumerated() {
        try clip.withUnsafeMutableBufferPointer {
          try store.copyFeatures(ofClip: all.lowerBound + number, into: $0)
        }
        window.middle(clip.span, into: input(of: evaluation, place))
      }
      logits += evaluation.logits(clips: batch.count).values
    }
    return logits
  }
  /// The window of one clip in an executor's input.
  private func input(of executor: Executor, _ place: Int) -> Tensor {
    let input = executor.input
    return Tensor(
      input.storage, offset: input.offset + place * network.input.count, shape: network.input)
  }
}
