import Kernels
import Models
import Testing
import Training

/// Learning works from end to end: eight clips are learnt by heart.
@Suite struct OverfittingTests {
  private static func configuration(
    _ network: Configuration.Network, _ widths: [Int], poolFrames: Int = 1
  ) -> Configuration {
    var configuration = Configuration(network: network)
    configuration.model.size = nil
    configuration.model.widths = widths
    configuration.model.poolFrames = poolFrames
    configuration.model.dropout.convolution = 0
    configuration.model.dropout.dense = 0
    configuration.optimizer.learningRate = 0.01
    return configuration
  }

  @Test(
    "any network can overfit eight clips to a loss under 0.05",
    arguments: [
      (configuration(.k1c2, [6, 6, 6, 6, 12, 12]), 6, 1280),
      (configuration(.k2c1, [8, 8, 8, 8, 8, 12, 12]), 24, 1280),
      (configuration(.k2c2, [4, 8, 8, 8, 12]), 96, 1280),
      (configuration(.crnn, [4, 8, 8, 8, 12, 12]), 96, 1366),
      (configuration(.mlp, [16, 16], poolFrames: 20), 24, 200),
      (configuration(.rnn, [16], poolFrames: 20), 24, 200),
    ])
  func overfit(configuration: Configuration, bands: Int, frames: Int) throws {
    let (clips, tags) = (8, 3)
    let network = try configuration.network(tags: tags, bands: bands, frames: frames)
    let state = RunState(network, configuration, stepsPerEpoch: 1)
    let pool = ThreadPool(threads: 1)
    let executor = Executor(
      network, clips: clips, loss: configuration.trainingLoss, trains: true,
      weights: state.weights, pool: pool)
    let noise = RandomStream(seed: 6, purpose: .shuffle)
    for i in 0..<executor.input.count { executor.input.buffer[i] = 20 * noise.uniform(i) - 40 }
    // clip n has the tags whose bits are set in n; a tag is a beat of its own in bands of its own
    for (n, k) in (0..<clips * tags).map({ ($0 / tags, $0 % tags) }) {
      let has = n >> k & 1 == 1
      executor.labels.buffer[n * tags + k] = has ? 1 : 0
      for f in stride(from: k, to: bands, by: tags) where has {
        for t in 0..<frames where t / (4 + 3 * k) % 2 == 0 {
          executor.input.buffer[(n * bands + f) * frames + t] += 15
        }
      }
    }
    var loss = Double.infinity
    for step in 0..<300 where loss >= 0.05 {
      executor.train(
        clips: clips, clipsInStep: clips, dropout: DropoutStreams(seed: 0, step: step, lane: 0))
      loss = state.apply(executor.contribution, stepsPerEpoch: 1, pool: pool).loss
    }
    #expect(loss < 0.05, "after \(state.position.step) steps")
  }
}

extension Configuration: CustomTestStringConvertible {
  public var testDescription: String { model.network.rawValue }
}
