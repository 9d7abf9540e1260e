/// Python's literal lists, as data sets keep them in text files: `[0.0, 1.0]`, `[12, 21]`,
/// `['rock', "drum'n'bass"]`.
enum LiteralList {
  /// The columns that hold 1 in a list of zeros and ones, and the list's length.
  static func flags(_ bytes: UnsafeRawBufferPointer) throws(RowProblem) -> (set: [Int], count: Int)
  {
    var set: [Int] = []
    var count = 0
    try forEachItem(of: bytes) { item throws(RowProblem) in
      // 0, 1, 0.0, 1.0, 0., 1.
      let isNumber =
        item.count >= 1 && (item[0] == .zero || item[0] == .one)
        && (item.count == 1 || item[1] == .dot && item.dropFirst(2).allSatisfy { $0 == .zero })
      guard isNumber else {
        throw RowProblem(
          .badLabel,
          "label \(count) is \(quoted(String(decoding: item.prefix(20), as: UTF8.self))) and "
            + "should be 0 or 1")
      }
      if item[0] == .one { set.append(count) }
      count += 1
    }
    return (set, count)
  }

  /// Whole numbers from 0.
  static func numbers(_ bytes: UnsafeRawBufferPointer) throws(RowProblem) -> [Int] {
    var numbers: [Int] = []
    try forEachItem(of: bytes) { item throws(RowProblem) in
      guard let number = naturalNumber(item) else {
        throw RowProblem(
          .badLabel,
          "\(quoted(String(decoding: item.prefix(20), as: UTF8.self))) in a list of numbers is none"
        )
      }
      numbers.append(number)
    }
    return numbers
  }

  /// Digits only, at most 15 of them.
  static func naturalNumber(_ bytes: some Collection<UInt8>) -> Int? {
    guard !bytes.isEmpty, bytes.count <= 15, bytes.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return bytes.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  /// The strings of the first list in a text: what stands before it (`TAGS =`) does not matter.
  ///
  /// - Throws: if there is no such list, or it holds anything but strings
  static func strings(_ bytes: UnsafeRawBufferPointer) throws(RowProblem) -> [String] {
    guard var position = bytes.firstIndex(of: .opening) else {
      throw RowProblem(.malformed, "there is no list in it")
    }
    position += 1
    var strings: [String] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == .closing { return strings }
      guard byte == .quote || byte == .apostrophe else {
        guard byte <= .space || byte == .comma else {
          throw RowProblem(.malformed, "the list holds something else than strings in quotes")
        }
        continue
      }
      strings.append(try string(bytes, &position, until: byte))
    }
    throw RowProblem(.malformed, "the list is not closed")
  }

  // MARK: Strings

  /// The string that begins at `position`, which is moved behind the quote that ends it.
  private static func string(
    _ bytes: UnsafeRawBufferPointer, _ position: inout Int, until quote: UInt8
  ) throws(RowProblem) -> String {
    var content: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == quote { return try validated(content) }
      if byte == .backslash {
        content += try escape(bytes, &position)
      } else {
        content.append(byte)
      }
    }
    throw RowProblem(.malformed, "a string in the list is not closed")
  }

  private static let simpleEscapes: [UInt8: UInt8] = [
    UInt8(ascii: "'"): .apostrophe, UInt8(ascii: "\""): .quote, UInt8(ascii: "\\"): .backslash,
    UInt8(ascii: "a"): 0x07, UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
    UInt8(ascii: "n"): .lf, UInt8(ascii: "r"): .cr, UInt8(ascii: "t"): .tab,
    UInt8(ascii: "v"): 0x0B,
  ]
  private static let hexadecimalEscapes: [UInt8: Int] = [
    UInt8(ascii: "x"): 2, UInt8(ascii: "u"): 4, UInt8(ascii: "U"): 8,
  ]

  /// What stands for an escape, in UTF-8; `position` is behind its backslash and is moved behind the
  /// whole. Like Python, an escape that is none stands for itself, with its backslash.
  private static func escape(
    _ bytes: UnsafeRawBufferPointer, _ position: inout Int
  ) throws(RowProblem) -> [UInt8] {
    guard position < bytes.count else { return [] }
    let letter = bytes[position]
    position += 1
    if let byte = simpleEscapes[letter] { return [byte] }
    if letter == .lf { return [] }
    if octalDigits.contains(letter) {
      position -= 1
      let digits = bytes[position...].prefix(3).prefix { octalDigits.contains($0) }
      position += digits.count
      return try character(digits.reduce(0) { $0 * 8 + UInt32($1 - .zero) })
    }
    guard let count = hexadecimalEscapes[letter] else { return [.backslash, letter] }
    let digits = bytes[position...].prefix(count)
    guard digits.count == count, let code = UInt32(hexadecimal: digits) else {
      let name = String(Unicode.Scalar(letter))
      throw RowProblem(
        .malformed, "\\\(name) in a string must be followed by \(count) hexadecimal digits")
    }
    position += count
    return try character(code)
  }

  private static let octalDigits = UInt8(ascii: "0")...UInt8(ascii: "7")

  private static func character(_ code: UInt32) throws(RowProblem) -> [UInt8] {
    guard let scalar = Unicode.Scalar(code) else {
      throw RowProblem(
        .malformed, "\(String(code, radix: 16)) in a string is the number of no character")
    }
    return Array(String(Character(scalar)).utf8)
  }

  // MARK: Items

  private static func forEachItem(
    of bytes: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) throws(RowProblem) -> Void
  ) throws(RowProblem) {
    let list = trimmed(bytes)
    guard list.count >= 2, list[0] == .opening, list[list.count - 1] == .closing else {
      throw RowProblem(.malformed, "a list in brackets should stand there")
    }
    let items = UnsafeRawBufferPointer(rebasing: list[1..<list.count - 1])
    guard !trimmed(items).isEmpty else { return }
    var start = 0
    for position in 0...items.count where position == items.count || items[position] == .comma {
      try body(trimmed(UnsafeRawBufferPointer(rebasing: items[start..<position])))
      start = position + 1
    }
  }
}

extension UInt32 {
  /// The number that hexadecimal digits spell; nil if one is none.
  fileprivate init?(hexadecimal digits: some Sequence<UInt8>) {
    self = 0
    for digit in digits {
      guard let value = Character(Unicode.Scalar(digit)).hexDigitValue, digit < 0x80 else {
        return nil
      }
      self = self << 4 | UInt32(value)
    }
  }
}

extension UInt8 {
  fileprivate static let zero = UInt8(ascii: "0")
  fileprivate static let one = UInt8(ascii: "1")
  fileprivate static let dot = UInt8(ascii: ".")
  fileprivate static let opening = UInt8(ascii: "[")
  fileprivate static let closing = UInt8(ascii: "]")
  fileprivate static let apostrophe = UInt8(ascii: "'")
  fileprivate static let backslash = UInt8(ascii: "\\")
}
