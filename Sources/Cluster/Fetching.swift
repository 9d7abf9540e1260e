/// A worker's wish for bytes of the coordinator's data: some of one part. Which part is which, the programs
/// agree on; here it has a number.
package struct Fetch: Equatable, Sendable {
  /// Bytes that it may ask for: little enough that other messages, and signs of life, do not wait long
  /// behind it on a slow link.
  package static let mostBytes = 1 << 17
  /// Fetches of a worker's that may wait for their answers to leave.
  package static let mostAtOnce = 16

  /// The answer bears it too.
  package var ticket: UInt64
  package var part: Int
  package var offset: Int
  /// Up to `mostBytes`; the answer has fewer where the part ends. None says that somebody now waits for
  /// what was asked of the part before, ahead.
  package var count: Int
  /// Whether nobody waits for it yet: others go first.
  package var isAhead: Bool

  package init(ticket: UInt64, part: Int, offset: Int, count: Int, isAhead: Bool = false) {
    self.ticket = ticket
    self.part = part
    self.offset = offset
    self.count = count
    self.isAhead = isAhead
  }
}

/// The answer to a fetch.
package struct Piece: Equatable, Sendable {
  package var ticket: UInt64
  /// Bytes of the whole part.
  package var partBytes: Int
  package var bytes: [UInt8]
  /// Why there are none; empty if there are.
  package var refusal: String

  package init(ticket: UInt64, partBytes: Int, bytes: [UInt8]) {
    self.ticket = ticket
    self.partBytes = partBytes
    self.bytes = bytes
    refusal = ""
  }

  package init(ticket: UInt64, refusal: String) {
    self.ticket = ticket
    partBytes = 0
    bytes = []
    self.refusal = refusal
  }
}

extension Fetch {
  func write(to fields: inout FieldWriter) {
    fields.write(part)
    fields.write(offset)
    fields.write(count)
    fields.write(UInt8(isAhead ? 1 : 0))
  }

  init(ticket: UInt64, from fields: inout FieldReader) throws(Defect) {
    self.ticket = ticket
    part = try fields.count()
    offset = try fields.count()
    count = try fields.count()
    let ahead: UInt8 = try fields.integer()
    guard count <= Self.mostBytes, ahead <= 1 else {
      throw Defect(.payload, "a fetch of \(count) bytes, at most \(Self.mostBytes) are allowed")
    }
    isAhead = ahead == 1
  }
}

extension Piece {
  func write(to fields: inout FieldWriter) {
    fields.write(partBytes)
    fields.write(refusal)
    fields.write(raw: bytes)
  }

  init(ticket: UInt64, from fields: inout FieldReader) throws(Defect) {
    self.ticket = ticket
    partBytes = try fields.count()
    refusal = try fields.text()
    bytes = fields.remainder()
    guard bytes.count <= min(Fetch.mostBytes, partBytes) else {
      throw Defect(.payload, "a piece of \(bytes.count) bytes of \(partBytes)")
    }
  }
}
