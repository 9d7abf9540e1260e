import Foundation
import Kernels
import Models
import Testing
import Training

/// Every network against PyTorch: forward, backward, statistics, and five steps of the real update.
///
/// The tolerances are shares of a tensor's largest value. PyTorch's own single precision is off its
/// double precision by up to 5e-5 in gradients of convolutions, which sum a hundred thousand
/// products each, and by 1e-6 elsewhere (`float32Error` in the fixtures' metadata). Ours are off by
/// 1e-5 and 3e-6 at most; a processor with other vectors may round otherwise.
@Suite struct TorchGoldenTests {
  static let names = [
    "k1c2", "k2c1", "k2c2", "crnn", "crnn-reset-after", "crnn-average", "crnn-frames", "mlp",
    "rnn-tanh",
    "rnn-gru", "rnn-lstm", "rnn-gru-every-step", "rnn-output-to-hidden",
  ]

  /// A network in the state of a fixture, with the fixture's batch in its executor.
  private struct Trainer {
    let golden: TorchGolden
    let state: RunState
    let executor: Executor
    let pool = ThreadPool(threads: 1)

    init(_ name: String) throws {
      golden = try TorchGolden(name)
      let network = golden.network
      // the defaults are the fixtures' optimizer: 0.001, 0.9, 0.999, 1e-8
      state = RunState(network, Configuration(), stepsPerEpoch: 100)
      let initial = try golden.flat("initial", network.parameters + network.statistics)
      _ = state.weights.buffer.update(from: initial)
      executor = Executor(
        network, clips: golden.clips, loss: Loss(.binary), trains: true, weights: state.weights,
        pool: pool)
      fill()
      _ = executor.labels.buffer.update(from: golden.labels)
    }

    func fill() { _ = executor.input.buffer.update(from: golden.input) }

    /// Returns the logits and the loss.
    func forwardAndBackward() -> (logits: [Float], loss: Float) {
      let logits = executor.train(
        clips: golden.clips, clipsInStep: golden.clips,
        dropout: DropoutStreams(seed: 0, step: state.position.step, lane: 0)
      ).values
      return (logits, executor.contribution.base[golden.network.weightCount])
    }
  }

  @Test("the fixture's tensors are the network's", arguments: names)
  func tensors(name: String) throws {
    let golden = try TorchGolden(name)
    let (parameters, statistics) = (golden.network.parameters, golden.network.statistics)
    #expect(golden.count("initial") == parameters.count + statistics.count)
    #expect(golden.count("gradient") == parameters.count)
    #expect(golden.count("statistics") == statistics.count)
  }

  @Test("logits, loss, gradients and statistics of one step", arguments: names)
  func oneStep(name: String) throws {
    let trainer = try Trainer(name)
    let (golden, network) = (trainer.golden, trainer.golden.network)
    let initial = trainer.state.weights.values
    let (logits, loss) = trainer.forwardAndBackward()
    expectNear(logits, try golden.values("logits"), within: 5e-6, "logits")
    expectNear([loss], try golden.values("loss"), within: 1e-6, "loss")
    let contribution = trainer.executor.contribution.values
    for window in network.parameters {
      let expected = try golden.values("gradient.\(window.name)", shape: window.shape)
      let convolves = window.name.hasPrefix("conv") || window.name.hasPrefix("bn")
      expectNear(
        contribution[window.range], expected, within: convolves ? 3e-5 : 1e-5,
        "gradient of \(window.name)")
    }

    _ = trainer.state.apply(trainer.executor.contribution, stepsPerEpoch: 100, pool: trainer.pool)
    for window in network.statistics {
      expectNear(
        trainer.state.weights.values[window.range],
        try golden.values("statistics.\(window.name)", shape: window.shape), within: 5e-6,
        window.name)
    }

    // the fixture evaluates the initial parameters with the statistics after the step
    let statistics = trainer.state.weights.values[network.parameterCount...]
    _ = trainer.state.weights.buffer.update(
      from: initial[..<network.parameterCount] + statistics)
    trainer.fill()
    expectNear(
      trainer.executor.logits(clips: golden.clips).values,
      try golden.values("evaluation.logits"), within: 1e-5, "logits in evaluation")
  }

  @Test("five steps of Adam", arguments: names)
  func fiveSteps(name: String) throws {
    let trainer = try Trainer(name)
    let (golden, network) = (trainer.golden, trainer.golden.network)
    var losses: [Float] = []
    for _ in 0..<5 {
      losses.append(trainer.forwardAndBackward().loss)
      _ = trainer.state.apply(
        trainer.executor.contribution, stepsPerEpoch: 100, pool: trainer.pool)
    }
    expectNear(losses, try golden.values("losses5"), within: 5e-6, "losses")
    let weights = trainer.state.weights.values
    // Adam divides a gradient by its own size: a small one's noise becomes a share of a step
    let step = 1e-3
    for window in network.parameters {
      let expected = try golden.values("adam5.\(window.name)", shape: window.shape)
      let differ = zip(weights[window.range], expected).count { found, exact in
        !(abs(Double(found) - Double(exact)) <= 0.01 * step)
      }
      #expect(differ == 0, "\(window.name)")
    }
    for window in network.statistics {
      expectNear(
        weights[window.range], try golden.values("adam5.\(window.name)", shape: window.shape),
        within: 1e-4, window.name)
    }
  }

  @Test(
    "losses and their gradients, for large logits too",
    arguments: [
      "binary", "binaryLarge", "softmax", "softmaxLarge", "weighted", "weightedLarge",
    ])
  func losses(name: String) throws {
    let file = try TorchGolden.file("losses")
    func tensor(_ what: String) throws -> Tensor {
      let shape = try #require(file.tensor("\(name).\(what)")).shape
      return Tensor(try file.read("\(name).\(what)"), shape: Shape(shape))
    }
    let kind: Loss.Kind = name.hasPrefix("softmax") ? .softmax : .binary
    let weights = name.hasPrefix("weighted") ? try tensor("positiveWeights").values : []
    let (logits, labels) = (try tensor("logits"), try tensor("labels"))
    let gradient = Tensor(shape: logits.shape)
    let loss = Loss(kind, positiveWeights: weights).share(
      logits: logits, labels: labels, gradient: gradient, clipsInStep: logits.shape[0])
    expectNear([loss], try tensor("loss").values, within: 2e-7, "loss")
    expectNear(gradient.values, try tensor("gradient").values, within: 1e-6, "gradient")

    let bits = Loss(kind, bits: true, positiveWeights: weights).share(
      logits: logits, labels: labels, gradient: gradient, clipsInStep: logits.shape[0])
    expectNear([bits], try tensor("loss").values.map { $0 / Float(log(2.0)) }, within: 3e-7, "bits")
    expectNear(
      gradient.values, try tensor("gradient").values.map { $0 / Float(log(2.0)) }, within: 1e-6,
      "gradient in bits")
  }
}
