import Audio
import Dataset
import Foundation
import Models

/// What a file of weights says of its network, as metadata: all it takes to use it elsewhere.
///
/// Checkpoints and model files both carry it (see `Checkpoint` and `TaggingModel`).
struct ModelDescription {
  let configuration: Configuration
  let tags: [String]
  /// How the features were made; empty if nobody knows.
  let features: [FeatureSetting]
  /// One clip as the network takes it.
  let input: Input

  struct Input: Codable, Equatable {
    let bands, frames: Int
  }

  init(
    _ network: Models.Network, _ configuration: Configuration, tags: [String],
    features: [FeatureSetting]
  ) {
    self.configuration = configuration
    self.tags = tags
    self.features = features
    input = Input(bands: network.input[1], frames: network.input[2])
  }

  func metadata(format: String) throws -> [String: String] {
    [
      "format": format, "configuration": configuration.yaml, "tags": try tags.json(),
      "features": try features.json(), "input": try input.json(),
    ]
  }

  // MARK: Reading

  /// - Parameters:
  ///   - formats: those that will do
  ///   - kind: what the file should be, as in "a checkpoint"
  /// - Throws: `CheckpointError`; `ConfigurationError` if the configuration is from another version
  init(_ file: SafetensorsFile, formats: [String], kind: String) throws {
    let format = try file.metadata("format", kind: kind)
    guard formats.contains(format) else {
      throw CheckpointError(
        .unsupported, path: file.path, detail: "its format is \(format.prefix(80)), not \(kind)'s")
    }
    configuration = try Configuration(
      yaml: try file.metadata("configuration", kind: kind), place: file.path)
    tags = try file.decodeMetadata("tags", kind: kind)
    features = try file.decodeMetadata("features", kind: kind)
    if file.metadata["input"] == nil, let settings = try FeatureSettings(features, of: file.path) {
      // A checkpoint from before the input was written down.
      input = Input(bands: settings.melBands, frames: settings.frames)
    } else {
      input = try file.decodeMetadata("input", kind: kind)
    }
    let extents = 1...1 << 20
    guard extents.contains(input.bands), extents.contains(input.frames), !tags.isEmpty,
      tags.count <= 1 << 16
    else {
      throw CheckpointError(
        .malformed, path: file.path,
        detail: "\(tags.count) tags for clips of \(input.bands) bands × \(input.frames) frames")
    }
  }

  /// - Throws: `NetworkError` if the configuration's network does not take the input
  func network() throws(NetworkError) -> Models.Network {
    try configuration.network(tags: tags.count, bands: input.bands, frames: input.frames)
  }
}

extension SafetensorsFile {
  /// An entry of the metadata that `kind` of file must have.
  func metadata(_ key: String, kind: String) throws(CheckpointError) -> String {
    guard let text = metadata[key] else {
      throw CheckpointError(
        .mismatched, path: path, detail: "it has no \(key); it is not \(kind) of Tutti")
    }
    return text
  }

  /// An entry of the metadata that is JSON.
  func decodeMetadata<T: Decodable>(
    _ key: String, kind: String, as type: T.Type = T.self
  ) throws(CheckpointError) -> T {
    let text = try metadata(key, kind: kind)
    do { return try JSONDecoder().decode(T.self, from: Data(text.utf8)) } catch {
      throw CheckpointError(.malformed, path: path, detail: "its \(key) cannot be read")
    }
  }
}

extension FeatureSettings {
  /// The settings that `entries` tell of, as `FeatureSettings.entries` lists them; nil if there are
  /// none.
  ///
  /// - Parameter path: the model that has them
  /// - Throws: `CheckpointError.unsupported` if this program makes features by other definitions
  package init?(_ entries: [FeatureSetting], of path: String) throws(CheckpointError) {
    guard !entries.isEmpty else { return nil }
    // The numbers among them are the settings that can be chosen; the rest are definitions.
    let numbers = entries.filter { Double($0.value) != nil }
    let object = numbers.map { "\($0.name.quotedAsJSON):\($0.value)" }.joined(separator: ",")
    do {
      self = try JSONDecoder().decode(Self.self, from: Data("{\(object)}".utf8))
    } catch {
      throw CheckpointError(
        .unsupported, path: path,
        detail: (error as? AudioError)?.description ?? "its feature settings cannot be read")
    }
    let here = self.entries.map { FeatureSetting($0.name, $0.value) }
    guard let difference = entries.difference(from: here, here: path, there: "this program") else {
      return
    }
    throw CheckpointError(
      .unsupported, path: path, detail: "its features are made differently: \(difference)")
  }
}
