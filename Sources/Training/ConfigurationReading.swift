/// Reading a configuration: a YAML file, then `--set` overrides, later ones winning.
///
/// A source is flattened into settings with their dotted key, YAML node and place; each is then
/// looked up in the table. What was not understood is an error that says where it stands and what
/// would be right: silently ignoring a misspelt key trains the wrong network for a week.

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

// MARK: - From text to given settings

extension Configuration {
  /// A setting that a person wrote, and where.
  fileprivate struct Given {
    let setting: Setting
    let node: Node
    let place: String

    var isNull: Bool { node.isNull }
    var refusal: ConfigurationError {
      let written = node.scalar.map { $0.string.isEmpty ? "empty" : $0.string } ?? node.shortText
      return ConfigurationError(
        .badValue, at: place,
        "\(setting.key) is \(written.prefix(80)); allowed is \(setting.allowed)")
    }
  }

  private static func givens(
    inYAML yaml: String, place: String
  ) throws(ConfigurationError) -> [Given] {
    let placeOfLine = { (line: Int) in place + ":\(line)" }
    guard let root = try parse(yaml, place: placeOfLine) else { return [] }
    return try flatten(root, key: "", place: placeOfLine, line: root.mark?.line ?? 1)
  }

  private static func givens(inOverride override: String) throws(ConfigurationError) -> [Given] {
    let place = "--set \(override)"
    guard let equals = override.firstIndex(of: "="), equals != override.startIndex else {
      throw ConfigurationError(
        .malformed, at: place,
        "an override is written key=value, as in --set training.lanes=4")
    }
    let key = String(override[..<equals])
    let value = String(override[override.index(after: equals)...])
    let node = try parse(value, place: { _ in place }) ?? Node("")
    return try flatten(node, key: key, place: { _ in place }, line: 1)
  }

  static func parse(
    _ yaml: String, place: (Int) -> String
  ) throws(ConfigurationError) -> Node? {
    if let line = lineOfReference(in: yaml) {
      throw ConfigurationError(
        .malformed, at: place(line),
        "& and * name and repeat values in YAML; a configuration does without: write values out")
    }
    do {
      return try compose(yaml: yaml)
    } catch let error as YamlError {
      let (line, problem) = error.lineAndProblem
      throw ConfigurationError(.malformed, at: place(line), problem)
    } catch {
      throw ConfigurationError(.malformed, at: place(1), "the text is not YAML: \(error)")
    }
  }

  /// The settings under `node`, whose dotted key is `key` (empty for the whole file).
  private static func flatten(
    _ node: Node, key: String, place: (Int) -> String, line: Int
  ) throws(ConfigurationError) -> [Given] {
    if let setting = Setting.byKey[key] {
      return [Given(setting: setting, node: node, place: place(line))]
    }
    guard key.isEmpty || Setting.sections.contains(key) else {
      throw ConfigurationError(
        .unknownKey, at: place(line),
        "\(key.prefix(80)) is not a setting; did you mean \(Setting.nearest(to: key))?")
    }
    if node.isNull { return [] }
    guard let mapping = node.mapping else {
      let what = key.isEmpty ? "a configuration" : key
      throw ConfigurationError(
        .badValue, at: place(line), "\(what) is a section: write its settings below it, indented")
    }
    var givens: [Given] = []
    for (name, value) in mapping {
      let line = name.mark?.line ?? line
      guard let word = name.scalar?.string else {
        throw ConfigurationError(.malformed, at: place(line), "a key must be a word")
      }
      let inner = key.isEmpty ? word : key + "." + word
      givens += try flatten(value, key: inner, place: place, line: line)
    }
    return givens
  }
}

/// The line of the first `&` or `*` outside of comments.
///
/// By references to references a few lines stand for more values than there is time to look at.
/// A `#` after a blank begins a comment for certain as long as no quotation mark came before it;
/// from the first one on everything counts.
private func lineOfReference(in yaml: String) -> Int? {
  var line = 1
  var (isComment, isQuoted, isAfterBlank) = (false, false, true)
  for scalar in yaml.unicodeScalars {
    let endsLine = ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains(scalar)
    if endsLine {
      line += scalar == "\n" ? 1 : 0
      isComment = false
    } else if !isComment {
      if scalar == "&" || scalar == "*" { return line }
      isComment = scalar == "#" && isAfterBlank && !isQuoted
      isQuoted = isQuoted || scalar == "\"" || scalar == "'"
    }
    isAfterBlank = endsLine || scalar == " " || scalar == "\t"
  }
  return nil
}

extension Node {
  /// A list or mapping in few words, for an error message.
  fileprivate var shortText: String {
    switch self {
    case .scalar(let scalar): scalar.string
    case .sequence(let items):
      "[" + items.prefix(8).map { $0.scalar?.string ?? "…" }.joined(separator: ", ") + "]"
    case .mapping: "a mapping"
    case .alias: "an alias"
    }
  }
}

extension YamlError {
  /// The line, and one sentence of what is wrong there.
  fileprivate var lineAndProblem: (Int, String) {
    switch self {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      (mark.line, "the text is not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      (
        context.mark.line,
        "\(duplicates.sorted().joined(separator: ", ")) stands twice in one section"
      )
    case .reader(let problem, let offset, _, let yaml):
      (
        yaml.utf8.prefix(offset ?? 0).count { $0 == UInt8(ascii: "\n") } + 1,
        "the text is not YAML: \(problem)"
      )
    default: (1, "the text is not YAML: \(self)")
    }
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

// MARK: - Nearest key

extension Setting {
  /// The key or section most like `misspelt`.
  static func nearest(to misspelt: String) -> String {
    let wanted = String(misspelt.prefix(80))
    // A setting under the wrong section, or under none, is meant more often than a similar word.
    let word = wanted.split(separator: ".").last.map(String.init) ?? wanted
    if let sameWord = all.first(where: { $0.key.hasSuffix("." + word) }) { return sameWord.key }
    let candidates = all.map(\.key) + sections.sorted()
    return candidates.min { editDistance($0, wanted) < editDistance($1, wanted) } ?? wanted
  }

  /// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
  static func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = Swift.min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          cost = Swift.min(cost, beforeLast[j - 1] + 1)
        }
        row.append(cost)
      }
      (beforeLast, last) = (last, row)
    }
    return last[b.count]
  }
}
