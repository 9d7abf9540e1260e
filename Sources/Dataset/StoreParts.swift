import Foundation

/// A store as it is given to other machines: parts, of which they ask for bytes.
///
/// Part 0 is its description (`store.json`), part 1 its clip table, part 2 + n the features of clip n.
/// What is given out is not checked here: whoever gets it does that against the fingerprint.
package struct StoreParts: Sendable {
  package static let description = 0
  package static let table = 1
  package static func clip(_ clip: Int) -> Int { 2 + clip }

  private let store: Store
  private let description: Data

  package init(_ store: Store) throws {
    self.store = store
    description = try store.description.json()
  }

  /// Bytes of a part from `offset` on, at most `count`, and how many the whole part has.
  ///
  /// - Precondition: `offset` and `count` are not negative
  /// - Returns: nil if there is no such part, or it ends before `offset`
  /// - Throws: what reading a block file throws
  package func bytes(ofPart part: Int, from offset: Int, count: Int) throws -> (
    bytes: [UInt8], partBytes: Int
  )? {
    func range(of total: Int) -> Range<Int>? {
      offset <= total ? offset..<offset + min(count, total - offset) : nil
    }
    switch part {
    case Self.description:
      return range(of: description.count).map { (Array(description[$0]), description.count) }
    case Self.table:
      return store.table.withBytes { table in
        range(of: table.count).map { (Array(table[$0]), table.count) }
      }
    default:
      let clip = part - Self.clip(0)
      guard (0..<store.clipCount).contains(clip) else { return nil }
      let place = store.layout.place(ofClip: clip)
      guard let range = range(of: place.bytes.count) else { return nil }
      // Not by a map: a block that somebody cuts meanwhile must not end this process.
      let url = store.url(ofBlock: place.block)
      guard
        let bytes = try FilePart.read(
          url, range.lowerBound + place.bytes.lowerBound, count: range.count)
      else {
        throw DatasetError(
          .truncated, attempt: "read clip number \(clip)", path: url.path,
          detail: "the file is gone or too short; copy it again or prepare anew")
      }
      return (bytes, place.bytes.count)
    }
  }
}
