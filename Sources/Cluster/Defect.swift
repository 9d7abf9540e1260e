/// What is wrong with something that was received. It is counted, never fatal.
package struct Defect: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    // The frame
    case parts = "not one part"
    case size = "wrong size"
    case magic = "not a Tutti frame"
    case version = "another protocol version"
    case checksum = "wrong checksum"
    case header = "impossible header"
    // The message
    case tooLarge = "larger than agreed"
    case chunkOrder = "chunk out of order"
    case payload = "undecodable payload"
    case direction = "message for the other side"
    // The conversation
    case notJoined = "no hello yet"
    case full = "too many peers"
    case staleTerm = "another term"
    case foreignRun = "another run"
    case duplicate = "duplicate"
    case gap = "frames missing before it"
  }

  package let kind: Kind
  package let detail: String

  package init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }

  package var description: String { "\(kind.rawValue): \(detail)" }

  /// What the sender is told, or nil if nothing needs saying: duplicates are dropped without a word.
  var reply: ErrorCode? {
    switch kind {
    case .parts, .size, .magic, .checksum, .header, .chunkOrder, .payload, .direction: .malformed
    case .version: .version
    case .tooLarge: .tooLarge
    // After a gap it has to join again.
    case .notJoined, .gap: .notJoined
    case .full: .full
    case .staleTerm, .foreignRun: .stale
    case .duplicate: nil
    }
  }
}

/// How many of each defect an endpoint has met.
package struct DefectCounters: Hashable, Sendable, CustomStringConvertible {
  private var counts: [Defect.Kind: Int] = [:]

  package init() {}

  package subscript(kind: Defect.Kind) -> Int { counts[kind, default: 0] }

  package var total: Int { counts.values.reduce(0, +) }

  mutating func count(_ kind: Defect.Kind) { counts[kind, default: 0] += 1 }

  /// For example "3 wrong checksum, 1 duplicate", or "none".
  package var description: String {
    let parts = Defect.Kind.allCases.filter { self[$0] > 0 }.map { "\(self[$0]) \($0.rawValue)" }
    return parts.isEmpty ? "none" : parts.joined(separator: ", ")
  }
}
