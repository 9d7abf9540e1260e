import Foundation

/// A piece of a page, well-formed by how it is made: what stands in a literal is markup, and a string
/// that is put into one is text, whatever it contains.
///
/// ```swift
/// let row: Markup = "<tr><td>\(tagName)</td><td>\(area, digits: 3)</td></tr>"
/// ```
package struct Markup: ExpressibleByStringInterpolation, Sendable {
  package private(set) var html: String

  package init(stringLiteral value: String) { html = value }
  package init(stringInterpolation: StringInterpolation) { html = stringInterpolation.html }
  init(_ pieces: [Markup], separator: String = "\n") {
    html = pieces.map(\.html).joined(separator: separator)
  }

  static func + (a: Markup, b: Markup) -> Markup { Markup([a, b], separator: "") }

  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var html = ""

    package init(literalCapacity: Int, interpolationCount: Int) {
      html.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    package mutating func appendLiteral(_ literal: String) { html += literal }
    package mutating func appendInterpolation(_ text: String) { html += Markup.escaped(text) }
    package mutating func appendInterpolation(_ markup: Markup) { html += markup.html }
    package mutating func appendInterpolation(_ pieces: [Markup]) {
      for piece in pieces { html += piece.html }
    }
    package mutating func appendInterpolation(_ number: Int) { html += String(number) }
    package mutating func appendInterpolation(_ number: Double?, digits: Int) {
      html += Figure.decimals(number, digits)
    }
  }

  /// Text as it can stand in markup and in an attribute: what means something there is spelt out, and
  /// what no page may contain becomes U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      case _ where scalar.properties.generalCategory == .control,
        _ where scalar.value & 0xfffe == 0xfffe:
        result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Numbers as a page gives them.
enum Figure {
  /// A dash for what is not known or not finite.
  static func decimals(_ number: Double?, _ digits: Int) -> String {
    guard let number, number.isFinite else { return "–" }
    return String(format: "%.\(digits)f", number)
  }

  /// As in 96,710.
  static func whole(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var result = number < 0 ? "−" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index).isMultiple(of: 3) { result += "," }
      result.append(digit)
    }
    return result
  }

  /// As in 12k and 1.5M; for axes.
  static func compact(_ number: Double) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(number) >= unit {
      return short(number / unit) + name
    }
    return short(number)
  }

  /// At most three digits that count, as in 0.001 and 48.3.
  static func short(_ number: Double?) -> String {
    guard let number, number.isFinite else { return "–" }
    return abs(number) >= 1_000
      ? whole(Int(min(max(number, -1e15), 1e15).rounded())) : String(format: "%.3g", number)
  }

  static func duration(_ seconds: Double?) -> String {
    guard let seconds, seconds.isFinite else { return "not known" }
    return seconds < 60 ? short(seconds) + " s" : ProgressLine.duration(seconds)
  }

  static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(whole(number)) \(number == 1 ? one : many ?? one + "s")"
  }
}
