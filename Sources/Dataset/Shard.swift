/// One of the equal shares into which a preparation is cut, to be made on several machines.
///
/// Blocks are cut, never clips: the shares' block files are those of the whole store.
package struct Shard: Codable, Sendable, Equatable, CustomStringConvertible {
  /// From 1 to `count`.
  package let number: Int
  package let count: Int

  package static let mostParts = 65_536

  /// - Returns: nil unless 1 ≤ number ≤ count ≤ `mostParts`
  package init?(_ number: Int, of count: Int) {
    guard (1...Self.mostParts).contains(count), (1...count).contains(number) else { return nil }
    self.number = number
    self.count = count
  }

  /// As on the command line: `3/16`.
  package init?(_ text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false)
    guard numbers.count == 2, let number = Int(numbers[0]), let count = Int(numbers[1]) else {
      return nil
    }
    self.init(number, of: count)
  }

  package var description: String { "part \(number) of \(count)" }

  /// This share of a store's blocks. The shares differ by one block at most, and some are empty if
  /// there are more of them than blocks.
  func blocks(of blocks: Int) -> Range<Int> {
    (number - 1) * blocks / count..<number * blocks / count
  }

  var isSensible: Bool { Shard(number, of: count) != nil }
}
