import Cluster
import Dataset

/// Logits of all clips of a split, handed out a few at a time to whoever is free.
///
/// What a lost worker held others get. When nothing is left to hand out and an answer is late, who is
/// idle computes those clips too, and the first answer counts: both are the same bits.
final class EvaluationWork: CrewWork {
  private struct Order {
    let clips: Range<Int>
    let since: ContinuousClock.Instant
  }

  private let job: Int
  private let split: Split
  private let tags: Int
  private let weightsHash: UInt64
  private var waiting: [Range<Int>]
  private var held: [PeerID: [Order]] = [:]
  private var missing: Set<Range<Int>>
  private var isDuplicated: Set<Range<Int>> = []
  /// Who has scored with other weights, and the clips that it was still at with them.
  private var refreshed: [PeerID: Set<Range<Int>>] = [:]
  private(set) var logits: [Float]
  /// Who has answered for the clips from a position on, in the evaluation before and in this one. Who has
  /// had some gets them again if he can: he may have them on his disk, and others not.
  private let before: [Int: PeerID]
  private(set) var answerers: [Int: PeerID] = [:]
  private(set) var deadline: ContinuousClock.Instant?

  private let clock = ContinuousClock()
  private var answers = (count: 0, time: Duration.zero)

  /// Two each: one to compute while the answer to the other travels.
  private static let ordersAhead = 2
  /// An answer is late when it takes this many times what one took on average, and this much more.
  private static let patience = 3.0
  private static let leastDelay = Duration.milliseconds(100)

  /// - Parameter weightsHash: content hash of the weights that were sent last, which all scores must have
  init(
    job: Int, _ split: Split, clips: Int, tags: Int, weightsHash: UInt64,
    before: [Int: PeerID] = [:]
  ) {
    self.before = before
    self.job = job
    self.split = split
    self.tags = tags
    self.weightsHash = weightsHash
    waiting = stride(from: 0, to: clips, by: 4).map { $0..<min($0 + 4, clips) }.reversed()
    missing = Set(waiting)
    logits = [Float](repeating: .nan, count: clips * tags)
  }

  var isDone: Bool { missing.isEmpty }

  // MARK: Handing out

  func handOut(to crew: Crew) throws {
    deadline = nil
    for round in 0..<Self.ordersAhead {
      for member in crew.ready where held[member.peer, default: []].count <= round {
        guard let clips = next(for: member.peer) else { return try duplicate(crew) }
        try order(clips, from: member.peer, of: crew)
      }
    }
  }

  /// What it had before; or else what nobody had; or what another had.
  private func next(for peer: PeerID) -> Range<Int>? {
    let index =
      waiting.lastIndex { before[$0.lowerBound] == peer }
      ?? waiting.lastIndex { before[$0.lowerBound] == nil } ?? waiting.indices.last
    return index.map { waiting.remove(at: $0) }
  }

  private func order(_ clips: Range<Int>, from peer: PeerID, of crew: Crew) throws {
    held[peer, default: []].append(Order(clips: clips, since: clock.now))
    try crew.send(
      .evaluate(Evaluate(job: job, split: split.rawValue, clips: clips)), to: peer)
  }

  private func duplicate(_ crew: Crew) throws {
    guard answers.count > 0,
      let idle = crew.ready.first(where: { !isHeld(by: $0.peer) }),
      let (late, order) = held.compactMap({ peer, orders in
        orders.first { !isDuplicated.contains($0.clips) }.map { (peer, $0) }
      }).min(by: { $0.1.since < $1.1.since })
    else { return }
    let due =
      order.since + Self.leastDelay + answers.time * Self.patience / Double(answers.count)
    guard clock.now >= due else {
      deadline = due
      return
    }
    if crew.awaitsData(late, as: idle.peer) {
      deadline = clock.now + .milliseconds(500)
      return
    }
    isDuplicated.insert(order.clips)
    try self.order(order.clips, from: idle.peer, of: crew)
    crew.report(
      CrewEvent(
        .duplicate,
        "worker \(crew.name(of: late)) is late with clips \(order.clips.lowerBound) to "
          + "\(order.clips.upperBound - 1) of the \(split.rawValue) split: "
          + "\(crew.name(of: idle.peer)) computes them too",
        [
          "worker": .text(crew.name(of: late)), "by": .text(crew.name(of: idle.peer)),
          "clips": .integer(order.clips.count),
        ]))
    deadline = clock.now + Self.leastDelay
  }

  // MARK: Answers

  func take(_ message: Message, from peer: PeerID, of crew: Crew) throws {
    guard case .scores(let scores) = message, scores.job == job else { return }
    guard scores.parametersHash == weightsHash else {
      return try refresh(peer, after: scores.clips, of: crew)
    }
    guard let order = held[peer]?.first(where: { $0.clips == scores.clips }) else { return }
    guard scores.values.count == scores.clips.count * tags else {
      throw Mistake(
        description: "sent \(scores.values.count) scores for \(scores.clips.count) clips and "
          + "\(tags) tags")
    }
    answers = (answers.count + 1, answers.time + (clock.now - order.since))
    for holder in held.keys { held[holder]?.removeAll { $0.clips == scores.clips } }
    guard missing.remove(scores.clips) != nil else { return }
    answerers[scores.clips.lowerBound] = peer
    logits.replaceSubrange(
      (scores.clips.lowerBound * tags)..<(scores.clips.upperBound * tags), with: scores.values.array
    )
  }

  /// A worker has scored with other weights than those that were sent last.
  ///
  /// - Parameter clips: those that it has scored; what else it was at with these weights is passed over
  /// - Throws: `Mistake` if it has others still after it got the right ones
  private func refresh(_ peer: PeerID, after clips: Range<Int>, of crew: Crew) throws {
    if refreshed[peer]?.remove(clips) != nil { return }
    let others = Set(held[peer, default: []].map(\.clips)).subtracting([clips])
    guard refreshed.updateValue(others, forKey: peer) == nil else {
      throw Mistake(
        description: "scores the \(split.rawValue) split with other weights than those sent to it")
    }
    crew.report(
      CrewEvent(
        .desynchronised,
        "worker \(crew.name(of: peer)) has scored clips \(clips.lowerBound) to "
          + "\(clips.upperBound - 1) of the \(split.rawValue) split with other weights: they are sent "
          + "again, and its answer is not used",
        ["worker": .text(crew.name(of: peer)), "clips": .integer(clips.count)]))
    try crew.sendWeights(to: peer)
    forget(peer)
  }

  func forget(_ peer: PeerID) {
    let lost = (held.removeValue(forKey: peer) ?? []).map(\.clips)
    isDuplicated.subtract(lost)
    // Unless somebody else is at it too.
    waiting += lost.reversed().filter { clips in
      !held.values.contains { $0.contains { $0.clips == clips } }
    }
  }

  func isHeld(by peer: PeerID) -> Bool { held[peer]?.isEmpty == false }
}
