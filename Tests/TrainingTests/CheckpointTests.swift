import Dataset
import Foundation
import Kernels
import Models
import Testing
import Training

/// A checkpoint is the whole state, nothing else, and only the network's own.
@Suite struct CheckpointTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
  }

  static var configuration: Configuration { InProcessTrainingTests.configuration }

  /// A state in the midst of training, with something else in every part of it.
  private func someState(_ configuration: Configuration = configuration) throws -> RunState {
    let state = RunState(
      try configuration.network(for: store), configuration, stepsPerEpoch: 3)
    for (salt, storage) in [
      state.weights, state.optimizer.firstMoment, state.optimizer.secondMoment,
    ].enumerated() {
      let noise = RandomStream(seed: 8, purpose: .shuffle, time: salt)
      for i in 0..<storage.count { storage.base[i] = noise.uniform(i) - 0.3 }
    }
    state.weights.base[0] = -0.0
    state.weights.base[1] = .leastNonzeroMagnitude
    for _ in 0..<8 { state.position.advance(stepsPerEpoch: 3, updated: true) }
    state.position.updates = 7
    _ = state.stopping.observe(0.75, step: 3, epoch: 1)
    _ = state.stopping.observe(0.7, step: 6, epoch: 2)
    let logits = (0..<30).map { Float($0 * 7 % 30) / 10 - 1.5 }
    _ = state.validated(try SplitLabels(store, .validation).scores(logits, Loss(.binary)))
    (state.lossSum, state.lossSteps) = (1.0 / 3, 2)
    return state
  }

  @Test("a state whose weights are made elsewhere is the same")
  func elsewhere() throws {
    let pool = ThreadPool(threads: 1)
    let (here, there) = (try someState(), try someState())
    for step in 0..<4 {
      let noise = RandomStream(seed: 9, purpose: .shuffle, time: step)
      let sum = Storage((0..<here.weights.count + 1).map { noise.uniform($0) - 0.5 })
      let room = Storage(count: here.weights.count)
      let reports = [
        here.apply(sum, stepsPerEpoch: 3, pool: pool),
        there.apply(sum, into: room, stepsPerEpoch: 3, pool: pool),
      ]
      #expect(reports[0] == reports[1])
      #expect(there.weights === room)
      #expect(here.weights.values.map(\.bitPattern) == room.values.map(\.bitPattern))
    }
  }

  private func save(
    _ state: RunState, _ name: String, _ configuration: Configuration = configuration
  ) throws -> Checkpoint {
    let run = try RunFolder.create(folder / name, configuration: configuration)
    let warnings = try Checkpoint.save(
      state, in: run, isBest: false, configuration: configuration, store: store)
    #expect(warnings.isEmpty)
    return try Checkpoint(path: run.lastPath)
  }

  @Test("a state comes back bit by bit")
  func roundTrip() throws {
    var configuration = Self.configuration
    configuration.optimizer.schedule = .plateau
    configuration.optimizer.patience = 1
    let state = try someState(configuration)
    state.learningRate.observe(0.8)
    state.learningRate.observe(0.6)
    let checkpoint = try save(state, "run", configuration)
    #expect(checkpoint.configuration == configuration)
    #expect(checkpoint.tags == store.tags && checkpoint.features == store.settings)
    #expect(checkpoint.storeFingerprint == store.fingerprint)

    let other = RunState(state.network, configuration, stepsPerEpoch: 3)
    try checkpoint.restore(other)
    func bits(_ storage: Storage) -> [UInt32] { storage.values.map(\.bitPattern) }
    #expect(bits(other.weights) == bits(state.weights))
    #expect(bits(other.optimizer.firstMoment) == bits(state.optimizer.firstMoment))
    #expect(bits(other.optimizer.secondMoment) == bits(state.optimizer.secondMoment))
    #expect(other.position == state.position && other.stopping == state.stopping)
    #expect(other.history == state.history)
    #expect(other.learningRate == state.learningRate)
    #expect(other.learningRate.rate(at: 9) == configuration.optimizer.learningRate / 2)
    #expect(other.lossSum == state.lossSum && other.lossSteps == state.lossSteps)
    #expect(try save(other, "again", configuration).digest() == checkpoint.digest())

    let weights = Storage(count: state.network.weightCount)
    try checkpoint.readWeights(of: state.network, into: weights)
    #expect(bits(weights) == bits(state.weights))
  }

  @Test("the digest covers the state, all of it, and nothing else")
  func digest() throws {
    let digest = try save(try someState(), "first").digest()
    #expect(digest.count == 64)
    var configuration = Self.configuration
    configuration.training.keepCheckpoints = 7
    configuration.training.epochs = 99
    #expect(try save(try someState(), "kept longer", configuration).digest() == digest)

    let changes: [(String, (RunState) -> Void)] = [
      ("a weight", { $0.weights.base[5] = $0.weights.base[5].nextUp }),
      ("a running statistic", { $0.weights.base[$0.network.weightCount - 1] += 1 }),
      ("the sign of a zero", { $0.weights.base[0] = 0 }),
      ("the first moment", { $0.optimizer.firstMoment.base[3] += 1 }),
      ("the second moment", { $0.optimizer.secondMoment.base[3] += 1 }),
      ("the step", { $0.position.step += 1 }),
      ("the updates", { $0.position.updates -= 1 }),
      ("early stopping", { _ = $0.stopping.observe(0.1, step: 8, epoch: 2) }),
      ("the history", { $0.history[0].loss = 0.3 }),
      ("the mean loss", { $0.lossSum = (1.0 / 3).nextUp }),
    ]
    for (what, change) in changes {
      let state = try someState()
      change(state)
      #expect(try save(state, what).digest() != digest, "\(what)")
    }
  }

  @Test("another network's checkpoint is refused by the tensor that differs")
  func otherNetwork() throws {
    let checkpoint = try save(try someState(), "run")
    var wider = Self.configuration
    wider.model.widths = [8]
    var cell = Self.configuration
    cell.model.cell = .lstm
    var other = Configuration(network: .mlp)
    other.model.widths = [4, 4]
    other.model.poolFrames = 4
    for (configuration, tensor) in [
      (wider, "rnn1.weight_ih_l0"), (cell, "rnn1.weight_ih_l0"), (other, "dense1.weight"),
    ] {
      let network = try configuration.network(for: store)
      let state = RunState(network, configuration, stepsPerEpoch: 3)
      let error = #expect(throws: CheckpointError.self) { try checkpoint.restore(state) }
      #expect(error?.code == .mismatched && error?.detail.contains(tensor) == true, "\(tensor)")
      let weights = Storage(count: network.weightCount)
      #expect(throws: CheckpointError.self) {
        try checkpoint.readWeights(of: network, into: weights)
      }
    }
  }

  @Test("a store of other features or other tags is refused, by what differs")
  func otherStore() throws {
    let checkpoint = try save(try someState(), "run")
    var other = SyntheticStore()
    other.settings = [FeatureSetting("hopLength", "512")]
    try other.write(folder / "other")
    let error = #expect(throws: DatasetError.self) {
      try Evaluation(
        model: checkpoint.path, store: URL(fileURLWithPath: folder / "other"), split: .test,
        threads: 1)
    }
    #expect(error?.code == .settingsDiffer)
    #expect(error?.description.contains("hopLength is 512") == true)

    other = SyntheticStore()
    other.clips[.test] = 0
    try other.write(folder / "untested")
    let empty = #expect(throws: TrainingError.self) {
      try Evaluation(
        model: checkpoint.path, store: URL(fileURLWithPath: folder / "untested"), split: .test,
        threads: 1)
    }
    #expect(empty?.status == .badInput)
  }

  @Test("a file that is no checkpoint is told apart from a damaged one")
  func notACheckpoint() throws {
    let path = folder / "plain.safetensors"
    try SafetensorsWriter.write(
      path, tensors: [SafetensorsTensor("w", shape: [2])], metadata: [:]
    ) { try $0.append([Float](repeating: 1, count: 2)) }
    let error = #expect(throws: CheckpointError.self) { try Checkpoint(path: path) }
    #expect(error?.code == .mismatched && error?.detail.contains("not a checkpoint") == true)
  }

  @Test("tensors are named as PyTorch names them")
  func names() throws {
    let names = try save(try someState(), "run").file.tensors.map(\.name)
    for name in ["bn0.running_var", "rnn1.weight_hh_l0", "output.bias", "adam.exp_avg.bn0.weight"] {
      #expect(names.contains(name))
    }
    #expect(names.count { $0.hasPrefix("adam.exp_avg_sq.") } == 7)
  }

  // MARK: Python

  @Test(
    "Python's safetensors reads a checkpoint",
    .enabled(if: Python.hasSafetensors, "no python3 with numpy and safetensors here"))
  func pythonReads() throws {
    let state = try someState()
    let checkpoint = try save(state, "run")
    let script = """
      import sys, safetensors
      with safetensors.safe_open(sys.argv[1], "numpy") as file:
          for name in file.keys():
              print(name, *file.get_tensor(name).shape, float(file.get_tensor(name).sum(dtype="d")))
          print(file.metadata()["format"])
      """
    let output = try #require(Python.run(script, checkpoint.path))
    let lines = output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(lines.last == ["tutti", "checkpoint", "1"])
    #expect(lines.count == checkpoint.file.tensors.count + 1)
    for tensor in checkpoint.file.tensors {
      let line = try #require(lines.first { $0.first == tensor.name })
      #expect(line.dropFirst().dropLast().compactMap { Int($0) } == tensor.shape)
      let values: [Float] = try checkpoint.file.read(tensor.name)
      let sum = values.reduce(0.0) { $0 + Double($1) }
      let found = try #require(line.last.flatMap { Double($0) })
      #expect(abs(found - sum) < 1e-9)
    }
  }
}
