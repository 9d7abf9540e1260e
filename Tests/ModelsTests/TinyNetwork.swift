import Kernels
import Layers
import Models
import Testing

/// Every network, small, with dropout wherever it can have any; and clips for it.
struct TinyNetwork: CustomTestStringConvertible, Sendable {
  let settings: NetworkSettings
  var testDescription: String { settings.testDescription }

  static let all: [TinyNetwork] = [
    TinyNetwork("k1c2", [3, 4, 5, 3, 6, 5], [1, 4, 1283]),
    TinyNetwork("k2c1", [3, 5, 4, 5, 3, 6, 5], [1, 10, 1290]),
    TinyNetwork("k2c2", [3, 5, 4, 3, 5], [1, 96, 1281]),
    TinyNetwork("crnn", [3, 5, 4, 3, 5, 4], [1, 96, 1366]),
    TinyNetwork(
      "crnn", [3, 5, 4, 3, 5, 4], [1, 96, 1366], inputNormalization: .frame, gate: .hardSigmoid),
    TinyNetwork("mlp", [5, 9], [1, 12, 50], poolFrames: 9),
    TinyNetwork("rnn", [9], [1, 12, 50], cell: .tanh),
    TinyNetwork("rnn", [9], [1, 12, 50], cell: .gru, recurrence: .everyStep),
    TinyNetwork("rnn", [9], [1, 12, 50], cell: .lstm),
    TinyNetwork("rnn", [9], [1, 12, 50], cell: .tanh, recurrence: .outputToHidden),
  ]

  /// Those that drop something: all but the output-to-hidden recurrence, which has nowhere to.
  static let dropping = all.filter { $0.settings.recurrence != .outputToHidden }

  init(_ settings: NetworkSettings) { self.settings = settings }

  private init(
    _ name: String, _ widths: [Int], _ input: Shape,
    inputNormalization: NetworkSettings.InputNormalization = .band, gate: Gate = .sigmoid,
    cell: NetworkSettings.Cell = .gru,
    recurrence: NetworkSettings.Recurrence = .lastStep, poolFrames: Int? = 5
  ) {
    settings = NetworkSettings(
      network: name, widths: .explicit(widths), tags: 7, input: input, convolutionDropout: 0.2,
      denseDropout: 0.4, inputNormalization: inputNormalization, gate: gate, cell: cell,
      recurrence: recurrence, poolFrames: poolFrames)
  }

  func network() throws -> Network { try Architectures.network(settings) }

  /// Values of `count` floats in −1…1: the same for the same `salt`.
  static func noise(_ count: Int, salt: Int) -> [Float] {
    let stream = RandomStream(seed: 77, purpose: .shuffle, time: salt)
    return (0..<count).map { 2 * stream.uniform($0) - 1 }
  }

  /// Features of clip `number`, in decibels or so.
  func features(clip number: Int) -> [Float] {
    Self.noise(settings.input.count, salt: number).map { $0 * 20 - 40 }
  }

  func labels(clip number: Int) -> [Float] {
    Self.noise(settings.tags, salt: 1_000 + number).map { $0 > 0 ? 1 : 0 }
  }
}

/// An executor with weights of its own and a pool that is stopped with it.
final class Bench {
  let executor: Executor
  let weights: Storage
  private let pool: ThreadPool

  /// - Parameter margin: floats behind the weights, which nothing may touch
  init(
    _ tiny: TinyNetwork, clips: Int, trains: Bool = true, threads: Int = 1, margin: Int = 0
  ) throws {
    let network = try tiny.network()
    pool = ThreadPool(threads: threads, spins: 0)
    weights = Storage(count: network.weightCount + margin)
    network.initialize(weights, seed: 5)
    for i in 0..<margin { weights.base[network.weightCount + i] = 12_345 }
    executor = Executor(
      network, clips: clips, loss: Loss(.binary), trains: trains, weights: weights, pool: pool)
  }

  deinit { pool.stop() }

  /// Puts these clips first in the executor.
  func fill(_ tiny: TinyNetwork, clips: Range<Int>) {
    let features = clips.flatMap { tiny.features(clip: $0) }
    _ = executor.input.buffer.update(from: features)
    _ = executor.labels.buffer.update(from: clips.flatMap { tiny.labels(clip: $0) })
  }

  /// One training pass; its logits and its contribution.
  func train(
    _ tiny: TinyNetwork, clips: Range<Int>, clipsInStep: Int? = nil, step: Int = 0, lane: Int = 0
  ) -> (logits: [Float], contribution: [Float]) {
    fill(tiny, clips: clips)
    let logits = executor.train(
      clips: clips.count, clipsInStep: clipsInStep ?? clips.count,
      dropout: DropoutStreams(seed: 9, step: step, lane: lane)
    ).values
    return (logits, executor.contribution.values)
  }

  func evaluate(_ tiny: TinyNetwork, clips: Range<Int>) -> [Float] {
    fill(tiny, clips: clips)
    return executor.logits(clips: clips.count).values
  }
}
