/// How one value of a configuration is read from YAML, written back, and bounded.
///
/// Numbers are stricter than YAML's: `lanes: "8"`, octal and sexagesimal forms are refused, and
/// `420_000` is 420,000.

import Cluster
import Foundation
import Yams

/// A type that a setting may have.
package protocol SettingValue: Equatable, Sendable {
  /// What a person may write, as in "an integer".
  static var kind: String { get }
  /// The value that `node` spells, or nil if it spells none.
  init?(node: Node)
  /// The value as a YAML scalar or flow sequence; reading it back gives the same value.
  var yaml: String { get }
}

/// The values a setting accepts, with the words for them.
package struct Bounds<Value: SettingValue>: Sendable {
  /// Follows the type's `kind`, as in " from 1 to 64"; empty if anything goes.
  let phrase: String
  let accepts: @Sendable (Value) -> Bool

  static var any: Bounds { Bounds(phrase: "") { _ in true } }
}

extension Bounds where Value: Comparable {
  static func atLeast(_ low: Value) -> Bounds {
    Bounds(phrase: ", \(low.yaml) or more") { $0 >= low }
  }
  static func above(_ low: Value, to high: Value) -> Bounds {
    Bounds(phrase: " above \(low.yaml), at most \(high.yaml)") { $0 > low && $0 <= high }
  }
  static func from(_ low: Value, to high: Value) -> Bounds {
    Bounds(phrase: " from \(low.yaml) to \(high.yaml)") { $0 >= low && $0 <= high }
  }
  static func from(_ low: Value, below high: Value) -> Bounds {
    Bounds(phrase: " from \(low.yaml), below \(high.yaml)") { $0 >= low && $0 < high }
  }
  static func between(_ low: Value, _ high: Value) -> Bounds {
    Bounds(phrase: " above \(low.yaml), below \(high.yaml)") { $0 > low && $0 < high }
  }
}

extension Node {
  /// The text of an unquoted scalar.
  fileprivate var plainText: String? {
    guard let scalar, scalar.style == .plain || scalar.style == .any else { return nil }
    return scalar.string
  }

  /// The text of an unquoted number, without the underscores between its digits.
  fileprivate var numberText: String? {
    guard let text = plainText, text.first != "_", text.last != "_", !text.contains("__")
    else { return nil }
    return text.replacing("_", with: "")
  }

  /// An empty value, `null` or `~`.
  var isNull: Bool { ["", "~", "null", "Null", "NULL"].contains(plainText) }
}

extension Int: SettingValue {
  package static var kind: String { "an integer" }
  package init?(node: Node) {
    guard let text = node.numberText else { return nil }
    self.init(text)
  }
  package var yaml: String { String(self) }
}

extension UInt64: SettingValue {
  package static var kind: String { "an integer from 0 to 18446744073709551615" }
  package init?(node: Node) {
    guard let text = node.numberText else { return nil }
    self.init(text)
  }
  package var yaml: String { String(self) }
}

extension Double: SettingValue {
  package static var kind: String { "a number" }
  package init?(node: Node) {
    guard let text = node.numberText, text.allSatisfy({ "+-.0123456789eE".contains($0) }),
      let value = Double(text), value.isFinite
    else { return nil }
    self = value
  }
  package var yaml: String {
    self == rounded() && magnitude < 1e15 ? String(Int(self)) : description
  }
}

extension Array: SettingValue where Element == Int {
  package static var kind: String { "a list of integers, as in [30, 60]" }
  package init?(node: Node) {
    guard let nodes = node.sequence else { return nil }
    self = []
    for node in nodes {
      guard let value = Int(node: node) else { return nil }
      append(value)
    }
  }
  package var yaml: String { "[" + map(\.yaml).joined(separator: ", ") + "]" }
}

extension Configuration.PositiveWeight: SettingValue {
  package static var kind: String { "none, balanced, a number, or a list of one for each tag" }
  package init?(node: Node) {
    if let nodes = node.sequence {
      let weights = nodes.compactMap(Double.init(node:))
      guard weights.count == nodes.count, !weights.isEmpty else { return nil }
      self = .each(weights)
    } else if let weight = Double(node: node) {
      self = .same(weight)
    } else {
      switch node.plainText {
      case "none": self = .none
      case "balanced": self = .balanced
      default: return nil
      }
    }
  }
  package var yaml: String {
    switch self {
    case .none: "none"
    case .balanced: "balanced"
    case .same(let weight): weight.yaml
    case .each(let weights): "[" + weights.map(\.yaml).joined(separator: ", ") + "]"
    }
  }
}

extension Configuration.Interval: SettingValue {
  package static var kind: String { "a stretch like 500 steps or 1 epoch" }
  package init?(node: Node) {
    let words = node.plainText?.split(separator: " ") ?? []
    guard words.count == 2, let count = Int(words[0].replacing("_", with: "")), count >= 1
    else { return nil }
    switch words[1] {
    case "step", "steps": self = .steps(count)
    case "epoch", "epochs": self = .epochs(count)
    default: return nil
    }
  }
  package var yaml: String {
    switch self {
    case .steps(let count): "\(count) step" + (count == 1 ? "" : "s")
    case .epochs(let count): "\(count) epoch" + (count == 1 ? "" : "s")
    }
  }
}

extension Optional: SettingValue where Wrapped: SettingValue {
  package static var kind: String { Wrapped.kind }
  package init?(node: Node) {
    if node.isNull {
      self = Self.none
    } else {
      guard let value = Wrapped(node: node) else { return nil }
      self = .some(value)
    }
  }
  package var yaml: String { self?.yaml ?? "null" }
}

/// An enumeration's cases are written as their raw values.
extension SettingValue where Self: RawRepresentable & CaseIterable, RawValue == String {
  package static var kind: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
  package init?(node: Node) {
    guard let text = node.scalar?.string else { return nil }
    self.init(rawValue: text)
  }
  package var yaml: String { rawValue }
}

extension Configuration.Network: SettingValue {}
extension Configuration.Size: SettingValue {}
extension Configuration.Pool: SettingValue {}
extension Configuration.InputNormalization: SettingValue {}
extension Configuration.Reset: SettingValue {}
extension Configuration.Gate: SettingValue {}
extension Configuration.Cell: SettingValue {}
extension Configuration.Recurrence: SettingValue {}
extension Configuration.NotFinite: SettingValue {}
extension WireType: SettingValue {}
extension Configuration.Schedule: SettingValue {}
extension Configuration.LossKind: SettingValue {}
extension Configuration.LogBase: SettingValue {}
