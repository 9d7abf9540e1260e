/// Reads the JSON of a safetensors header, and checks that its tensors fill the file exactly.
///
/// A general JSON reader would do, but for two things: it keeps one of two entries with the same
/// name, and it recurses as deep as a file tells it to. The header's grammar has a fixed depth.

struct SafetensorsParser {
  /// What is wrong with a header; the caller knows the path.
  struct Problem: Error {
    let code: CheckpointError.Code
    let detail: String
    init(_ detail: String, _ code: CheckpointError.Code = .malformed) {
      (self.code, self.detail) = (code, detail)
    }
  }

  private let json: [UInt8]
  private var position = 0

  /// Reads `json`, the header of a file with `dataCount` bytes after it.
  static func parse(_ json: [UInt8], dataCount: Int) throws(Problem) -> (
    SafetensorsHeader, offsets: [String: Range<Int>]
  ) {
    var parser = SafetensorsParser(json: json)
    var metadata: [String: String]?
    var places: [(tensor: SafetensorsTensor, begin: Int, end: Int)] = []
    var names: Set<String> = []
    try parser.object { parser, key throws(Problem) in
      if key == "__metadata__" {
        guard metadata == nil else { throw Problem("the header has two __metadata__") }
        metadata = try parser.metadata()
      } else {
        guard SafetensorsHeader.isName(key) else {
          throw Problem(
            "a tensor's name is not 1 to \(SafetensorsHeader.longestName) printable ASCII characters"
          )
        }
        guard names.insert(key).inserted else { throw Problem("\(key) stands twice") }
        guard places.count < SafetensorsHeader.mostTensors else {
          throw Problem("more than \(SafetensorsHeader.mostTensors) tensors", .tooLarge)
        }
        places.append(try parser.tensor(named: key))
      }
    }
    parser.skipSpaces()
    guard parser.position == json.count else { throw parser.unexpected("the end of the header") }

    places.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    var next = 0
    for (tensor, begin, end) in places {
      guard let bytes = tensor.checkedBytes, begin <= end, end - begin == bytes else {
        throw Problem("\(tensor.name) of shape \(tensor.shape) cannot be bytes \(begin) to \(end)")
      }
      guard begin == next else {
        throw Problem("\(tensor.name) begins at byte \(begin), and the one before ends at \(next)")
      }
      next = end
    }
    guard next <= dataCount else {
      throw Problem(
        "the header says \(next) bytes of tensors, the file has \(dataCount)", .truncated)
    }
    guard next == dataCount else {
      throw Problem("\(dataCount - next) bytes follow the last tensor")
    }
    let header = SafetensorsHeader(tensors: places.map(\.tensor), metadata: metadata ?? [:])
    let offsets = places.map { ($0.tensor.name, $0.begin..<$0.end) }
    return (header, Dictionary(uniqueKeysWithValues: offsets))
  }

  // MARK: - The header's three objects

  private mutating func metadata() throws(Problem) -> [String: String] {
    var result: [String: String] = [:]
    try object { parser, key throws(Problem) in
      guard result.updateValue(try parser.string(), forKey: key) == nil else {
        throw Problem("\(key.prefix(80)) stands twice in the metadata")
      }
    }
    return result
  }

  private mutating func tensor(
    named name: String
  ) throws(Problem) -> (SafetensorsTensor, begin: Int, end: Int) {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try object { parser, key throws(Problem) in
      switch key {
      case "dtype" where type == nil: type = try parser.string()
      case "shape" where shape == nil: shape = try parser.integers()
      case "data_offsets" where offsets == nil: offsets = try parser.integers()
      default: throw Problem("\(name) has \(key.prefix(80)) twice, or for no purpose")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw Problem("\(name) lacks its dtype, shape or data_offsets")
    }
    guard let type = SafetensorsType(rawValue: type) else {
      let known = SafetensorsType.allCases.map(\.rawValue).joined(separator: ", ")
      throw Problem("\(name) is of type \(type.prefix(16)); Tutti reads \(known)", .unsupported)
    }
    return (SafetensorsTensor(name, type, shape: shape), offsets[0], offsets[1])
  }

  // MARK: - The JSON they are made of

  private mutating func object(
    _ member: (inout SafetensorsParser, String) throws(Problem) -> Void
  ) throws(Problem) {
    try expect("{")
    if accept("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try member(&self, key)
    } while accept(",")
    try expect("}")
  }

  /// A list of non-negative integers, as long as a shape may be.
  private mutating func integers() throws(Problem) -> [Int] {
    try expect("[")
    if accept("]") { return [] }
    var result: [Int] = []
    repeat {
      guard result.count < SafetensorsHeader.mostDimensions else {
        throw Problem("more than \(SafetensorsHeader.mostDimensions) dimensions", .tooLarge)
      }
      result.append(try integer())
    } while accept(",")
    try expect("]")
    return result
  }

  private mutating func integer() throws(Problem) -> Int {
    skipSpaces()
    let start = position
    var value = 0
    while position < json.count, (0x30...0x39).contains(json[position]) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(json[position] - 0x30))
      guard !overflow, !carry else { throw Problem("a number is beyond 63 bits", .tooLarge) }
      value = sum
      position += 1
    }
    let digits = position - start
    guard digits > 0, digits == 1 || json[start] != 0x30 else { throw unexpected("an integer") }
    return value
  }

  private mutating func string() throws(Problem) -> String {
    try expect("\"")
    var bytes: [UInt8] = []
    while position < json.count {
      let byte = json[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: bytes, as: UTF8.self) else {
          throw Problem("a string is not UTF-8")
        }
        return text
      case UInt8(ascii: "\\"): bytes += String(try escape()).utf8
      case 0..<0x20: throw Problem("a string holds a control character")
      default: bytes.append(byte)
      }
    }
    throw unexpected("the end of a string")
  }

  /// What follows a backslash.
  private mutating func escape() throws(Problem) -> Character {
    guard position < json.count else { throw unexpected("an escape") }
    position += 1
    switch json[position - 1] {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var value = try fourDigits()
      if (0xd800..<0xdc00).contains(value), json[position...].starts(with: Array("\\u".utf8)) {
        position += 2
        let low = try fourDigits()
        guard (0xdc00..<0xe000).contains(low) else { throw Problem("half a surrogate pair") }
        value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw Problem("half a surrogate pair") }
      return Character(scalar)
    default: throw unexpected("an escape")
    }
  }

  private mutating func fourDigits() throws(Problem) -> UInt32 {
    let digits = json[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw unexpected("four hexadecimal digits") }
    position += 4
    return value
  }

  private mutating func expect(_ character: Character) throws(Problem) {
    guard accept(character) else { throw unexpected("\(character)") }
  }

  private mutating func accept(_ character: Character) -> Bool {
    skipSpaces()
    guard position < json.count, json[position] == character.asciiValue else { return false }
    position += 1
    return true
  }

  private mutating func skipSpaces() {
    while position < json.count, [0x20, 0x09, 0x0a, 0x0d].contains(json[position]) { position += 1 }
  }

  private func unexpected(_ wanted: String) -> Problem {
    Problem("the header is not JSON at byte \(position), where \(wanted) should be")
  }
}
