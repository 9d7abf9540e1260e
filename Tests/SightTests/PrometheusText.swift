import Foundation

/// Reads Prometheus's text format 0.0.4, and takes nothing that the format does not allow.
struct PrometheusText {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  struct Family {
    var help: String?
    var type: String?
    var samples: [(labels: [String: String], value: Double)] = []
  }

  private(set) var families: [String: Family] = [:]

  init(_ text: String) throws {
    guard text.hasSuffix("\n") else { throw Failure(description: "the last line has no end") }
    var current = ""
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      do {
        if line.hasPrefix("# ") {
          try readComment(line, &current)
        } else {
          try readSample(line, of: current)
        }
      } catch let failure as Failure {
        throw Failure(description: "\(failure): \(line)")
      }
    }
  }

  /// The one sample of a family without labels.
  subscript(name: String) -> Double? {
    families[name].flatMap { $0.samples.count == 1 ? $0.samples[0].value : nil }
  }

  /// The sample that has a label.
  subscript(name: String, label: String, value: String) -> Double? {
    families[name]?.samples.first { $0.labels[label] == value }?.value
  }

  private mutating func readComment(_ line: Substring, _ current: inout String) throws {
    let parts = line.split(separator: " ", maxSplits: 3).map(String.init)
    guard parts.count == 4, Self.isName(parts[2], allowingColon: true) else {
      throw Failure(description: "a comment that is neither HELP nor TYPE")
    }
    switch parts[1] {
    case "HELP":
      guard families[parts[2]] == nil else { throw Failure(description: "a second HELP") }
      families[parts[2]] = Family(help: parts[3])
    case "TYPE":
      guard ["counter", "gauge"].contains(parts[3]), families[parts[2]]?.help != nil,
        families[parts[2]]?.type == nil
      else { throw Failure(description: "a TYPE without HELP, twice, or of no kind") }
      guard (parts[3] == "counter") == parts[2].hasSuffix("_total") else {
        throw Failure(description: "a counter ends in _total, and nothing else does")
      }
      families[parts[2]]?.type = parts[3]
    default: throw Failure(description: "a comment that is neither HELP nor TYPE")
    }
    current = parts[2]
  }

  private mutating func readSample(_ line: Substring, of current: String) throws {
    var rest = line
    let name = String(rest.prefix { $0 != "{" && $0 != " " })
    guard name == current, families[name]?.type != nil else {
      throw Failure(description: "a sample away from its HELP and TYPE")
    }
    rest = rest.dropFirst(name.count)
    var labels: [String: String] = [:]
    if rest.first == "{" {
      repeat {
        rest.removeFirst()
        let label = String(rest.prefix { $0 != "=" })
        rest = rest.dropFirst(label.count)
        guard Self.isName(label, allowingColon: false), labels[label] == nil, rest.hasPrefix("=\"")
        else { throw Failure(description: "a label that is none, or is there twice") }
        rest = rest.dropFirst(2)
        labels[label] = try Self.readQuoted(&rest)
      } while rest.first == ","
      guard rest.first == "}" else { throw Failure(description: "labels without an end") }
      rest.removeFirst()
    }
    guard rest.first == " ", let value = Self.number(rest.dropFirst()) else {
      throw Failure(description: "a value that is none")
    }
    guard families[name]?.samples.contains(where: { $0.labels == labels }) == false else {
      throw Failure(description: "the same sample twice")
    }
    if families[name]?.type == "counter", value < 0 {
      throw Failure(description: "a counter below zero")
    }
    families[name]?.samples.append((labels, value))
  }

  /// Up to the quotation mark, which is taken too.
  private static func readQuoted(_ rest: inout Substring) throws -> String {
    var value = ""
    while let character = rest.popFirst() {
      switch character {
      case "\"": return value
      case "\\":
        switch rest.popFirst() {
        case "\\": value += "\\"
        case "\"": value += "\""
        case "n": value += "\n"
        default: throw Failure(description: "an unknown escape")
        }
      default: value.append(character)
      }
    }
    throw Failure(description: "a label without an end")
  }

  private static func number(_ text: Substring) -> Double? {
    switch text {
    case "NaN": .nan
    case "+Inf": .infinity
    case "-Inf": -.infinity
    default:
      text.allSatisfy { $0.isNumber || "+-.eE".contains($0) } ? Double(text) : nil
    }
  }

  private static func isName(_ text: String, allowingColon: Bool) -> Bool {
    guard let first = text.unicodeScalars.first, !("0"..."9").contains(first) else { return false }
    return text.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_")
        || allowingColon && $0 == ":"
    }
  }
}
