/// Reading a configuration: a YAML file, then `--set` overrides, later ones winning.
///
/// A source is flattened into settings, each with its YAML node and place (see
/// `ConfigurationParsing.swift`), which are then assigned in turn. What was not understood is an error
/// that says where it stands and what would be right: silently ignoring a misspelt key trains the
/// wrong network for a week.

import Foundation
import Yams

/// A configuration that cannot be used, with the place to correct.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    case unreadable, malformed, unknownKey, badValue, contradiction, notApplicable
  }
  package let code: Code
  /// A file with a line, as in `configs/crnn.yaml:3`, or the override, as in `--set training.lanes=0`.
  package let place: String
  package let detail: String

  init(_ code: Code, at place: String, _ detail: String) {
    self.code = code
    self.place = place.inOneLine
    self.detail = detail.inOneLine
  }

  package var description: String { "\(place): \(detail)" }
}

extension Configuration {
  /// Reads the file at `path`, then `overrides`, each `key=value` with the value in YAML.
  package init(path: String, overrides: [String] = []) throws(ConfigurationError) {
    try self.init(
      yaml: try Self.text(ofFile: path, "configuration"), place: path, overrides: overrides)
  }

  /// - Parameter kind: what errors call the file
  static func text(ofFile path: String, _ kind: String) throws(ConfigurationError) -> String {
    let largest = 1 << 20
    let data: Data
    do {
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? file.close() }
      data = try file.read(upToCount: largest + 1) ?? Data()
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw ConfigurationError(
        .unreadable, at: path,
        exists ? "the \(kind) cannot be read" : "there is no such file")
    }
    guard data.count <= largest, let text = String(validating: data, as: UTF8.self) else {
      throw ConfigurationError(
        .malformed, at: path, "a \(kind) is at most 1 MiB of UTF-8 text; this file is not")
    }
    return text
  }

  /// Reads `yaml`, then `overrides`; `place` is what errors call the text.
  package init(
    yaml: String, place: String, overrides: [String] = []
  ) throws(ConfigurationError) {
    let file = try Self.givens(inYAML: yaml, place: place)
    var commandLine: [Given] = []
    for override in overrides { commandLine += try Self.givens(inOverride: override) }
    try self.init(sources: [file, commandLine])
  }

  /// The defaults under `overrides`, when there is no file.
  package init(overrides: [String]) throws(ConfigurationError) {
    try self.init(yaml: "", place: "defaults", overrides: overrides)
  }
}

// MARK: - From given settings to a configuration

extension Configuration {
  private init(sources: [[Given]]) throws(ConfigurationError) {
    // The network comes first: other defaults depend on it.
    self.init()
    for given in sources.joined() where given.setting.key == "model.network" {
      try assign(given)
    }
    self = Configuration(network: model.network)
    for source in sources {
      try startScale(of: source)
      for given in source where !(Self.scaleKeys.contains(given.setting.key) && given.isNull) {
        try assign(given)
      }
    }
    try checkTogether(sources.flatMap { $0 })
  }

  private mutating func assign(_ given: Given) throws(ConfigurationError) {
    guard given.setting.assign(&self, given.node) else { throw given.refusal }
  }

  private static let scaleKeys = ["model.size", "model.parameters", "model.widths"]

  /// Clears the scale of earlier sources if this one gives its own; two in one source contradict.
  private mutating func startScale(of source: [Given]) throws(ConfigurationError) {
    let scales = source.filter { Self.scaleKeys.contains($0.setting.key) && !$0.isNull }
    let keys = Self.scaleKeys.filter { key in scales.contains { $0.setting.key == key } }
    guard let last = scales.last else { return }
    guard keys.count == 1 else {
      throw ConfigurationError(
        .contradiction, at: last.place,
        "\(keys.joined(separator: " and ")) both say how wide the network is; keep one of them")
    }
    (model.size, model.parameters, model.widths) = (nil, nil, nil)
  }

  /// What one setting alone does not show.
  private func checkTogether(_ givens: [Given]) throws(ConfigurationError) {
    let network = model.network
    func place(_ key: String) -> String {
      givens.last { $0.setting.key == key }?.place ?? "configuration"
    }
    for given in givens where !given.isNull && !given.setting.networks.contains(network) {
      throw ConfigurationError(
        .notApplicable, at: given.place,
        "\(given.setting.key) is a setting of "
          + given.setting.networks.map(\.rawValue).joined(separator: ", ")
          + ", and model.network is \(network.rawValue); remove it")
    }
    if let widths = model.widths, widths.count != network.widthNames.count {
      throw ConfigurationError(
        .badValue, at: place("model.widths"),
        "model.widths has \(widths.count) numbers; \(network.rawValue) needs "
          + "\(network.widthNames.count): \(network.widthNames.joined(separator: ", "))")
    }
    if network == .rnn && model.recurrence == .outputToHidden && model.cell != .tanh {
      throw ConfigurationError(
        .contradiction, at: place("model.recurrence"),
        "model.recurrence outputToHidden needs model.cell tanh, and it is \(model.cell.rawValue)")
    }
    if loss.kind == .softmax && loss.positiveWeight != .none {
      throw ConfigurationError(
        .contradiction, at: place("loss.positiveWeight"),
        "loss.positiveWeight goes with the binary loss, and loss.kind is softmax; remove one of them"
      )
    }
    if network == .rnn && model.cell == .tanh && model.gate != .sigmoid {
      throw ConfigurationError(
        .contradiction, at: place("model.gate"),
        "model.gate \(model.gate.rawValue) is for gated cells, and model.cell is tanh")
    }
    if optimizer.minimumLearningRate > optimizer.learningRate {
      throw ConfigurationError(
        .contradiction, at: place("optimizer.minimumLearningRate"),
        "optimizer.minimumLearningRate \(optimizer.minimumLearningRate.yaml) is above "
          + "optimizer.learningRate \(optimizer.learningRate.yaml)")
    }
    if let steps = optimizer.decaySteps, steps <= optimizer.warmupSteps {
      throw ConfigurationError(
        .contradiction, at: place("optimizer.decaySteps"),
        "optimizer.decaySteps \(steps) ends before optimizer.warmupSteps "
          + "\(optimizer.warmupSteps) is over")
    }
  }
}
