import Cluster
import Dataset
import Foundation
import Kernels

/// The workers of a run, seen from the coordinator: who they are, which lanes they hold, and the two
/// things asked of them, a step's sum and a split's logits.
package final class Crew {
  private let endpoint: CoordinatorEndpoint
  private let welcome: Welcome
  private let build: String
  private let processor: String?
  private let announce: (String) -> Void
  private var membership: Membership
  private var reduction: any CoordinatorReduction
  private var weightsHash: UInt64 = 0
  private var jobs: UInt64 = 0
  private var defectsSaid: Set<Defect.Kind> = []
  /// The part of the workers' time in the last step that they stood waiting for clips to be read, 0 to
  /// 1: the sum of their waits over the sum of the times they took for their lanes. Nil if none said.
  package private(set) var dataWaitShare: Double?

  /// - Parameters:
  ///   - contributionCount: floats of a lane's contribution
  ///   - welcome: what a worker must know before it can compute
  ///   - processor: what workers must compute on (see `Processor`); nil takes any
  ///   - announce: receives a line for the log
  package init(
    _ endpoint: CoordinatorEndpoint, lanes: Int, contributionCount: Int, welcome: Welcome,
    build: String, processor: String?, announce: @escaping (String) -> Void
  ) {
    self.endpoint = endpoint
    self.welcome = welcome
    self.build = build
    self.processor = processor
    self.announce = announce
    let tree = LaneTree(lanes: lanes)
    membership = Membership(tree: tree)
    reduction = Topology.star.makeCoordinatorSide(tree: tree, count: contributionCount)
  }

  /// Waits until `count` workers are ready, and gives each its lanes.
  package func gather(_ count: Int) throws {
    while membership.ready.count < count {
      try next(
        joined: { peer, hello in
          try admit(peer, hello, hasRoom: membership.members.count < count)
        },
        handle: { peer, message in
          guard case .ready = message else { return }
          membership.set(.ready, for: peer)
          announce(
            "worker \(name(of: peer)) is ready (\(membership.ready.count) of \(count))")
        })
    }
    membership.assign()
    for spare in membership.spares {
      announce(
        "worker \(name(of: spare.peer)) stands by: \(count) workers for "
          + "\(membership.tree.laneCount) lanes; training.lanes sets their number")
    }
  }

  /// Sends everybody the weights that hold from now on.
  package func send(weights: [Float], step: Int) throws {
    weightsHash = contentHash(weights.span)
    try endpoint.send(
      .parameters(Parameters(step: step, values: weights)), to: membership.ready.map(\.peer))
  }

  /// The sum of all lanes' contributions to a step, added along the lane tree.
  ///
  /// `dataWaitShare` is the step's when it returns.
  ///
  /// - Throws: `TrainingError` if a worker is lost or cannot go on
  package func sum(_ position: RunState.Position, clipsInStep: Int) throws -> [Float] {
    try requireNoInterruption()
    reduction.begin(step: position.step, parametersHash: weightsHash)
    var (elapsed, waited) = (Duration.zero, Duration.zero)
    for member in membership.ready where !member.lanes.isEmpty {
      let order = Compute(
        step: position.step, epoch: position.epoch, stepInEpoch: position.stepInEpoch,
        lanes: member.lanes, clipsInStep: clipsInStep)
      try endpoint.send(.compute(order), to: member.peer)
    }
    while true {
      if let sum = reduction.sum {
        dataWaitShare = elapsed > .zero ? waited / elapsed : nil
        return sum
      }
      try next { peer, message in
        if case .timing(let timing) = message, timing.step == position.step {
          elapsed += timing.elapsed
          waited += timing.waited
        }
        guard case .partial(let partial) = message else { return }
        switch reduction.accept(partial) {
        case .added, .duplicate, .otherStep: break
        case .otherParameters:
          throw TrainingError(
            .fault,
            "worker \(name(of: peer)) computed step \(position.step) with other weights than those "
              + "sent to it; the run stops before that reaches the model")
        case .malformed:
          throw TrainingError(
            .fault,
            "worker \(name(of: peer)) sent a sum over lanes \(partial.node) of "
              + "\(partial.values.count) values, which is no part of step \(position.step)")
        }
      }
    }
  }

  /// Logits of all clips of a split by the weights sent last, `[clips, tags]`: each clip once, handed
  /// out a batch at a time to whoever is free.
  package func logits(_ split: Split, clips: Int, tags: Int) throws -> [Float] {
    try requireNoInterruption()
    jobs += 1
    let (job, batch) = (jobs, 4)
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
      for member in membership.ready { try hand(to: member.peer) }
    }
    while !outstanding.isEmpty {
      try next { peer, message in
        guard case .scores(let scores) = message, scores.job == job,
          outstanding.contains(scores.clips)
        else { return }
        guard scores.values.count == scores.clips.count * tags else {
          throw TrainingError(
            .fault,
            "worker \(name(of: peer)) sent \(scores.values.count) scores for \(scores.clips.count) "
              + "clips and \(tags) tags")
        }
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
    for member in membership.members { try? endpoint.send(.bye, to: member.peer) }
    let refused = endpoint.defects
    if refused.total > 0 { announce("messages refused: \(refused)") }
  }

  // MARK: Events

  /// Set from outside, before `endpoint.interrupt()`: why nothing more should be waited for.
  package var interruption: () -> (any Error)? = { nil }

  /// Nothing is begun once there is a reason to stop, however much there is to read.
  private func requireNoInterruption() throws {
    if let reason = interruption() { throw reason }
  }

  /// Waits for one event while the run goes on; who joins now comes too late.
  private func next(_ handle: (PeerID, Message) throws -> Void) throws {
    try next(joined: { try admit($0, $1, hasRoom: false) }, handle: handle)
  }

  /// Waits for one event and deals with it; `handle` gets the messages that are part of the work.
  private func next(
    joined: (PeerID, Hello) throws -> Void, handle: (PeerID, Message) throws -> Void
  ) throws {
    // What is there already comes first: a worker's last words say more than its death.
    let reason = interruption()
    switch try endpoint.nextEvent(timeout: reason == nil ? nil : .zero) {
    case nil: if let reason { throw reason }
    case .interrupted: break
    case .joined(let peer, let hello): try joined(peer, hello)
    case .message(let peer, .error(let code, let text)):
      try miss(peer, code.status ?? .unavailable, "cannot go on: \(text)")
    case .message(let peer, .bye), .message(let peer, .drain):
      try miss(peer, .unavailable, "has left the run")
    case .message(let peer, let message): try handle(peer, message)
    case .lost(let peer, let loss):
      if let reason = interruption() { throw reason }
      try miss(peer, .unavailable, "is lost: \(loss)")
    case .rejected(let peer, let defect):
      guard defectsSaid.insert(defect.kind).inserted else { return }
      announce("refused a message from \(name(of: peer)): \(defect); more of these are counted")
    }
  }

  /// A worker is gone: as long as no lanes are given out, another may take its place; later that ends
  /// the run.
  private func miss(_ peer: PeerID, _ status: ExitStatus, _ what: String) throws {
    guard membership[peer] != nil else { return }
    let sentence = "worker \(name(of: peer)) \(what)"
    guard membership.holder(of: 0) == nil else { throw TrainingError(status, sentence) }
    announce(sentence)
    membership.remove(peer)
    endpoint.remove(peer)
  }

  private func admit(_ peer: PeerID, _ hello: Hello, hasRoom: Bool) throws {
    let refusal: String? =
      if hello.build != build {
        "this worker is build \(hello.build) and the coordinator is build \(build): install the same on both"
      } else if let processor, hello.processor != processor {
        "this worker computes on \(hello.processor) and the coordinator on \(processor), which may "
          + "round differently: --allow-mixed-cpus takes it, and the result may then depend on who "
          + "computes what"
      } else if !hasRoom {
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
    membership.join(peer, hello)
    try endpoint.send(.welcome(welcome), to: peer)
  }

  private func name(of peer: PeerID) -> String {
    membership[peer].map { "\($0.hello.host):\($0.hello.processID)" } ?? "\(peer)"
  }
}
