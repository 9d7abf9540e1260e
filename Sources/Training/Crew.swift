import Cluster
import Dataset
import Foundation
import Kernels

/// The workers of a run, seen from the coordinator: who they are, and the two things asked of them, a
/// step's sum and a split's logits.
///
/// Workers come and go as they like. Who joins gets lanes from the next step on; what a lost one held
/// goes to the others; with nobody left the crew waits. None of it shows in the result.
package final class Crew {
  package struct Settings {
    package var build: String
    /// This machine's processor, for words.
    package var processor: String
    /// Hash of the probe's gradient as this machine computes it; nil takes whoever computes another.
    package var proof: UInt64?
    /// How long to wait for workers when none is left.
    package var patience = Duration.seconds(600)
    /// Every so many steps a lane is computed twice, and compared; nil for never.
    package var auditEvery: Int?
    /// How vectors travel; no choice shows in the result.
    package var topology = TopologyChoice.star

    package init(build: String, processor: String, proof: UInt64?) {
      self.build = build
      self.processor = processor
      self.proof = proof
    }
  }

  private let endpoint: CoordinatorEndpoint
  private let welcome: Welcome
  private let settings: Settings
  private let admission: Admission
  private let announce: (CrewEvent) -> Void
  private var membership: Membership
  private let contributionCount: Int
  /// Between steps.
  private var reduction: (any CoordinatorReduction)?
  private var weights = StepWeights()
  private var rooms: ParameterRooms
  private var sharing: Sharing
  private var jobs = 0
  /// Who has evaluated which clips of a split lately.
  private var answerers: [Split: [Int: PeerID]] = [:]
  private var work: (any CrewWork)?
  private var hope: Hope
  /// Processes whose end has been told.
  private var departed: Set<Int> = []
  /// How many workers the first step waits for.
  private var wanted: Int?
  private var defectsSaid: Set<Defect.Kind> = []
  /// Lanes that two workers have computed to the same bits.
  private var audits = 0
  /// Of the last step; see `StepWork`.
  package private(set) var dataWaitShare: Double?

  /// Set from outside, before `endpoint.interrupt()`: why nothing more should be waited for.
  package var interruption: () -> (any Error)? = { nil }
  /// Where workers without a store have the data from.
  package var desk: DataDesk?
  /// What others see of the run.
  package var status = RunStatus()
  package var trace: RunTrace?
  /// Which changes of the membership they have seen.
  private var changesShown = 0
  /// Workers on this machine, whose ends are known before their silence is.
  package var local: LocalWorkers?
  /// Whether workers may still come from elsewhere.
  package var expectsOthers = true

  /// - Parameters:
  ///   - contributionCount: floats of a lane's contribution
  ///   - welcome: what a worker must know before it can compute
  package init(
    _ endpoint: CoordinatorEndpoint, lanes: Int, contributionCount: Int, welcome: Welcome,
    settings: Settings, announce: @escaping (CrewEvent) -> Void
  ) {
    self.endpoint = endpoint
    rooms = ParameterRooms(endpoint.memory)
    self.contributionCount = contributionCount
    self.welcome = welcome
    self.settings = settings
    self.announce = announce
    admission = Admission(
      build: settings.build, processor: settings.processor, proof: settings.proof)
    hope = Hope(patience: settings.patience)
    membership = Membership(tree: LaneTree(lanes: lanes))
    sharing = Sharing(
      settings.topology, bytes: contributionCount * MemoryLayout<Float>.stride)
  }

  /// Whether the next vectors go slice by slice.
  package var sharesVectors: Bool { sharing.plan != nil }

  /// Waits until `count` workers are ready, or all that still can be.
  package func gather(_ count: Int) throws {
    var count = count
    wanted = count
    defer { wanted = nil }
    while membership.ready.count < count {
      try requireHope()
      try next()
      guard !expectsOthers, let left = local?.count, left > 0, left < count else { continue }
      report(
        CrewEvent(
          .waiting, "no more than \(left) of \(count) workers can come: it begins with them"))
      count = left
      wanted = count
    }
    membership.assign()
    for spare in membership.spares {
      report(
        CrewEvent(
          .spare,
          "worker \(name(of: spare.peer)) stands by: \(count) workers for "
            + "\(tree.laneCount) lanes; training.lanes sets their number"))
    }
  }

  /// Where the weights of a step are best made: from there they go out without a copy.
  ///
  /// - Parameter count: how many they are
  package func room(forWeightsOf step: Int, count: Int) -> VectorBuffer {
    rooms.room(ofStep: step, count: count)
  }

  /// Sends everybody the weights that hold from now on. Nobody may change them before the next ones.
  package func send(weights: FloatVector, step: Int) throws {
    try trace.span("weights out", ["step": .integer(step + 1)]) {
      try handOver(weights, step: step)
    }
  }

  private func handOver(_ weights: FloatVector, step: Int) throws {
    self.weights = StepWeights(weights, step: step, bearers: sharing.plan?.owners ?? [])
    let others = membership.ready.map(\.peer).filter { !self.weights.bearers.contains($0) }
    if !others.isEmpty { try endpoint.send(.parameters(self.weights.parameters), to: others) }
    self.weights.seal()
    for (owner, slice) in self.weights.slices { try endpoint.send(.slice(slice), to: owner) }
  }

  /// The sum of all lanes' contributions to a step, added along the lane tree.
  ///
  /// It holds until the next step is begun. `dataWaitShare` is the step's when it returns.
  ///
  /// - Throws: `TrainingError` if nobody is left to compute it
  package func sum(_ position: RunState.Position, clipsInStep: Int) throws -> FloatVector {
    let step = StepWork(
      position, clipsInStep: clipsInStep, takeReduction(), weightsHash: weights.hash,
      audit: audit(at: position))
    try trace.span("gradients", ["step": .integer(position.step + 1)]) { try perform(step) }
    show()
    reduction = step.reduction
    dataWaitShare = step.dataWaitShare
    if let recovery = step.recovery {
      let seconds = recovery.time / .seconds(1)
      report(
        CrewEvent(
          .recovery,
          "step \(position.step + 1) is whole: \(recovery.lanes) "
            + "\(recovery.lanes == 1 ? "lane was" : "lanes were") computed again, "
            + String(format: "%.1f s after the loss", seconds),
          ["lanes": .integer(recovery.lanes), "seconds": .number(seconds)]))
    }
    if let seconds = step.exchangeSeconds {
      sharing.observe(
        seconds: seconds, workers: membership.ready.count { !$0.lanes.isEmpty },
        shared: step.wasShared)
    }
    guard let sum = step.reduction.sum else { preconditionFailure("a step without a sum") }
    return sum
  }

  /// Logits of all clips of a split by the weights sent last, `[clips, tags]`.
  package func logits(_ split: Split, clips: Int, tags: Int) throws -> [Float] {
    jobs += 1
    let evaluation = EvaluationWork(
      job: jobs, split, clips: clips, tags: tags, weightsHash: weights.hash,
      before: answerers[split] ?? [:])
    try perform(evaluation)
    answerers[split] = evaluation.answerers
    return evaluation.logits
  }

  /// Tells everybody that the run is over, and waits for nobody.
  package func dismiss() {
    for member in membership.members { try? endpoint.send(.bye, to: member.peer) }
    local?.dismiss(joined: Set(membership.members.map(\.hello.processID)))
    if audits > 0 {
      report(
        CrewEvent(
          .audit,
          "\(audits) \(audits == 1 ? "lane was" : "lanes were") computed by two workers each, "
            + "to the same bits", ["lanes": .integer(audits)]))
    }
    if let desk, desk.givenBytes > 0 || desk.refused > 0 {
      report(
        CrewEvent(
          .delivery,
          String(
            format: "%.1f MB of the store were given to workers", Double(desk.givenBytes) / 1e6)
            + (desk.refused > 0 ? "; fetches refused: \(desk.refused)" : ""),
          ["bytes": .integer(desk.givenBytes), "refused": .integer(desk.refused)]))
    }
    let refused = endpoint.defects
    if refused.total > 0 { report(CrewEvent(.rejected, "messages refused: \(refused)")) }
    let turnedAway = endpoint.turnedAway
    if turnedAway > 0 {
      report(
        CrewEvent(
          .refusal, "connections turned away: \(turnedAway)", ["count": .integer(turnedAway)]))
    }
  }

  private func audit(at position: RunState.Position) -> LaneAudit? {
    guard let every = settings.auditEvery, (position.step + 1) % every == 0 else { return nil }
    return LaneAudit(lane: (position.step + 1) / every % tree.laneCount)
  }

  /// The last step's, with its buffers, and held by nobody else, so that they are not copied.
  private func takeReduction() -> any CoordinatorReduction {
    defer { reduction = nil }
    let topology = settings.topology == .star ? Topology.star : .sharded
    return reduction ?? topology.makeCoordinatorSide(tree: tree, count: contributionCount)
  }

  // MARK: For the work

  var tree: LaneTree { membership.tree }
  var ready: [Membership.Member] { membership.ready }
  var hasReady: Bool { membership.hasReady }
  var medianSecondsPerLane: Double? { membership.medianSecondsPerLane }
  var medianExchangeSeconds: Double { membership.medianExchangeSeconds ?? 0 }

  /// Those who have lanes, as dealt for a new step.
  func dealt() -> [Membership.Member] {
    membership.assign()
    return ready.filter { !$0.lanes.isEmpty }
  }

  /// The owners of a new step's slices, if it is to be shared among those who have lanes.
  func plan(for dealt: [Membership.Member]) throws -> (version: UInt64, owners: [PeerID])? {
    let owners = dealt.map(\.peer)
    for (peer, plan) in sharing.newPlan(for: owners) { try endpoint.send(.plan(plan), to: peer) }
    guard let plan = sharing.plan, plan.owners == owners else { return nil }
    return plan
  }

  /// See `Membership.Member`.
  func exchangeSeconds(of peer: PeerID) -> Double? { membership[peer]?.exchangeSeconds }

  func lanes(of peer: PeerID) -> Int { membership[peer]?.lanes.count ?? 0 }

  /// Whether a worker waits for data that `other` would have to wait for as well: computing for it makes
  /// nothing come sooner.
  func awaitsData(_ peer: PeerID, as other: PeerID? = nil) -> Bool {
    guard let desk, desk.isAwaited(by: peer) else { return false }
    return other.map(desk.serves) ?? true
  }

  /// Whether it has its data from here.
  func isServed(_ peer: PeerID) -> Bool { desk?.serves(peer) == true }

  func observe(_ peer: PeerID, secondsPerLane seconds: Double) {
    membership.observe(peer, secondsPerLane: seconds)
  }

  func observe(_ peer: PeerID, exchangeSeconds seconds: Double) {
    membership.observe(peer, exchangeSeconds: seconds)
  }

  func send(_ message: Message, to peer: PeerID) throws { try endpoint.send(message, to: peer) }

  func sendWeights(to peer: PeerID) throws {
    try endpoint.send(.parameters(weights.parameters), to: peer)
  }

  func countAudit() { audits += 1 }

  func report(_ event: CrewEvent) { announce(event) }

  func name(of peer: PeerID) -> String {
    membership[peer].map { Self.name(of: $0.hello) } ?? "\(peer)"
  }

  private static func name(of hello: Hello) -> String {
    "\(hello.host.inOneLine):\(hello.processID)" + (hello.key.map { " (key \($0.name))" } ?? "")
  }

  private func perform(_ work: any CrewWork) throws {
    // Nothing is begun once there is a reason to stop, however much there is to read.
    if let reason = interruption() { throw reason }
    self.work = work
    defer { self.work = nil }
    while true {
      try work.handOut(to: self)
      if work.isDone { return }
      try requireHope()
      try next(until: work.deadline)
      releaseDraining()
    }
  }

  private func show() {
    changesShown = membership.changes
    let delivered = desk?.givenBytes ?? 0
    let (traffic, defects, turnedAway) = (endpoint.traffic, endpoint.defects, endpoint.turnedAway)
    status.update {
      $0.workers = membership.members
      $0.deliveredBytes = delivered
      ($0.traffic, $0.refusedMessages, $0.connectionsTurnedAway) = (
        traffic, defects.total, turnedAway
      )
    }
  }

  // MARK: Events

  private func tellOfDesk() {
    for news in desk?.takeNews() ?? [] {
      switch news {
      case .taker(let peer):
        guard membership[peer] != nil else { continue }
        let name = name(of: peer)
        report(
          CrewEvent(
            .delivery, "worker \(name) has no store: it gets its clips from here",
            ["worker": .text(name)]))
      case .problem(let problem):
        report(CrewEvent(.delivery, "data cannot be given to workers: \(problem)"))
      }
    }
  }

  /// Waits for one event and deals with it.
  private func next(until deadline: ContinuousClock.Instant? = nil) throws {
    // What is there already comes first: a worker's last words say more than its death.
    let reason = interruption()
    let deaths = local?.hasDeaths == true
    let limits = [deadline, hope.end].compactMap(\.self)
    let timeout = limits.min().map { max($0 - .now, .zero) }
    status.update { $0.sleep(true) }
    let event = try endpoint.nextEvent(timeout: reason != nil || deaths ? .zero : timeout)
    status.update { $0.sleep(false) }
    defer { if changesShown != membership.changes { show() } }
    defer { tellOfDesk() }
    switch event {
    case nil:
      if let reason { throw reason }
      for death in local?.takeDeaths() ?? [] { bury(death) }
    case .interrupted: break
    case .joined(let peer, let hello): try admit(peer, hello)
    case .message(let peer, let message): try take(message, from: peer)
    case .lost(let peer, .noLongerAllowed):
      miss(peer, .refusal, "is sent away: \(LossReason.noLongerAllowed)")
    case .lost(let peer, let loss): miss(peer, .death, "is lost: \(loss)")
    case .turnedAway(let problem, let count): report(CrewEvent(problem, count: count))
    case .rejected(let peer, let defect):
      guard defectsSaid.insert(defect.kind).inserted else { return }
      report(
        CrewEvent(
          .rejected,
          "refused a message from \(name(of: peer)): \(defect); more of these are counted"))
    }
  }

  private func take(_ message: Message, from peer: PeerID) throws {
    guard let member = membership[peer] else { return }
    switch message {
    case .ready(let proof): try enlist(member, proof)
    case .error(let code, let text):
      miss(peer, .leave, "cannot go on: \(text.inOneLine)", code.status ?? .unavailable)
    case .listening(let address):
      sharing.note(Plan.Owner(address, key: member.hello.key?.key), of: peer)
    case .linked(let version, true): sharing.linked(peer, version: version)
    case .linked(let version, false):
      // Of an older plan: somebody in it is gone.
      guard sharing.isAgreed(version) else { return }
      giveUpSharing("worker \(name(of: peer)) does not reach the others")
    case .need:
      // Once is enough: they are on their way, however slow it is.
      if weights.takers.insert(peer).inserted { try sendWeights(to: peer) }
    case .bye: miss(peer, .leave, "has left the run")
    case .drain:
      membership.set(.draining, for: peer)
      releaseDraining()
    case .spans(let spans):
      trace?.add(spans, of: peer, clock: endpoint.clockOffset(of: peer))
    default:
      trace?.arrive(message, from: peer)
      do { try work?.take(message, from: peer, of: self) } catch let mistake as Mistake {
        try endpoint.send(.refuse(reason: "it \(mistake.description)"), to: peer)
        miss(peer, .leave, "\(mistake.description), and is dismissed", .fault)
      }
    }
  }

  /// A shared step did not come together; the third time sharing is given up.
  func countUnsharedStep(_ reason: String) {
    if sharing.countFailure() { giveUpSharing(reason) }
  }

  /// From now on everything goes through the coordinator.
  private func giveUpSharing(_ reason: String) {
    guard !sharing.isGivenUp else { return }
    sharing.giveUp()
    report(CrewEvent(.topology, "\(reason): vectors travel through the coordinator from now on"))
  }

  /// Who wants to leave and owes nothing may go.
  private func releaseDraining() {
    for peer in membership.draining where work?.isHeld(by: peer) != true {
      try? endpoint.send(.bye, to: peer)
      miss(peer, .leave, "has left the run")
    }
  }

  private func bury(_ death: LocalWorkers.Death) {
    let member = membership.members.first {
      $0.hello.processID == death.processID && $0.hello.host == ProcessInfo.processInfo.hostName
    }
    if let member {
      miss(member.peer, .death, death.how)
    } else if !departed.contains(death.processID) {
      let sentence = "local worker \(death.processID) \(death.how)"
      report(CrewEvent(.death, sentence))
      hope.lastWords = TrainingError(death.status, sentence)
    }
    if death.isReplaced {
      report(CrewEvent(.restart, "another local worker is started in place of \(death.processID)"))
    }
  }

  /// A worker is gone: what it held others do.
  private func miss(
    _ peer: PeerID, _ kind: CrewEvent.Kind, _ what: String, _ status: ExitStatus = .unavailable
  ) {
    guard membership[peer] != nil else { return }
    let name = name(of: peer)
    departed.insert(membership[peer]?.hello.processID ?? 0)
    let sentence = "worker \(name) \(what)"
    report(CrewEvent(kind, sentence, ["worker": .text(name)]))
    hope.lastWords = TrainingError(status, sentence)
    trace?.leave(peer)
    membership.remove(peer)
    sharing.forget(peer)
    desk?.forget(peer)
    endpoint.remove(peer)
    work?.forget(peer)
    // Perhaps it has not passed its slice of the weights on.
    guard weights.bearers.contains(peer) else { return }
    weights.bearers = []
    try? endpoint.send(.parameters(weights.parameters), to: membership.ready.map(\.peer))
  }

  /// - Throws: if nobody is left and nobody can come, or has come for too long
  private func requireHope() throws {
    guard membership.members.isEmpty else { return hope.restore() }
    let mayCome = expectsOthers || local?.mayProvide == true
    if try hope.sink(mayCome: mayCome, at: endpoint.address), work != nil {
      report(CrewEvent(.waiting, "no worker is left: waiting for one at \(endpoint.address)"))
    }
  }

  // MARK: Admission

  private func admit(_ peer: PeerID, _ hello: Hello) throws {
    if let objection = admission.objection(to: hello) { return try refuse(peer, hello, objection) }
    membership.join(peer, hello)
    desk?.admit(peer)
    try endpoint.send(.welcome(welcome), to: peer)
  }

  private func refuse(_ peer: PeerID, _ hello: Hello, _ reason: String) throws {
    report(
      CrewEvent(
        .refusal, "refused worker \(Self.name(of: hello)): \(reason)",
        ["worker": .text(Self.name(of: hello))]))
    try endpoint.send(.refuse(reason: reason), to: peer)
    desk?.forget(peer)
    membership.remove(peer)
    endpoint.remove(peer)
  }

  private func enlist(_ member: Membership.Member, _ proof: UInt64) throws {
    if let objection = admission.objection(to: proof, of: member.hello) {
      return try refuse(member.peer, member.hello, objection)
    }
    guard member.state == .joining else { return }
    membership.set(.ready, for: member.peer)
    trace?.join(member.peer, name: name(of: member.peer))
    report(
      CrewEvent(
        .join,
        "worker \(name(of: member.peer)) is ready (\(membership.ready.count)"
          + (wanted.map { " of \($0))" } ?? " now)"),
        [
          "worker": .text(name(of: member.peer)), "workers": .integer(membership.ready.count),
          "key": member.hello.key.map { .text($0.key.fingerprint) } ?? .none,
        ]))
    if !weights.isEmpty { try sendWeights(to: member.peer) }
  }
}
