import Cluster
import Dataset
import Foundation
import Synchronization

/// Gives the coordinator's data to workers that have none.
///
/// A thread of its own reads and answers, so that no disk keeps a step waiting, one fetch after the other (see
/// `FetchQueue`). How many wait, and how much is on its way,
/// the endpoint bounds. Only who was admitted to the run gets any; requests name parts by number, never a
/// path.
package final class DataDesk: Sendable {
  /// Something to tell of it.
  enum News: Sendable {
    /// A worker has fetched for the first time.
    case taker(PeerID)
    /// Data could not be read.
    case problem(String)
  }

  private struct State {
    var members: Set<PeerID> = []
    /// Who has been one, and may have asked before it left.
    var former: Set<PeerID> = []
    /// Members that have fetched; for whom there are fetches here that somebody waits for; and when the last
    /// such answer went to each.
    var takers: Set<PeerID> = []
    var waiting: Set<PeerID> = []
    var awaited: [PeerID: ContinuousClock.Instant] = [:]
    var news: [News] = []
    var hasProblem = false
    var givenBytes = 0
    var refused = 0
  }

  private let endpoint: CoordinatorEndpoint
  private let parts: StoreParts
  /// Bytes a second; nil for as many as the links carry.
  private let rate: Int?
  private let state = Mutex(State())

  /// Somebody waits for data until so long after the last of them have left here: they may be on their way.
  private static let patience = Duration.seconds(2)

  package init(_ endpoint: CoordinatorEndpoint, _ store: Store, rate: Int? = nil) throws {
    self.endpoint = endpoint
    self.rate = rate
    parts = try StoreParts(store)
    let thread = Thread { self.run() }
    thread.name = "data desk"
    thread.start()
  }

  // MARK: For the crew

  package func admit(_ peer: PeerID) {
    state.withLock {
      $0.members.insert(peer)
      $0.former.remove(peer)
    }
  }

  func forget(_ peer: PeerID) {
    state.withLock {
      if $0.members.remove(peer) != nil { $0.former.insert(peer) }
      $0.takers.remove(peer)
      $0.waiting.remove(peer)
      $0.awaited[peer] = nil
    }
  }

  /// Whether a worker has its data from here.
  func serves(_ peer: PeerID) -> Bool { state.withLock { $0.takers.contains(peer) } }

  /// Whether it stands waiting for them.
  func isAwaited(by peer: PeerID) -> Bool {
    state.withLock { state in
      state.waiting.contains(peer)
        || state.awaited[peer].map { .now - $0 < Self.patience } ?? false
    }
  }

  func takeNews() -> [News] {
    state.withLock { state in
      defer { state.news = [] }
      return state.news
    }
  }

  /// Bytes of the store that were given, all in all.
  package var givenBytes: Int { state.withLock { $0.givenBytes } }

  /// Fetches that were refused: of strangers, or of what there is not.
  package var refused: Int { state.withLock { $0.refused } }

  // MARK: The thread

  /// Until the endpoint is closed.
  private func run() {
    var queue = FetchQueue()
    var due = ContinuousClock.now
    do {
      while true {
        // All that have come; if there are some, no longer than until the next may be answered.
        let timeout = queue.isEmpty ? nil : max(due - .now, .zero)
        if let (peer, fetch) = try endpoint.nextFetch(timeout: timeout) {
          queue.add(fetch, from: peer)
          note(peer, in: queue)
          continue
        }
        guard .now >= due, let (peer, fetch) = queue.next() else { continue }
        defer { note(peer, in: queue) }
        guard let piece = answer(to: fetch, from: peer) else { continue }
        try endpoint.answer(piece, to: peer)
        if let rate {
          due =
            max(due, .now - .milliseconds(100))
            + .seconds(Double(piece.bytes.count) / Double(rate))
        }
      }
    } catch {
      // Closed: the run is over.
    }
  }

  private func note(_ peer: PeerID, in queue: FetchQueue) {
    let waits = queue.isAwaited(by: peer)
    state.withLock { state in
      if waits && state.members.contains(peer) {
        state.waiting.insert(peer)
      } else {
        state.waiting.remove(peer)
      }
    }
  }

  /// - Returns: nil if it is gone
  private func answer(to fetch: Fetch, from peer: PeerID) -> Piece? {
    let isGone = state.withLock { $0.former.contains(peer) }
    if isGone { return nil }
    let isMember = state.withLock { state in
      guard state.members.contains(peer) else { return false }
      if state.takers.insert(peer).inserted { state.news.append(.taker(peer)) }
      if !fetch.isAhead { state.awaited[peer] = .now }
      return true
    }
    guard isMember else { return refuse(fetch, "it is not a member of the run") }
    do {
      let found = try parts.bytes(ofPart: fetch.part, from: fetch.offset, count: fetch.count)
      guard let found else {
        return refuse(fetch, "there is no byte \(fetch.offset) of a part \(fetch.part)")
      }
      state.withLock { $0.givenBytes += found.bytes.count }
      return Piece(ticket: fetch.ticket, partBytes: found.partBytes, bytes: found.bytes)
    } catch {
      state.withLock { state in
        if !state.hasProblem { state.news.append(.problem("\(error)")) }
        state.hasProblem = true
      }
      endpoint.interrupt()
      return Piece(ticket: fetch.ticket, refusal: "\(error)")
    }
  }

  private func refuse(_ fetch: Fetch, _ reason: String) -> Piece {
    state.withLock { $0.refused += 1 }
    return Piece(ticket: fetch.ticket, refusal: reason)
  }
}
