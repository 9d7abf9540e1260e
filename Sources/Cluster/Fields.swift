/// Writes numbers and texts one after the other, little-endian, texts with their length before them.
struct FieldWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write<Integer: FixedWidthInteger>(_ value: Integer) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func write(_ value: Int) { write(Int64(value)) }

  /// To the nanosecond; what is negative is written as zero, and what is too long as 292 years.
  mutating func write(_ duration: Duration) {
    let nanoseconds = (max(duration, .zero) / .nanoseconds(1)).rounded()
    write(Int(exactly: nanoseconds) ?? .max)
  }

  mutating func write(_ text: String) {
    write(UInt32(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  /// Bytes to the end of the message, without their number.
  mutating func write(raw rest: [UInt8]) { bytes += rest }

  mutating func write(_ pairs: [String: String]) {
    write(UInt32(pairs.count))
    for (key, value) in pairs.sorted(by: { $0.key < $1.key }) {
      write(key)
      write(value)
    }
  }
}

/// Reads them back. Every length is checked against what is there before anything is made of it.
struct FieldReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func integer<Integer: FixedWidthInteger>(
    _ type: Integer.Type = Integer.self
  ) throws(Defect) -> Integer {
    let part = try take(MemoryLayout<Integer>.size)
    return part.reversed().reduce(0) { $0 << 8 | Integer(truncatingIfNeeded: $1) }
  }

  /// A count or position: never negative.
  mutating func count() throws(Defect) -> Int {
    let value: Int64 = try integer()
    guard value >= 0 else { throw Defect(.payload, "a count of \(value)") }
    return Int(value)
  }

  mutating func duration() throws(Defect) -> Duration { .nanoseconds(try count()) }

  mutating func text() throws(Defect) -> String {
    let bytes = try take(Int(integer(UInt32.self)))
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Defect(.payload, "text of \(bytes.count) bytes is not UTF-8")
    }
    return text
  }

  mutating func pairs() throws(Defect) -> [String: String] {
    let count = try integer(UInt32.self)
    // The count is not believed: the loop ends with the bytes.
    var pairs: [String: String] = [:]
    for _ in 0..<count {
      let key = try text()
      guard pairs.updateValue(try text(), forKey: key) == nil else {
        throw Defect(.payload, "a key comes twice")
      }
    }
    return pairs
  }

  var isAtEnd: Bool { rest.isEmpty }

  /// All that is left.
  mutating func remainder() -> [UInt8] {
    defer { rest = [] }
    return Array(rest)
  }

  /// Nothing may be left over.
  func finish() throws(Defect) {
    guard rest.isEmpty else { throw Defect(.payload, "\(rest.count) bytes too many") }
  }

  private mutating func take(_ count: Int) throws(Defect) -> ArraySlice<UInt8> {
    guard count <= rest.count else {
      throw Defect(.payload, "\(rest.count) bytes left where \(count) are needed")
    }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}
