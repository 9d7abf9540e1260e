import Cluster
import Kernels
import Models

/// One lane that every machine can compute without data: the first weights, and noise for a clip.
///
/// Machines that round alike get the same bits; others would change the result, and are known by it.
enum LaneProbe {
  /// Content hash of the probe's gradient.
  static func hash(_ network: Models.Network, pool: ThreadPool) -> UInt64 {
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: 0)
    let executor = Executor(
      network, clips: 1, loss: Loss(.binary), trains: true, weights: weights, pool: pool)
    // Decibels, as features have them.
    let noise = RandomStream(seed: 0, purpose: .initialWeights, time: 1)
    for i in 0..<executor.input.count { executor.input.base[i] = -80 * noise.uniform(i) }
    for i in 0..<executor.labels.count { executor.labels.base[i] = i % 3 == 0 ? 1 : 0 }
    executor.train(
      clips: 1, clipsInStep: 1, dropout: DropoutStreams(seed: 0, step: 0, lane: 0))
    return contentHash(Span(_unsafeElements: UnsafeBufferPointer(executor.contribution.buffer)))
  }

  /// Bytes that it takes for a moment.
  static func memory(_ network: Models.Network, threads: Int) -> Int {
    Executor.memory(network, clips: 1, trains: true, threads: threads)
  }
}
