/// The lines of a list with one value a line, blank ones included, for lists whose lines belong together
/// by number. Line ends and byte order mark as above; blank lines at the end do not count.
struct LineReader {
  /// The line that `next` returned last, counted from 1.
  private(set) var line = 0
  private let bytes: UnsafeRawBufferPointer
  private let end: Int
  private var position: Int

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    position = bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0
    let last = bytes.lastIndex { $0 != .lf && $0 != .cr }
    end = max(position, last.map { $0 + 1 } ?? 0)
  }

  /// The next line without its end, or nil after the last.
  mutating func next() -> UnsafeRawBufferPointer? {
    guard position < end else { return nil }
    let start = position
    while position < end, bytes[position] != .lf { position += 1 }
    let stop = position > start && bytes[position - 1] == .cr ? position - 1 : position
    position += 1
    line += 1
    return UnsafeRawBufferPointer(rebasing: bytes[start..<stop])
  }

  /// How many lines there are from here on.
  func countRemaining() -> Int {
    var copy = self
    var count = 0
    while copy.next() != nil { count += 1 }
    return count
  }
}
