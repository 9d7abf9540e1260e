import Dataset
import Foundation
import Kernels
import Models

/// A network that can tag: its weights, its tags, and how its features are made.
///
/// It comes from a run's folder (the best checkpoint), from a checkpoint, or from a *model file*:
/// safetensors with tensors named as PyTorch names them, like a checkpoint without the optimizer's
/// moments and without what a run needs to go on. The same model makes the same file.
package struct TaggingModel: Sendable {
  package let network: Models.Network
  /// Parameters, then running statistics.
  package let weights: Storage
  package let tags: [String]
  package let configuration: Configuration
  /// How the features were made, as `FeatureSettings.entries` lists it; empty if nobody knows.
  package let features: [FeatureSetting]
  /// Of the checkpoint that it was read from; nil for a model file.
  package private(set) var step: Int?

  static let format = "tutti model 1"

  /// - Precondition: the weights and tags are as many as the network's, which is what
  ///   `configuration` describes
  package init(
    network: Models.Network, weights: Storage, tags: [String], configuration: Configuration,
    features: [FeatureSetting]
  ) {
    precondition(
      weights.count == network.weightCount && tags.count == network.tags,
      "TaggingModel: \(weights.count) weights and \(tags.count) tags for a network of "
        + "\(network.weightCount) and \(network.tags)")
    self.network = network
    self.weights = weights
    self.tags = tags
    self.configuration = configuration
    self.features = features
  }

  /// Reads a model file, a checkpoint, or a run's best checkpoint, and checks every byte of it.
  ///
  /// - Throws: `CheckpointError`; `ConfigurationError` or `NetworkError` if its configuration is from
  ///   another version; `TrainingError` for a folder without a best checkpoint
  package init(path: String) throws {
    let file = try SafetensorsFile(path: try Self.file(at: path))
    try file.verify()
    let description = try ModelDescription(
      file, formats: [Self.format, Checkpoint.format], kind: "a model or checkpoint")
    let network = try description.network()
    // No memory is taken for tensors that the file does not have.
    for window in network.parameters + network.statistics {
      try file.requireFloats(window.name, shape: window.shape.extents)
    }
    let weights = Storage(count: network.weightCount)
    for window in network.parameters + network.statistics {
      var span = MutableSpan(
        _unsafeElements: Tensor(weights, offset: window.offset, shape: window.shape).buffer)
      try file.read(window.name, into: &span)
    }
    self.init(
      network: network, weights: weights, tags: description.tags,
      configuration: description.configuration, features: description.features)
    step = file.step
  }

  private static func file(at path: String) throws -> String {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue
    else { return path }
    let best = path + "/best.safetensors"
    guard FileManager.default.fileExists(atPath: best) else {
      throw TrainingError(
        .badInput,
        "\(path) has no best.safetensors: give a model, a checkpoint, or the folder of a run that "
          + "has been validated")
    }
    return best
  }

  /// Writes the model file.
  ///
  /// - Throws: `TrainingError` if there is something at `path`; `FileError`
  package func write(to path: String) throws {
    guard access(path, F_OK) != 0 else {
      throw TrainingError(
        .badInput, "there is something at \(path) already: remove it, or write to another place")
    }
    let windows = network.parameters + network.statistics
    let description = ModelDescription(network, configuration, tags: tags, features: features)
    try SafetensorsWriter.write(
      path, tensors: windows.map { SafetensorsTensor($0.name, shape: $0.shape.extents) },
      metadata: try description.metadata(format: Self.format)
    ) { writer in
      for window in windows {
        let values = UnsafeBufferPointer(rebasing: weights.buffer[window.range])
        try writer.append(Span(_unsafeElements: values))
      }
    }
  }
}
