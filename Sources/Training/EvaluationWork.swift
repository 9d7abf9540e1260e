import Cluster
import Dataset

/// Logits of all clips of a split: each clip once, handed out a few at a time to whoever is free.
final class EvaluationWork: CrewWork {
  private let job: UInt64
  private let split: Split
  private let tags: Int
  private var waiting: [Range<Int>]
  private var held: [PeerID: [Range<Int>]] = [:]
  private var missing: Int
  private(set) var logits: [Float]

  /// Two each: one to compute while the answer to the other travels.
  private static let ordersAhead = 2

  init(job: UInt64, _ split: Split, clips: Int, tags: Int) {
    self.job = job
    self.split = split
    self.tags = tags
    waiting = stride(from: 0, to: clips, by: 4).map { $0..<min($0 + 4, clips) }.reversed()
    missing = clips
    logits = [Float](repeating: .nan, count: clips * tags)
  }

  var isDone: Bool { missing == 0 }
  var deadline: ContinuousClock.Instant? { nil }

  func handOut(to crew: Crew) throws {
    for round in 0..<Self.ordersAhead {
      for member in crew.ready where held[member.peer, default: []].count <= round {
        guard let clips = waiting.popLast() else { return }
        held[member.peer, default: []].append(clips)
        try crew.send(
          .evaluate(Evaluate(job: job, split: split.rawValue, clips: clips)), to: member.peer)
      }
    }
  }

  func take(_ message: Message, from peer: PeerID, of crew: Crew) throws {
    guard case .scores(let scores) = message, scores.job == job,
      let place = held[peer]?.firstIndex(of: scores.clips)
    else { return }
    guard scores.values.count == scores.clips.count * tags else {
      throw Mistake(
        description: "sent \(scores.values.count) scores for \(scores.clips.count) clips and "
          + "\(tags) tags")
    }
    held[peer]?.remove(at: place)
    missing -= scores.clips.count
    logits.replaceSubrange(
      (scores.clips.lowerBound * tags)..<(scores.clips.upperBound * tags), with: scores.values.array
    )
  }

  func forget(_ peer: PeerID) { waiting += (held.removeValue(forKey: peer) ?? []).reversed() }

  func isHeld(by peer: PeerID) -> Bool { held[peer]?.isEmpty == false }
}
