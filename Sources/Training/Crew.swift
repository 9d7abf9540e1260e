import Cluster
import Dataset
import Foundation
import Kernels

/// The workers of a run, seen from the coordinator: who they are, which lanes they hold, and the two
/// things asked of them, a step's sum and a split's logits.
package final class Crew {
  private let endpoint: CoordinatorEndpoint
  private let tree: LaneTree
  private let welcome: Welcome
  private let build: String
  private let announce: (String) -> Void
  /// In the order they joined.
  package private(set) var members: [Member] = []
  private var sum: LaneSum
  private var weights = Parameters(step: 0, values: [])
  private var jobs: UInt64 = 0

  package struct Member {
    package let peer: PeerID
    package let name: String
    package var lanes: Range<Int>
    var isReady = false
  }

  /// - Parameters:
  ///   - contributionCount: floats of a lane's contribution
  ///   - welcome: what a worker must know before it can compute
  ///   - announce: receives a line for the log
  package init(
    _ endpoint: CoordinatorEndpoint, lanes: Int, contributionCount: Int, welcome: Welcome,
    build: String, announce: @escaping (String) -> Void
  ) {
    self.endpoint = endpoint
    self.welcome = welcome
    self.build = build
    self.announce = announce
    tree = LaneTree(lanes: lanes)
    sum = LaneSum(tree: tree, count: contributionCount)
  }

  /// Waits until `count` workers are ready, and gives each its lanes.
  package func gather(_ count: Int) throws {
    while members.filter(\.isReady).count < count {
      try next { peer, message in
        guard case .ready = message, let index = index(of: peer) else { return }
        members[index].isReady = true
        announce("worker \(members[index].name) is ready (\(members.filter(\.isReady).count) of \(count))")
      } joined: { peer, hello in
        try admit(peer, hello, room: members.count < count)
      }
    }
    for (index, lanes) in assignLanes(lanes: tree.laneCount, workers: count).enumerated() {
      members[index].lanes = lanes
      if lanes.isEmpty { announce("worker \(members[index].name) stands by: there are more workers than lanes") }
    }
  }

  /// Sends everybody the weights that hold from now on.
  package func send(weights values: [Float], step: Int) throws {
    weights = Parameters(step: step, values: values)
    try endpoint.send(.parameters(weights), to: members.map(\.peer))
  }

  /// The sum of all lanes' contributions to a step, added along the lane tree.
  ///
  /// - Throws: `TrainingError` if a worker is lost or cannot go on
  package func sum(
    _ step: RunState.Position, clipsInStep: Int
  ) throws -> [Float] {
    sum.reset()
    for member in members where !member.lanes.isEmpty {
      let order = Compute(
        step: step.step, epoch: step.epoch, stepInEpoch: step.stepInEpoch, lanes: member.lanes,
        clipsInStep: clipsInStep)
      try endpoint.send(.compute(order), to: member.peer)
    }
    let hash = weights.values.withUnsafeBufferPointer { contentHash(Span(_unsafeElements: $0)) }
    while true {
      if let total = sum.total { return total }
      try next { peer, message in
        guard case .partial(let partial) = message, partial.step == step.step else { return }
        guard partial.parametersHash == hash else {
          throw TrainingError(
            .fault,
            "worker \(name(of: peer)) computed step \(step.step) with other weights than those sent "
              + "to it; the run stops before they reach the model")
        }
        partial.values.withUnsafeBufferPointer {
          _ = sum.add(Span(_unsafeElements: $0), at: partial.node)
        }
      }
    }
  }

  /// Logits of all clips of a split by the weights sent last, `[clips, tags]`: each clip once, handed
  /// out a batch at a time to whoever is free.
  package func logits(_ split: Split, clips: Int, tags: Int) throws -> [Float] {
    jobs += 1
    let (job, batch) = (jobs, LaneComputer.evaluationBatch)
    var waiting = stride(from: 0, to: clips, by: batch).map { $0..<min($0 + batch, clips) }
    waiting.reverse()
    var outstanding: Set<Range<Int>> = []
    var logits = [Float](repeating: .nan, count: clips * tags)
    func hand(to peer: PeerID) throws {
      guard let range = waiting.popLast() else { return }
      outstanding.insert(range)
      try endpoint.send(
        .evaluate(Evaluate(job: job, split: split.rawValue, clips: range)), to: peer)
    }
    // two each: one to compute while the answer to the other travels
    for _ in 0..<2 {
      for member in members { try hand(to: member.peer) }
    }
    while !outstanding.isEmpty {
      try next { peer, message in
        guard case .scores(let scores) = message, scores.job == job,
          outstanding.contains(scores.clips), scores.values.count == scores.clips.count * tags
        else { return }
        outstanding.remove(scores.clips)
        logits.replaceSubrange(
          (scores.clips.lowerBound * tags)..<(scores.clips.upperBound * tags), with: scores.values)
        try hand(to: peer)
      }
    }
    return logits
  }

  /// Tells everybody that the run is over, and waits for nobody.
  package func dismiss() {
    for member in members { try? endpoint.send(.bye, to: member.peer) }
  }

  /// Messages refused so far.
  package var refused: DefectCounters { endpoint.defects }

  // MARK: Events

  /// Set from outside, before `endpoint.interrupt()`: why nothing more should be waited for.
  package var interruption: () -> (any Error)? = { nil }

  private func next(
    _ handle: (PeerID, Message) throws -> Void, joined: ((PeerID, Hello) throws -> Void)? = nil
  ) throws {
    if let reason = interruption() { throw reason }
    switch try endpoint.nextEvent() {
    case nil, .interrupted: break
    case .joined(let peer, let hello):
      if let joined { try joined(peer, hello) } else { try admit(peer, hello, room: false) }
    case .message(let peer, .error(_, let text)):
      throw TrainingError(.unavailable, "worker \(name(of: peer)) cannot go on: \(text)")
    case .message(let peer, .bye), .message(let peer, .drain):
      throw TrainingError(.unavailable, "worker \(name(of: peer)) has left the run")
    case .message(let peer, let message): try handle(peer, message)
    case .lost(let peer, let reason):
      if index(of: peer) == nil { return }
      throw TrainingError(.unavailable, "worker \(name(of: peer)) is lost: \(reason)")
    case .rejected(let peer, let defect):
      announce("refused a message from \(name(of: peer)): \(defect)")
    }
    if let reason = interruption() { throw reason }
  }

  private func admit(_ peer: PeerID, _ hello: Hello, room: Bool) throws {
    let refusal: String? =
      if hello.build != build {
        "this worker is build \(hello.build) and the coordinator is build \(build): install the same on both"
      } else if !room {
        "the run has all the workers it waited for"
      } else {
        nil
      }
    if let refusal {
      announce("refused worker \(hello.host):\(hello.processID): \(refusal)")
      try endpoint.send(.refuse(reason: refusal), to: peer)
      endpoint.remove(peer)
      return
    }
    members.append(
      Member(peer: peer, name: "\(hello.host):\(hello.processID)", lanes: 0..<0))
    try endpoint.send(.welcome(welcome), to: peer)
  }

  private func index(of peer: PeerID) -> Int? { members.firstIndex { $0.peer == peer } }
  private func name(of peer: PeerID) -> String {
    index(of: peer).map { members[$0].name } ?? "\(peer)"
  }
}
