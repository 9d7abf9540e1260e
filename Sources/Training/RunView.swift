import Cluster
import Foundation

/// What can be seen of a run at one moment: plain values of bounded size, however long it has gone on.
package struct RunView: Sendable {
  /// What the coordinator is at.
  package enum Phase: String, CaseIterable, Sendable {
    case starting, waiting, training, validating, saving, testing, ended
  }

  /// What is known before the first step and stays so.
  package struct Job: Sendable {
    package var run: String
    package var network: String
    package var weightsAndBiases: Int
    package var tags: [String]
    package var epochs: Int
    package var stepsPerEpoch: Int
    /// Steps of a run that nothing stops early.
    package var totalSteps: Int
    package var lanes: Int
    package var clipsPerLane: Int

    package init(
      run: String, network: String, weightsAndBiases: Int, tags: [String], epochs: Int,
      stepsPerEpoch: Int, totalSteps: Int, lanes: Int, clipsPerLane: Int
    ) {
      (self.run, self.network, self.weightsAndBiases) = (run, network, weightsAndBiases)
      (self.tags, self.epochs, self.stepsPerEpoch) = (tags, epochs, stepsPerEpoch)
      (self.totalSteps, self.lanes, self.clipsPerLane) = (totalSteps, lanes, clipsPerLane)
    }
  }

  /// Something that happened to the crew.
  package struct Incident: Sendable {
    package let time: Date
    package let kind: CrewEvent.Kind
    package let sentence: String
  }

  package let began = Date()
  package var job: Job?
  package var end: RunOutcome?

  // Steps
  package var position = RunState.Position()
  package private(set) var lastStep: StepReport?
  package private(set) var lossCurve = ThinnedCurve()
  package private(set) var speedCurve = ThinnedCurve()
  /// A mean that forgets: a tenth of each new step.
  package private(set) var secondsPerStep: Double?
  /// See `Crew`.
  package private(set) var dataWaitShare: Double?

  // Validations
  package private(set) var best: EarlyStopping.Best?
  package private(set) var validation: RunState.Validation?
  /// Of the last validation, in the order of the tags; none before the first of this term.
  package private(set) var tagAreas: [RankingMetrics.Tag] = []
  package private(set) var validationLossCurve = ThinnedCurve()
  package private(set) var rocAUCCurve = ThinnedCurve()
  package private(set) var prAUCCurve = ThinnedCurve()

  // The crew
  package var workers: [Membership.Member] = []
  package var traffic = Traffic()
  /// Of the store, to workers that have none.
  package var deliveredBytes = 0
  package var refusedMessages = 0
  package var connectionsTurnedAway = 0
  /// The last ones, the newest last.
  package private(set) var incidents: [Incident] = []
  package private(set) var incidentCounts: [CrewEvent.Kind: Int] = [:]

  package static let maximumIncidents = 200

  // Time
  private var activity = Phase.starting
  /// Since when the loop has not waited for an event; nil while it does.
  private var busySince: ContinuousClock.Instant? = .now
  private var trainingSince: ContinuousClock.Instant?
  private var secondsOfSteps = 0.0
  private var secondsOfTraining = 0.0

  package init() {}

  // MARK: What is computed

  package var phase: Phase {
    let needsWorkers = [.training, .validating, .testing].contains(activity)
    return needsWorkers && !workers.contains { $0.state == .ready } ? .waiting : activity
  }

  /// How long the loop has been at something without looking whether anything has happened, if that
  /// is longer than anything takes: it hangs, in a write to a disk that does not answer, say.
  package func stuck(at now: ContinuousClock.Instant = .now) -> Duration? {
    guard ![.starting, .ended].contains(activity), let busySince,
      now - busySince > Self.longestActivity
    else { return nil }
    return now - busySince
  }

  package static let longestActivity = Duration.seconds(300)

  package var clipsPerSecond: Double? {
    guard let job, let secondsPerStep, secondsPerStep > 0 else { return nil }
    return Double(job.lanes * job.clipsPerLane) / secondsPerStep
  }

  /// Seconds to the last step, with what validating and saving has added to the steps so far; early
  /// stopping may end the run before.
  package var secondsLeft: Double? {
    guard let job, let secondsPerStep, secondsOfSteps > 0, activity != .ended else { return nil }
    let pauses = max(0, secondsOfTraining - secondsOfSteps)
    return Double(max(0, job.totalSteps - position.step)) * secondsPerStep
      * (1 + pauses / secondsOfSteps)
  }

  // MARK: What happens

  /// - Returns: what the coordinator was at before
  package mutating func enter(_ phase: Phase) -> Phase {
    defer { activity = phase }
    return activity
  }

  /// The loop goes to sleep until something happens, or has woken up.
  package mutating func sleep(_ sleeps: Bool, at now: ContinuousClock.Instant = .now) {
    busySince = sleeps ? nil : now
  }

  /// The steps begin, or go on from a checkpoint, whose history is shown too.
  package mutating func begin(
    _ position: RunState.Position, best: EarlyStopping.Best?, history: [RunState.Validation]
  ) {
    activity = .training
    trainingSince = .now
    (self.position, self.best) = (position, best)
    for validation in history { append(validation) }
  }

  /// A step was made; `seconds` is what it took.
  package mutating func append(
    _ step: StepReport, reaching position: RunState.Position, clips: Int, seconds: Double,
    dataWaitShare: Double?
  ) {
    (self.position, lastStep, self.dataWaitShare) = (position, step, dataWaitShare)
    lossCurve.append(step.loss, step: position.step)
    guard seconds.isFinite, seconds > 0 else { return }
    speedCurve.append(Double(clips) / seconds, step: position.step)
    secondsPerStep = secondsPerStep.map { $0 + 0.1 * (seconds - $0) } ?? seconds
    secondsOfSteps += seconds
    secondsOfTraining = trainingSince.map { ($0.duration(to: .now)) / .seconds(1) } ?? 0
  }

  package mutating func append(
    _ validation: RunState.Validation, _ areas: [RankingMetrics.Tag], best: EarlyStopping.Best?
  ) {
    append(validation)
    (tagAreas, self.best) = (areas, best)
  }

  private mutating func append(_ validation: RunState.Validation) {
    self.validation = validation
    validationLossCurve.append(validation.loss, step: validation.step)
    if let area = validation.rocAUC { rocAUCCurve.append(area, step: validation.step) }
    if let area = validation.prAUC { prAUCCurve.append(area, step: validation.step) }
  }

  package mutating func append(_ event: CrewEvent) {
    incidentCounts[event.kind, default: 0] += 1
    if incidents.count == Self.maximumIncidents { incidents.removeFirst() }
    incidents.append(Incident(time: Date(), kind: event.kind, sentence: event.sentence))
  }
}

extension CrewEvent.Kind {
  /// Whether something went wrong, as against came about.
  package var isFault: Bool {
    switch self {
    case .join, .spare, .restart, .recovery, .topology, .audit, .delivery: false
    default: true
    }
  }
}
