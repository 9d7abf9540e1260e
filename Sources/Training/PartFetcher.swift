import Cluster
import Foundation

/// Fetches parts of the coordinator's data piece by piece, in the order in which they are begun, with as
/// many pieces on their way as fill a link and do not keep weights waiting behind them. What nobody waits for
/// yet has half of that, so that there is always room for what somebody does. One thread uses it.
struct PartFetcher {
  private struct Part {
    let number: Int
    /// Empty until it is known how long it is.
    var bytes: [UInt8]
    var isSized: Bool
    var asked = 0
    var received = 0
    var isAhead: Bool

    /// Bytes of the next piece to ask for: as few pieces as can be, and all alike.
    var nextPiece: Int {
      let pieces = (bytes.count + Fetch.mostBytes - 1) / Fetch.mostBytes
      return min((bytes.count + pieces - 1) / max(pieces, 1), bytes.count - asked)
    }
  }

  /// Bytes that are asked for and have not come.
  static let window = 1 << 20
  /// A part whose length is not known before may have so many.
  private static let longest = 1 << 28

  private let endpoint: WorkerEndpoint
  private var parts: [Int: Part] = [:]
  /// Those that are not asked for to their end.
  private var begun: [Int] = []
  private var tickets: [UInt64: (part: Int, offset: Int, count: Int)] = [:]
  private var lastTicket: UInt64 = 0
  private var outstanding = 0

  init(_ endpoint: WorkerEndpoint) { self.endpoint = endpoint }

  /// Whether another part may be begun.
  func hasRoom(ahead: Bool) -> Bool {
    mayAsk(ahead: ahead) && !begun.contains { parts[$0]?.isAhead == ahead }
  }

  private func mayAsk(ahead: Bool) -> Bool {
    let share = ahead ? 2 : 1
    return outstanding < Self.window / share && tickets.count < Fetch.mostAtOnce / share
  }

  /// Whether nothing is on its way.
  var isIdle: Bool { parts.isEmpty }

  func isFetching(_ number: Int) -> Bool { parts[number] != nil }

  /// - Parameter byteCount: nil if the first piece has to tell
  mutating func begin(_ number: Int, byteCount: Int?, isAhead: Bool = false) {
    parts[number] = Part(
      number: number, bytes: [UInt8](repeating: 0, count: byteCount ?? 0),
      isSized: byteCount != nil, isAhead: isAhead)
    begun.append(number)
    ask()
  }

  /// Somebody waits for a part that is being fetched, perhaps ahead.
  ///
  /// - Precondition: there is room for a part that somebody waits for
  mutating func hasten(_ number: Int) {
    guard var part = parts[number], part.isAhead else { return }
    part.isAhead = false
    ask(0, of: &part)
    parts[number] = part
    ask()
  }

  /// Takes a piece, and asks for the next.
  ///
  /// - Returns: the part that it completes
  /// - Throws: `TrainingError` if the coordinator cannot give what was asked for, or gives something else
  mutating func take(_ piece: Piece) throws -> (number: Int, bytes: [UInt8])? {
    guard let (number, offset, count) = tickets.removeValue(forKey: piece.ticket) else {
      return nil
    }
    outstanding -= count
    guard piece.refusal.isEmpty else {
      throw TrainingError(
        .unavailable, "the coordinator cannot give data to this worker: \(piece.refusal)")
    }
    guard var part = parts.removeValue(forKey: number) else { return nil }
    if !part.isSized, (1...Self.longest).contains(piece.partBytes) {
      part.bytes = [UInt8](repeating: 0, count: piece.partBytes)
      part.isSized = true
    }
    let expected = min(count, max(0, part.bytes.count - offset))
    guard piece.partBytes == part.bytes.count, piece.bytes.count == expected else {
      throw TrainingError(
        .fault,
        "the coordinator sent \(piece.bytes.count) bytes of part \(number) of \(piece.partBytes), "
          + "where \(expected) of \(part.bytes.count) were asked for")
    }
    part.bytes.replaceSubrange(offset..<offset + expected, with: piece.bytes)
    part.received += expected
    // The first piece of one whose length was not known may have been asked for beyond its end.
    part.asked = min(part.asked, part.bytes.count)
    let isComplete = part.received == part.bytes.count
    if !isComplete {
      parts[number] = part
      if part.asked < part.bytes.count, !begun.contains(number) { begun.append(number) }
    }
    ask()
    return isComplete ? (number, part.bytes) : nil
  }

  private mutating func ask() {
    while let number = begun.first(where: { parts[$0]?.isAhead == false }) ?? begun.first,
      var part = parts[number], mayAsk(ahead: part.isAhead)
    {
      ask(part.isSized ? part.nextPiece : Fetch.mostBytes, of: &part)
      if !part.isSized || part.asked == part.bytes.count { begun.removeAll { $0 == number } }
      parts[number] = part
    }
  }

  private mutating func ask(_ count: Int, of part: inout Part) {
    lastTicket += 1
    tickets[lastTicket] = (part.number, part.asked, count)
    endpoint.fetch(
      Fetch(
        ticket: lastTicket, part: part.number, offset: part.asked, count: count,
        isAhead: part.isAhead))
    outstanding += count
    part.asked += count
  }
}
