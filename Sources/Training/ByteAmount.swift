/// Bytes as people write them: 6GB, 1.5GB, 800MB or 200KB (powers of ten); at least one.
package struct ByteAmount: Sendable {
  package let bytes: Int

  /// - Returns: nil if the text says no amount
  package init?(_ text: String) {
    let units: [(name: String, bytes: Double)] = [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)]
    guard let unit = units.first(where: { text.uppercased().hasSuffix($0.name) }),
      let number = Double(text.dropLast(2)), number * unit.bytes >= 1, number * unit.bytes < 1e18
    else { return nil }
    bytes = Int(number * unit.bytes)
  }
}
