/// Comma-separated values as RFC 4180 has them: fields may stand in double quotes, a quote inside
/// is doubled, and quoted fields may hold commas and line ends. Lines end in LF or CRLF; a byte
/// order mark is skipped, and so are empty lines. Anything else that is odd is an error with its line.
struct CommaSeparatedReader {
  struct Row: Equatable {
    /// The line on which the row starts, counted from 1.
    let line: Int
    let fields: [String]
  }

  struct Problem: Error {
    let line: Int
    let detail: String
  }

  private let bytes: [UInt8]
  private var position = 0
  private var line = 1

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  /// The next row that is not empty, or nil at the end of the text.
  mutating func next() throws(Problem) -> Row? {
    while position < bytes.count {
      let firstLine = line
      var fields = [try field()]
      while position < bytes.count, bytes[position] == .comma {
        position += 1
        fields.append(try field())
      }
      try endLine()
      if fields != [""] { return Row(line: firstLine, fields: fields) }
    }
    return nil
  }

  private mutating func field() throws(Problem) -> String {
    let firstLine = line
    let content: [UInt8]
    if position < bytes.count, bytes[position] == .quote {
      content = try quotedField()
    } else {
      let end =
        bytes[position...].firstIndex { $0 == .comma || $0 == .lf || $0 == .cr } ?? bytes.count
      content = Array(bytes[position..<end])
      position = end
      if content.contains(.quote) {
        throw Problem(
          line: line,
          detail:
            "a quote stands inside a field; put the whole field in quotes and double the inner")
      }
    }
    guard let text = String(validating: content, as: UTF8.self) else {
      throw Problem(line: firstLine, detail: "the text is not UTF-8; save the file as UTF-8")
    }
    return text
  }

  private mutating func quotedField() throws(Problem) -> [UInt8] {
    let firstLine = line
    var content: [UInt8] = []
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte != .quote {
        if byte == .lf { line += 1 }
        content.append(byte)
      } else if position < bytes.count, bytes[position] == .quote {
        position += 1
        content.append(.quote)
      } else {
        return content
      }
    }
    throw Problem(line: firstLine, detail: "a quote is opened on this line and never closed")
  }

  private mutating func endLine() throws(Problem) {
    guard position < bytes.count else { return }
    if bytes[position] == .cr, position + 1 < bytes.count, bytes[position + 1] == .lf {
      position += 1
    }
    guard bytes[position] == .lf else {
      let detail =
        bytes[position] == .cr
        ? "a carriage return stands without its line feed; lines must end in LF or CRLF"
        : "text follows a closing quote; a quote inside a field is doubled"
      throw Problem(line: line, detail: detail)
    }
    position += 1
    line += 1
  }
}

/// One row with its line end, quoted where RFC 4180 asks for it.
func commaSeparatedRow(_ fields: [String]) -> String {
  let special: Set<UInt8> = [.comma, .quote, .lf, .cr]
  let row = fields.map { field in
    field.utf8.contains(where: special.contains)
      ? "\""
        + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        + "\"" : field
  }
  return row.joined(separator: ",") + "\r\n"
}

extension UInt8 {
  fileprivate static let comma = UInt8(ascii: ",")
  fileprivate static let quote = UInt8(ascii: "\"")
  fileprivate static let lf = UInt8(ascii: "\n")
  fileprivate static let cr = UInt8(ascii: "\r")
}
