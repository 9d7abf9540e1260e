/// From YAML to the settings that a person gave: a text is flattened into dotted keys, and each is
/// looked up in the table; a key that is not there is refused with the one most like it.

import Foundation
import Yams

extension Configuration {
  /// A setting that a person wrote, and where.
  struct Given {
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

  static func givens(
    inYAML yaml: String, place: String
  ) throws(ConfigurationError) -> [Given] {
    let placeOfLine = { (line: Int) in place + ":\(line)" }
    guard let root = try parse(yaml, place: placeOfLine) else { return [] }
    return try flatten(root, key: "", place: placeOfLine, line: root.mark?.line ?? 1)
  }

  static func givens(inOverride override: String) throws(ConfigurationError) -> [Given] {
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
