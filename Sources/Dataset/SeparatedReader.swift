/// Rows of separated values, read where they lie: a row is a list of byte ranges, and only the fields
/// that somebody asks for become strings.
///
/// With quotes it is RFC 4180: fields may stand in double quotes, a quote inside is doubled, and quoted
/// fields may hold separators and line ends. Without, a quote is a byte like any other. Lines end in LF
/// or CRLF; a byte order mark is skipped, and so are empty lines. Anything else that is odd is a problem
/// with its line, after which reading goes on with the next line.
struct SeparatedReader {
  enum Format {
    /// Quotes understood.
    case commas, quotedTabs
    /// Quotes are text.
    case tabs
  }

  private struct Field {
    var range: Range<Int>
    var hasDoubledQuotes = false
  }

  /// The line on which the current row starts, counted from 1.
  private(set) var line = 1
  private let bytes: UnsafeRawBufferPointer
  private let separator: UInt8
  private let hasQuotes: Bool
  private var position: Int
  private var lineAtPosition = 1
  private var fields: [Field] = []

  /// More fields than any row of sense has; a bound on what one line can make us remember.
  private static let mostFields = 65_536

  /// - Parameter bytes: must outlive the reader
  init(_ bytes: UnsafeRawBufferPointer, _ format: Format) {
    self.bytes = bytes
    separator = format == .commas ? .comma : .tab
    hasQuotes = format != .tabs
    position = bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0
  }

  /// Goes to the next row that is not empty.
  ///
  /// - Returns: false at the end of the text
  /// - Throws: what is wrong with the row; the next call goes on after it
  mutating func next() throws(RowProblem) -> Bool {
    while position < bytes.count {
      line = lineAtPosition
      fields.removeAll(keepingCapacity: true)
      do {
        try readRow()
      } catch {
        skipLine()
        throw error
      }
      if fields.count > 1 || !fields[0].range.isEmpty { return true }
    }
    return false
  }

  /// Fields of the current row.
  var count: Int { fields.count }

  /// A field's bytes, without its quotes; doubled quotes inside are still doubled.
  func raw(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[fields[index].range])
  }

  /// A field without blanks at its ends.
  func text(_ index: Int) throws(RowProblem) -> String {
    guard fields[index].hasDoubledQuotes else { return try validated(trimmed(raw(index))) }
    var content: [UInt8] = []
    var isSecondQuote = false
    for byte in trimmed(raw(index)) {
      isSecondQuote = byte == .quote && !isSecondQuote
      if byte != .quote || isSecondQuote { content.append(byte) }
    }
    return try validated(content)
  }

  // MARK: Reading

  private mutating func readRow() throws(RowProblem) {
    try readField()
    while position < bytes.count, bytes[position] == separator {
      guard fields.count < Self.mostFields else {
        throw problem("the row has more than \(Self.mostFields) fields; is this the right file?")
      }
      position += 1
      try readField()
    }
    try endLine()
  }

  private mutating func readField() throws(RowProblem) {
    if hasQuotes, position < bytes.count, bytes[position] == .quote { return try readQuotedField() }
    let start = position
    var hasQuote = false
    while position < bytes.count {
      let byte = bytes[position]
      if byte == separator || byte == .lf || byte == .cr { break }
      hasQuote = hasQuote || byte == .quote
      position += 1
    }
    fields.append(Field(range: start..<position))
    if hasQuotes && hasQuote {
      throw problem(
        "a quote stands inside a field; put the whole field in quotes and double the inner")
    }
  }

  private mutating func readQuotedField() throws(RowProblem) {
    let (opening, firstLine) = (position, lineAtPosition)
    var hasDoubledQuotes = false
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == .lf { lineAtPosition += 1 }
      guard byte == .quote else { continue }
      guard position < bytes.count, bytes[position] == .quote else {
        fields.append(
          Field(range: opening + 1..<position - 1, hasDoubledQuotes: hasDoubledQuotes))
        return
      }
      hasDoubledQuotes = true
      position += 1
    }
    // Go on behind the line with the lonely quote, not at the end of the text. This happens once a
    // text at most: no later quote can stay open, for it would have closed this one.
    (position, lineAtPosition) = (opening, firstLine)
    throw problem("a quote is opened on this line and never closed")
  }

  private mutating func endLine() throws(RowProblem) {
    guard position < bytes.count else { return }
    if bytes[position] == .cr, position + 1 < bytes.count, bytes[position + 1] == .lf {
      position += 1
    }
    guard bytes[position] == .lf else {
      throw problem(
        bytes[position] == .cr
          ? "a carriage return stands without its line feed; lines must end in LF or CRLF"
          : "text follows a closing quote; a quote inside a field is doubled")
    }
    position += 1
    lineAtPosition += 1
  }

  private mutating func skipLine() {
    while position < bytes.count, bytes[position] != .lf { position += 1 }
    position = min(position + 1, bytes.count)
    lineAtPosition += 1
  }

  private func problem(_ detail: String) -> RowProblem {
    RowProblem(.malformed, detail, line: lineAtPosition)
  }
}

/// What is wrong with one row: of which kind, and a sentence on what to do.
struct RowProblem: Error {
  let kind: DefectKind
  let detail: String
  /// Where it differs from the line on which the row starts.
  let line: Int?

  init(_ kind: DefectKind, _ detail: String, line: Int? = nil) {
    (self.kind, self.detail, self.line) = (kind, detail, line)
  }
}

/// Without spaces and tabs at its ends.
func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
  func isBlank(_ byte: UInt8) -> Bool { byte == .space || byte == .tab }
  guard let start = bytes.firstIndex(where: { !isBlank($0) }),
    let last = bytes.lastIndex(where: { !isBlank($0) })
  else { return UnsafeRawBufferPointer(start: nil, count: 0) }
  return UnsafeRawBufferPointer(rebasing: bytes[start...last])
}

func validated(_ bytes: some Collection<UInt8>) throws(RowProblem) -> String {
  guard let text = String(validating: bytes, as: UTF8.self) else {
    throw RowProblem(.notText, "the text is not UTF-8; save the file as UTF-8")
  }
  return text
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

let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

extension UInt8 {
  static let comma = UInt8(ascii: ",")
  static let quote = UInt8(ascii: "\"")
  static let space = UInt8(ascii: " ")
  static let tab = UInt8(ascii: "\t")
  static let lf = UInt8(ascii: "\n")
  static let cr = UInt8(ascii: "\r")
}
