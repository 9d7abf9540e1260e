import Audio
import Dataset
import Foundation
import Kernels
import Models

/// Weights by another program as a model of Tutti: `tutti import`.
///
/// The configuration says which network they belong to and what features it expects; names are
/// matched by `WeightNames`. Nothing is guessed: every tensor of the network must be there, every
/// tensor of the file must have a place, and every number must be one.
extension TaggingModel {
  /// - Parameters:
  ///   - weights: a safetensors file; half precision and doubles become floats
  ///   - tags: a file with a tag on each line, in the order of the output; nil takes the list in the
  ///     metadata `tags` of the weights
  ///   - map: a YAML file with names, theirs and ours
  /// - Throws: `CheckpointError` with every tensor that does not fit; `TrainingError` for the tags;
  ///   `ConfigurationError`, `AudioError` or `NetworkError` for map and configuration
  package init(
    importing weights: String, configuration: Configuration, tags: String? = nil,
    map: String? = nil
  ) throws {
    let file = try SafetensorsFile(path: weights)
    try file.verify()
    let tags = try tags.map(Self.tags(inFile:)) ?? Self.tags(of: file)
    var configuration = configuration
    if configuration.loss.kind == .auto { configuration.loss.kind = .binary }
    let features = try FeatureSettings(configuration.features)
    let network = try configuration.network(
      tags: tags.count, bands: features.melBands, frames: features.frames)
    self.init(
      network: network,
      weights: try Self.weights(of: network, file, map.map(WeightMap.init(path:)) ?? WeightMap()),
      tags: tags, configuration: configuration,
      features: features.entries.map { FeatureSetting($0.name, $0.value) })
  }

  // MARK: Weights

  private static func weights(
    of network: Models.Network, _ file: SafetensorsFile, _ map: WeightMap
  ) throws -> Storage {
    let names = WeightNames(network, file.tensors, map)
    try refuse(
      names.problems, .mismatched, file, "its tensors are not those of this \(network.name)")
    let weights = Storage(count: network.weightCount)
    var problems: [String] = []
    for piece in names.pieces {
      let values = try file.floats(piece.source, shape: piece.shape)
      let isVariance = piece.name.hasSuffix(".running_var")
      if let wrong = values.firstIndex(where: { !$0.isFinite || isVariance && $0 < 0 }) {
        let rule = values[wrong].isFinite ? ", and no variance is negative" : ""
        problems.append("\(piece.source) has \(values[wrong]) at \(wrong)\(rule)")
      }
      for (i, value) in values.enumerated() {
        weights.buffer[piece.offset + i] =
          piece.adds ? weights.buffer[piece.offset + i] + value : value
      }
    }
    try refuse(problems, .damaged, file, "its numbers cannot be used")
    return weights
  }

  private static func refuse(
    _ problems: [String], _ code: CheckpointError.Code, _ file: SafetensorsFile, _ what: String
  ) throws(CheckpointError) {
    guard !problems.isEmpty else { return }
    throw CheckpointError(code, path: file.path, detail: what, items: problems)
  }

  // MARK: Tags

  private static func tags(of file: SafetensorsFile) throws -> [String] {
    guard let text = file.metadata["tags"] else {
      throw TrainingError(
        .badInput, "\(file.path) does not name its tags; --tags FILE names them, one a line")
    }
    guard let tags = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) else {
      throw TrainingError(
        .badInput,
        "the tags of \(file.path) are not a JSON list of texts; --tags FILE names them, one a line")
    }
    return try checked(tags, of: file.path)
  }

  private static func tags(inFile path: String) throws -> [String] {
    var text = try Configuration.text(ofFile: path, "list of tags")
    if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }
    while lines.last == "" { lines.removeLast() }
    return try checked(lines, of: path)
  }

  private static func checked(_ tags: [String], of path: String) throws(TrainingError) -> [String] {
    if tags.isEmpty { throw TrainingError(.badInput, "\(path) names no tags") }
    var places: [String: Int] = [:]
    for (place, tag) in tags.enumerated() {
      if tag.isEmpty { throw TrainingError(.badInput, "tag \(place + 1) of \(path) is empty") }
      if let first = places.updateValue(place, forKey: tag) {
        throw TrainingError(
          .badInput, "tags \(first + 1) and \(place + 1) of \(path) are both \(tag)")
      }
    }
    return tags
  }
}

extension FeatureSettings {
  /// The features that a configuration asks for; where it asks for nothing, those that
  /// `tutti prepare` makes.
  ///
  /// - Throws: `AudioError.settings` if they cannot be meant
  package init(_ wanted: Configuration.Features) throws(AudioError) {
    self.init()
    sampleRateHz = wanted.sampleRateHz ?? sampleRateHz
    durationSeconds = wanted.durationSeconds ?? durationSeconds
    windowLength = wanted.windowLength ?? windowLength
    hopLength = wanted.hopLength ?? hopLength
    melBands = wanted.melBands ?? melBands
    lowestHz = wanted.lowestHz ?? lowestHz
    highestHz = wanted.highestHz ?? highestHz
    melExponent = wanted.melExponent ?? melExponent
    decibelFloor = wanted.decibelFloor ?? decibelFloor
    dynamicRangeDecibels = wanted.dynamicRangeDecibels ?? dynamicRangeDecibels
    silencePeak = wanted.silencePeak ?? silencePeak
    try validate()
  }
}
