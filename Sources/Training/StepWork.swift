import Cluster

/// The sum of all lanes' contributions to a step, added along the lane tree.
///
/// Lanes that a lost worker held go to the others. When a worker is late by a multiple of what its lanes
/// should take and another is idle, that one computes the later half of them too, and the first answer
/// counts: both are the same bits.
final class StepWork: CrewWork {
  private let position: RunState.Position
  private let clipsInStep: Int
  private(set) var reduction: any CoordinatorReduction
  private var held = HeldLanes()
  /// What each was asked for in this step, done or not.
  private var ordered: [PeerID: Set<Int>] = [:]
  private var hasBegun = false
  private var hasOrphans = false
  private var isDuplicated: Set<Int> = []
  /// Who has computed with other weights, and the lanes that it was still at with them.
  private var refreshed: [PeerID: Set<Int>] = [:]
  private var audit: LaneAudit?
  /// When nobody waits for the audit any more.
  private var auditEnd: ContinuousClock.Instant?
  private var notFinite: Set<Int> = []
  /// Who sums which slice, while the step is shared.
  private var plan: (version: UInt64, owners: [PeerID])?
  /// Whether it was begun so.
  private(set) var wasShared = false
  private var longest = Duration.zero
  /// What each worker has taken for lanes, until it is done with those that it was dealt.
  private var computing: [PeerID: Duration] = [:]

  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var trouble: (since: ContinuousClock.Instant, lanes: Int)?
  private(set) var deadline: ContinuousClock.Instant?
  /// When it is worth looking again for who is late.
  private var nextLook: ContinuousClock.Instant
  private var elapsed = Duration.zero
  private var waited = Duration.zero

  /// A worker is late when it takes this many times what its lanes and the exchange should take, and this
  /// much more.
  private static let patience = 2.0
  private static let leastDelay = Duration.milliseconds(100)
  /// So much more time has who has never answered: its first clips are read, its links are new.
  private static let newcomersTime = Duration.seconds(10)
  private static let lookInterval = Duration.milliseconds(20)
  /// How often it is looked whether a worker still waits for its clips.
  private static let dataDelay = Duration.milliseconds(500)
  /// How long a sum that is whole waits for its audit.
  private static let auditDelay = Duration.seconds(2)
  /// So long slices may be on their way after all lanes should have been computed; and so long after the
  /// beginning of the step, if nobody knows what a lane takes.
  private static let sharingPatience = (known: Duration.seconds(1), unknown: Duration.seconds(60))

  /// - Parameters:
  ///   - reduction: of the run; the step begins it anew
  ///   - audit: a lane that two workers are to compute
  init(
    _ position: RunState.Position, clipsInStep: Int, _ reduction: any CoordinatorReduction,
    weightsHash: UInt64, audit: LaneAudit? = nil
  ) {
    self.position = position
    self.clipsInStep = clipsInStep
    self.reduction = reduction
    self.audit = audit
    start = clock.now
    // Nobody is late before.
    nextLook = start + Self.leastDelay
    self.reduction.begin(step: position.step, parametersHash: weightsHash)
  }

  var isDone: Bool { reduction.sum != nil && audit == nil }

  /// The part of the workers' time that they stood waiting for clips to be read, 0 to 1: the sum of
  /// their waits over the sum of the times they took for their lanes. Nil if none said.
  var dataWaitShare: Double? { elapsed > .zero ? waited / elapsed : nil }

  /// What losses have cost: lanes computed again, and the time from the first loss to the sum.
  var recovery: (lanes: Int, time: Duration)? {
    trouble.map { ($0.lanes, clock.now - $0.since) }
  }

  /// What the exchange took beside the slowest worker's computing, if nothing has happened in it.
  var exchangeSeconds: Double? {
    trouble != nil || !isDuplicated.isEmpty ? nil : (clock.now - start - longest) / .seconds(1)
  }

  func isHeld(by peer: PeerID) -> Bool { !held[peer].isEmpty }

  // MARK: Handing out

  func handOut(to crew: Crew) throws {
    deadline = nil
    if hasBegun { try pursueAudit(crew) }
    if isDone || !crew.hasReady { return }
    if !hasBegun {
      hasBegun = true
      let dealt = crew.dealt()
      // An audit's lane is of no plan: such a step is a star.
      plan = audit == nil ? try crew.plan(for: dealt) : nil
      if let plan {
        wasShared = true
        reduction.share(among: plan.owners.count)
      }
      for member in dealt {
        for lanes in audit?.cut(member.lanes) ?? [member.lanes] {
          try order(lanes, from: member.peer, of: crew, isAudited: lanes == audit?.lanes)
        }
      }
      try pursueAudit(crew)
    } else if hasOrphans {
      try gather(crew)
      try adopt(crew)
    }
    guard reduction.sum == nil else { return }
    if plan == nil { try duplicate(crew) } else { try watch(crew) }
  }

  /// Gives the slices their time, and then has the step finished without them.
  private func watch(_ crew: Crew) throws {
    let most = held.holders.map { crew.lanes(of: $0) }.max() ?? 0
    let due =
      start
      + (crew.medianSecondsPerLane.map {
        Self.sharingPatience.known
          + .seconds(Self.patience * ($0 * Double(most) + crew.medianExchangeSeconds))
      } ?? Self.sharingPatience.unknown)
    guard clock.now >= due else {
      deadline = due
      return
    }
    // Their clips are on their way, which is nobody's slice's fault.
    if held.holders.contains(where: { isHeld(by: $0) && crew.awaitsData($0) }) {
      deadline = clock.now + Self.dataDelay
      return
    }
    crew.countUnsharedStep("step \(position.step + 1) did not come together among the workers")
    try gather(crew)
    try duplicate(crew)
  }

  /// Has everybody send here what he has added: the step goes on as a star.
  private func gather(_ crew: Crew) throws {
    guard plan != nil else { return }
    plan = nil
    for peer in held.holders { try crew.send(.gather(step: position.step), to: peer) }
  }

  private func order(
    _ lanes: Range<Int>, from peer: PeerID, of crew: Crew, isAudited: Bool = false
  ) throws {
    held.give(lanes, to: peer)
    ordered[peer, default: []].formUnion(lanes)
    if isAudited { audit?.ask(peer) }
    let order = Compute(
      step: position.step, epoch: position.epoch, stepInEpoch: position.stepInEpoch, lanes: lanes,
      clipsInStep: clipsInStep, isAudited: isAudited, plan: plan?.version ?? 0)
    try crew.send(.compute(order), to: peer)
  }

  /// Asks a second worker, or a third for a lost one; without one, or if it takes long, there is no
  /// audit in this step.
  private func pursueAudit(_ crew: Crew) throws {
    guard let audit else { return }
    if audit.needsAnother {
      // Where his answer to the first question waits he would write the second (see `SharedVectors`).
      let other = crew.ready.first { ordered[$0.peer]?.contains(audit.lane) != true }
      guard let other else {
        self.audit = nil
        return
      }
      try order(audit.lanes, from: other.peer, of: crew, isAudited: true)
    }
    guard reduction.sum != nil else { return }
    let end = auditEnd ?? clock.now + Self.auditDelay
    auditEnd = end
    if clock.now >= end { self.audit = nil } else { deadline = end }
  }

  /// Lanes that nobody holds go to all who are ready, those who hold the least first.
  private func adopt(_ crew: Crew) throws {
    hasOrphans = false
    for range in held.orphans(of: reduction.missing) {
      let takers = crew.ready.sorted { held[$0.peer].count < held[$1.peer].count }
      let parts = assignLanes(range, of: crew.tree, workers: takers.count)
      for (taker, lanes) in zip(takers, parts) where !lanes.isEmpty {
        try order(lanes, from: taker.peer, of: crew)
        trouble?.lanes += lanes.count
        crew.report(
          CrewEvent(
            .reassignment,
            "\(text(ofLanes: lanes)) of step \(position.step + 1) to worker \(crew.name(of: taker.peer))",
            ["worker": .text(crew.name(of: taker.peer)), "lanes": .integer(lanes.count)]))
      }
    }
  }

  private func duplicate(_ crew: Crew) throws {
    // Not at every answer: with many workers that would be most of the coordinator's work.
    let now = clock.now
    guard now >= nextLook else {
      deadline = nextLook
      return
    }
    nextLook = now + Self.lookInterval
    guard let typical = crew.medianSecondsPerLane,
      let idle = crew.ready.filter({ !isHeld(by: $0.peer) })
        .min(by: { $0.secondsPerLane ?? typical < $1.secondsPerLane ?? typical })
    else { return }
    // Who has not shown yet how long what he sends is on its way gets more time, and is looked at last.
    for isKnown in [true, false] {
      let late = held.fullest {
        (crew.exchangeSeconds(of: $0) != nil) == isKnown && !isDuplicated.isSuperset(of: held[$0])
      }
      guard let late else { continue }
      let lanes = Double(max(crew.lanes(of: late.peer), late.lanes.count))
      let exchange = crew.exchangeSeconds(of: late.peer)
        .map { Duration.seconds(Self.patience * $0) }
      let due =
        start + Self.leastDelay + (exchange ?? Self.newcomersTime)
        + .seconds(Self.patience * typical * lanes)
      if now < due {
        look(at: due)
      } else if crew.awaitsData(late.peer, as: idle.peer) {
        look(at: now + Self.dataDelay)
      } else {
        // It gets no lanes, then, until that is forgiven (see `Membership`).
        if !isKnown { crew.observe(late.peer, secondsPerLane: (now - start) / .seconds(1) / lanes) }
        return try duplicate(late, by: idle.peer, of: crew)
      }
    }
  }

  private func look(at time: ContinuousClock.Instant) { deadline = min(deadline ?? time, time) }

  private func duplicate(
    _ late: (peer: PeerID, lanes: Set<Int>), by idle: PeerID, of crew: Crew
  ) throws {
    let lanes = late.lanes.subtracting(isDuplicated).sorted()
    guard let last = lanes.last else { return }
    // From the end, where it comes last.
    var first = last
    while last - first + 1 < (lanes.count + 1) / 2, late.lanes.contains(first - 1) { first -= 1 }
    let part = first..<(last + 1)
    isDuplicated.formUnion(part)
    try order(part, from: idle, of: crew)
    crew.report(
      CrewEvent(
        .duplicate,
        "worker \(crew.name(of: late.peer)) is late with \(text(ofLanes: part)) of step "
          + "\(position.step + 1): \(crew.name(of: idle)) computes them too",
        [
          "worker": .text(crew.name(of: late.peer)), "by": .text(crew.name(of: idle)),
          "lanes": .integer(part.count),
        ]))
    look(at: clock.now + Self.leastDelay)
  }

  // MARK: Answers

  func take(_ message: Message, from peer: PeerID, of crew: Crew) throws {
    switch message {
    case .timing(let timing) where timing.step == position.step && !timing.lanes.isEmpty:
      try compare(timing, from: peer, of: crew)
      elapsed += timing.elapsed
      if !isDuplicated.isSuperset(of: timing.lanes) {
        computing[peer, default: .zero] += timing.elapsed
      }
      longest = max(longest, timing.elapsed)
      waited += timing.waited
      // A worker's clips come from here once. Lanes that went elsewhere meanwhile would come again, there.
      let own = crew.isServed(peer) ? timing.elapsed - timing.waited : timing.elapsed
      crew.observe(peer, secondsPerLane: own / .seconds(1) / Double(timing.lanes.count))
    case .partial(let partial): try take(partial, from: peer, of: crew)
    case .notFinite(let found) where found.step == position.step:
      guard notFinite.insert(found.lane).inserted else { return }
      crew.report(
        CrewEvent(
          .notFinite, "step \(position.step + 1): \(found.what.inOneLine)",
          ["lane": .integer(found.lane), "worker": .text(crew.name(of: peer))]))
    case .slice(let slice): try take(slice, from: peer, of: crew)
    default: break
    }
  }

  /// - Throws: `TrainingError.fault` if two workers have come to other bits for the same lane
  private func compare(_ timing: Timing, from peer: PeerID, of crew: Crew) throws {
    guard timing.lanes == audit?.lanes, timing.hash != 0,
      audit?.take(timing.hash, from: peer, crew.name(of: peer)) == true,
      let audit, audit.hasBoth
    else { return }
    self.audit = nil
    guard let disagreement = audit.disagreement(inStep: position.step + 1) else {
      return crew.countAudit()
    }
    crew.report(disagreement)
    throw TrainingError(
      .fault,
      "\(disagreement.sentence): one of these machines errs (test its memory), or Tutti does; --resume "
        + "goes on from before that step, without the one you do not trust")
  }

  private func take(_ slice: Slice, from peer: PeerID, of crew: Crew) throws {
    guard let plan, plan.owners.firstIndex(of: peer) == slice.index else { return }
    switch reduction.accept(slice) {
    case .added, .duplicate: if reduction.sum != nil { held.releaseAll() }
    case .otherStep: break
    case .otherParameters: try refresh(peer, after: 0..<0, of: crew)
    case .malformed:
      throw Mistake(
        description: "sent a slice of \(slice.values.count) values of step \(position.step + 1)")
    }
  }

  private func take(_ partial: Partial, from peer: PeerID, of crew: Crew) throws {
    let outcome = crew.trace.span(
      "sum", RunTrace.arguments(step: position.step, lanes: partial.node)
    ) { reduction.accept(partial) }
    switch outcome {
    case .added, .duplicate:
      let owed = isHeld(by: peer)
      held.release(partial.node)
      guard owed, !isHeld(by: peer), trouble == nil,
        let computed = computing.removeValue(forKey: peer)
      else { return }
      crew.observe(peer, exchangeSeconds: (clock.now - start - computed) / .seconds(1))
    case .otherStep: break
    case .otherParameters: try refresh(peer, after: partial.node, of: crew)
    case .malformed:
      throw Mistake(
        description: "sent a sum over lanes \(partial.node) of \(partial.values.count) values, "
          + "which is no part of step \(position.step + 1)")
    }
  }

  /// A worker has computed with other weights than the step's.
  ///
  /// - Parameter node: the lanes that it has added up with them; what else it was at is passed over
  /// - Throws: `Mistake` if it has others still after it got the right ones
  private func refresh(_ peer: PeerID, after node: Range<Int>, of crew: Crew) throws {
    if let rest = refreshed[peer], !node.isEmpty, rest.isSuperset(of: node) {
      refreshed[peer]?.subtract(node)
      return
    }
    guard refreshed.updateValue(held[peer].subtracting(node), forKey: peer) == nil else {
      throw Mistake(
        description: "computes step \(position.step + 1) with other weights than those sent to it")
    }
    crew.report(
      CrewEvent(
        .desynchronised,
        "worker \(crew.name(of: peer)) has other weights than those of step \(position.step + 1): "
          + "they are sent again, and its answer is not used",
        ["worker": .text(crew.name(of: peer))]))
    try crew.sendWeights(to: peer)
    forget(peer)
  }

  func forget(_ peer: PeerID) {
    audit?.forget(peer)
    let lanes = held.forget(peer)
    guard !lanes.isEmpty else { return }
    hasOrphans = true
    isDuplicated.subtract(lanes)
    if trouble == nil { trouble = (clock.now, 0) }
  }
}
