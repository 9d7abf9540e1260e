import CSodium
import Dataset
import Foundation
import Kernels
import Models

/// A run's state in a file: safetensors, with tensors named as PyTorch names them.
///
/// Parameters and running statistics stand under their own names (`conv1.weight`,
/// `bn1.running_mean`), Adam's moments under `adam.exp_avg.` and `adam.exp_avg_sq.` before them. All
/// else is metadata, JSON or text: what a model needs to be used elsewhere (configuration, tags,
/// feature settings), and what a run needs to go on (`state`). No host, time or term is in it: runs
/// that agree leave the same bytes.
package struct Checkpoint {
  /// The state apart from tensors.
  struct Progress: Codable {
    var position: RunState.Position
    var stopping: EarlyStopping
    var learningRate: LearningRate.State
    var history: [RunState.Validation]
    var lossSum: Double
    var lossSteps: Int

    var isPossible: Bool {
      position.isPossible && stopping.isPossible && learningRate.isPossible
        && (0...position.step).contains(lossSteps)
    }
  }

  package let file: SafetensorsFile
  package let storeFingerprint: String
  private let description: ModelDescription
  private let progress: Progress
  private let progressText: String

  static let format = "tutti checkpoint 1"
  private static let moments = ["adam.exp_avg.", "adam.exp_avg_sq."]

  // MARK: Writing

  /// Writes `state` as the run's newest checkpoint.
  ///
  /// - Returns: warnings about older ones
  /// - Throws: `FileError`; the checkpoints before are then as they were
  package static func save(
    _ state: RunState, in folder: RunFolder, isBest: Bool, configuration: Configuration,
    store: Store
  ) throws -> [String] {
    let progress = Progress(
      position: state.position, stopping: state.stopping, learningRate: state.learningRate.state,
      history: state.history, lossSum: state.lossSum, lossSteps: state.lossSteps)
    let contents = contents(of: state)
    let description = ModelDescription(
      state.network, configuration, tags: store.tags, features: store.settings)
    let own = ["state": try progress.json(), "storeFingerprint": store.fingerprint]
    return try folder.writeCheckpoint(
      step: state.position.step, isBest: isBest, keep: configuration.training.keepCheckpoints,
      tensors: contents.map { SafetensorsTensor($0.name, shape: $0.tensor.shape.extents) },
      metadata: try description.metadata(format: format).merging(own) { _, own in own }
    ) { writer in
      for (_, tensor) in contents {
        try writer.append(Span(_unsafeElements: UnsafeBufferPointer(tensor.buffer)))
      }
    }
  }

  /// All tensors of a state, in the file's order.
  private static func contents(of state: RunState) -> [(name: String, tensor: Tensor)] {
    let network = state.network
    func named(_ prefix: String, _ windows: [Models.Network.Window], _ flat: Storage)
      -> [(name: String, tensor: Tensor)]
    {
      windows.map { (prefix + $0.name, Tensor(flat, offset: $0.offset, shape: $0.shape)) }
    }
    return named("", network.parameters + network.statistics, state.weights)
      + named(moments[0], network.parameters, state.optimizer.firstMoment)
      + named(moments[1], network.parameters, state.optimizer.secondMoment)
  }

  // MARK: Reading

  /// Opens a checkpoint, checks every byte of it, and reads all but its tensors.
  ///
  /// - Throws: `CheckpointError`; `ConfigurationError` if its configuration is from another version
  package init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    try file.verify()
    try self.init(file)
  }

  /// Reads all but the tensors of a file that has been checked.
  package init(_ file: SafetensorsFile) throws {
    self.file = file
    let kind = "a checkpoint"
    description = try ModelDescription(file, formats: [Self.format], kind: kind)
    progressText = try file.metadata("state", kind: kind)
    progress = try file.decodeMetadata("state", kind: kind)
    guard progress.isPossible else {
      throw CheckpointError(
        .malformed, path: file.path, detail: "no run can be where its state says")
    }
    storeFingerprint = try file.metadata("storeFingerprint", kind: kind)
  }

  package var path: String { file.path }
  package var configuration: Configuration { description.configuration }
  package var tags: [String] { description.tags }
  package var features: [FeatureSetting] { description.features }
  package var position: RunState.Position { progress.position }
  /// - Throws: `NetworkError` if its configuration is of no network
  package func network() throws(NetworkError) -> Models.Network { try description.network() }
  package var history: [RunState.Validation] { progress.history }
  package var stopping: EarlyStopping { progress.stopping }

  /// Fills a state with the checkpoint's; the network must be the checkpoint's own.
  ///
  /// - Throws: `CheckpointError.mismatched` with the tensor that differs
  package func restore(_ state: RunState) throws {
    for (name, tensor) in Self.contents(of: state) { try read(name, into: tensor) }
    state.position = progress.position
    state.stopping = progress.stopping
    state.learningRate.state = progress.learningRate
    state.history = progress.history
    state.lossSum = progress.lossSum
    state.lossSteps = progress.lossSteps
  }

  /// Fills a network's weights.
  ///
  /// - Throws: `CheckpointError.mismatched` if the checkpoint is another network's
  package func readWeights(of network: Models.Network, into weights: Storage) throws {
    for window in network.parameters + network.statistics {
      try read(window.name, into: Tensor(weights, offset: window.offset, shape: window.shape))
    }
  }

  private func read(_ name: String, into tensor: Tensor) throws {
    var span = MutableSpan(_unsafeElements: tensor.buffer)
    try file.read(name, into: &span, shape: tensor.shape.extents)
  }

  /// One SHA-256, in hexadecimal, over all state that the promise covers: every tensor's name, shape
  /// and numbers, position, early stopping, learning rate and history. Equal runs have equal
  /// digests, wherever and in however many terms they ran.
  package func digest() throws -> String {
    var hash = crypto_hash_sha256_state()
    crypto_hash_sha256_init(&hash)
    func add(_ bytes: [UInt8]) { crypto_hash_sha256_update(&hash, bytes, UInt64(bytes.count)) }
    for tensor in file.tensors.sorted(by: { $0.name < $1.name }) {
      add(Array("\(tensor.name) \(tensor.shape)\n".utf8))
      let values: [Float] = try file.read(tensor.name)
      values.withUnsafeBytes { add(Array($0)) }
    }
    add(Array(progressText.utf8))
    var result = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
    crypto_hash_sha256_final(&hash, &result)
    return result.map { String(format: "%02x", $0) }.joined()
  }
}
