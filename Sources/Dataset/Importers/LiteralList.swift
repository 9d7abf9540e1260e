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
      var content: [UInt8] = []
      while position < bytes.count, bytes[position] != byte {
        if bytes[position] == .backslash, position + 1 < bytes.count { position += 1 }
        content.append(bytes[position])
        position += 1
      }
      position += 1
      strings.append(try validated(content))
    }
    throw RowProblem(.malformed, "the list is not closed")
  }

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

extension UInt8 {
  fileprivate static let zero = UInt8(ascii: "0")
  fileprivate static let one = UInt8(ascii: "1")
  fileprivate static let dot = UInt8(ascii: ".")
  fileprivate static let opening = UInt8(ascii: "[")
  fileprivate static let closing = UInt8(ascii: "]")
  fileprivate static let apostrophe = UInt8(ascii: "'")
  fileprivate static let backslash = UInt8(ascii: "\\")
}
