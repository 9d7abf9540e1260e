import Dataset
import Kernels
import Models

/// A network's answers, without training: running statistics, no dropout, and an arena that is a
/// small part of what training takes.
///
/// Clips are passed through the network one at a time: a matrix product of more rows may round
/// differently, and what is said of a clip must not depend on its company. One thread calls an
/// evaluator at a time.
package final class Evaluator {
  package let network: Models.Network
  private let loss: Models.Loss
  private let executor: Executor

  /// - Parameter weights: the network's flat vector; the caller's, who may change and share it
  package init(
    _ network: Models.Network, _ loss: Models.Loss, weights: Storage, pool: ThreadPool
  ) {
    self.network = network
    self.loss = loss
    executor = Executor(
      network, clips: 1, loss: loss, trains: false, weights: weights, pool: pool)
  }

  /// The network's flat vector; another may take its place.
  package var weights: Storage {
    get { executor.weights }
    set { executor.weights = newValue }
  }

  /// Bytes that an evaluator takes, the weights apart.
  package static func memory(_ network: Models.Network, threads: Int) -> Int {
    Executor.memory(network, clips: 1, trains: false, threads: threads)
  }

  /// Logits of some clips of a split, `[clips, tags]`.
  ///
  /// - Parameter clips: positions in the split
  /// - Throws: what reading the store throws
  package func logits(
    _ store: Store, _ split: Split, _ clips: Range<Int>
  ) throws -> [Float] {
    let all = store.range(of: split)
    precondition(
      clips.lowerBound >= 0 && clips.upperBound <= all.count,
      "logits: clips \(clips) of \(all.count)")
    var map = [Float](repeating: 0, count: store.bands * store.frames)
    var logits: [Float] = []
    logits.reserveCapacity(clips.count * network.tags)
    for clip in clips {
      try map.withUnsafeMutableBufferPointer {
        try store.copyFeatures(ofClip: all.lowerBound + clip, into: $0)
      }
      fill(with: map)
      logits += executor.logits(clips: 1).values
    }
    return logits
  }

  /// Probabilities of the tags for one map, `[F, T]`.
  package func probabilities(_ map: [Float]) -> [Float] {
    fill(with: map)
    let logits = executor.logits(clips: 1)
    loss.probabilities(logits)
    return logits.values
  }

  /// Copies a map into the input. Where it has more frames than the network takes, their middle is
  /// taken: the crop of every clip that is not trained with.
  private func fill(with map: [Float]) {
    let (bands, frames) = (network.input[1], network.input[2])
    let mapFrames = map.count / bands
    precondition(
      map.count == bands * mapFrames && mapFrames >= frames,
      "a map of \(map.count) values for an input of \(network.input)")
    let start = (mapFrames - frames) / 2
    let input = executor.input.base
    map.withUnsafeBufferPointer { map in
      for band in 0..<bands {
        (input + band * frames).update(
          from: map.baseAddress! + band * mapFrames + start, count: frames)
      }
    }
  }
}
