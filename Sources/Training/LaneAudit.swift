import Cluster

/// A lane that two workers compute in one step, to see whether they come to the same bits.
///
/// By the promise they do. A machine with bad memory, or a mistake of ours, would otherwise go unseen: its
/// numbers look like numbers. Every N-th step audits one lane, another one each time.
struct LaneAudit {
  /// A worker's answer: the hash of the lane's contribution.
  struct Answer: Equatable {
    let worker: String
    let hash: UInt64
  }

  let lane: Int
  private var unanswered: Set<PeerID> = []
  private(set) var answers: [Answer] = []

  init(lane: Int) { self.lane = lane }

  var lanes: Range<Int> { lane..<lane + 1 }

  /// A worker's lanes, with the audited one apart.
  func cut(_ range: Range<Int>) -> [Range<Int>] {
    guard range.contains(lane) else { return [range] }
    return [range.lowerBound..<lane, lanes, lane + 1..<range.upperBound].filter { !$0.isEmpty }
  }

  var hasBoth: Bool { answers.count == 2 }
  /// Whether another worker has to be asked.
  var needsAnother: Bool { answers.count + unanswered.count < 2 }

  mutating func ask(_ peer: PeerID) { unanswered.insert(peer) }

  /// - Returns: false if this worker owes no answer
  mutating func take(_ hash: UInt64, from peer: PeerID, _ name: String) -> Bool {
    guard unanswered.remove(peer) != nil else { return false }
    answers.append(Answer(worker: name, hash: hash))
    return true
  }

  /// What there is to say if the two have come to different bits.
  func disagreement(inStep number: Int) -> CrewEvent? {
    guard hasBoth, answers[0].hash != answers[1].hash else { return nil }
    let workers = answers.map(\.worker)
    return CrewEvent(
      .audit,
      "workers \(workers[0]) and \(workers[1]) have computed different bits for lane \(lane) of step "
        + "\(number)",
      [
        "workers": .text(workers.joined(separator: " ")), "lane": .integer(lane),
        "hashes": .text(answers.map { String($0.hash, radix: 16) }.joined(separator: " ")),
      ])
  }

  mutating func forget(_ peer: PeerID) { unanswered.remove(peer) }
}
