import Cluster
import Dataset
import Foundation
import Kernels
import Models

/// Trains: asks the crew for each step's sum, moves the weights, validates, stops early, saves.
///
/// What it leaves behind is a function of configuration, store and seed. Who computes what, and when
/// it was stopped and resumed, is not visible in it.
package final class Coordinator {
  private let configuration: Configuration
  private let store: Store
  private let folder: RunFolder
  private let crew: Crew
  private let state: RunState
  /// The state's, as they are sent.
  private var weights: FloatVector
  private let schedule: LaneSchedule
  private let labels: SplitLabels
  private let report: RunReport
  /// What the newest checkpoint holds.
  private var saved: (step: Int, validations: Int)?
  private let pool = ThreadPool(threads: 1)

  /// - Parameters:
  ///   - state: the beginning, or a checkpoint's
  ///   - crew: with all its workers
  package init(
    _ configuration: Configuration, store: Store, folder: RunFolder, state: RunState, crew: Crew,
    report: RunReport
  ) throws {
    self.configuration = configuration
    self.store = store
    self.folder = folder
    self.state = state
    weights = FloatVector(state.weights.values)
    self.crew = crew
    self.report = report
    schedule = configuration.schedule(for: store)
    labels = try SplitLabels(store, .validation)
  }

  /// Trains to the end, and judges the best model on the test split.
  ///
  /// - Throws: what the crew throws; the state of the last whole step is saved before
  package func run() throws -> RunOutcome {
    do {
      try train()
      return try judge()
    } catch {
      try saveAfter(error)
      throw error
    }
  }

  private func train() throws {
    try crew.send(weights: weights, step: state.position.step)
    try report.begin(
      state.position, best: state.stopping.best, history: state.history, term: termFacts)
    while true {
      if isDue(configuration.training.validateEvery) && !isValidated { try validate() }
      if isDue(configuration.training.checkpointEvery) { try save() }
      if isFinished { break }
      try step()
    }
    try save()
  }

  /// What the log says of this life of the coordinator.
  private var termFacts: KeyValuePairs<String, LogRecord.Value> {
    [
      "build": .text(Build.version), "processor": .text(Processor.description),
      "weightsAndBiases": .integer(state.network.weightsAndBiases), "tags": .texts(store.tags),
      "trainingClips": .integer(schedule.clips.count),
      "validationClips": .integer(store.clipCount(in: .validation)),
      "testClips": .integer(store.clipCount(in: .test)),
      "stepsPerEpoch": .integer(schedule.stepsPerEpoch),
      "storeFingerprint": .text(store.fingerprint),
    ]
  }

  private func step() throws {
    let position = state.position
    let clips = schedule.clipCount(step: position.stepInEpoch)
    let sum = Storage(try crew.sum(position, clipsInStep: clips))
    if Tensor(sum, shape: [sum.count]).firstNotFinite != nil {
      try refuse(position)
    } else {
      let room = crew.room(
        forWeightsOf: position.step + 1, count: state.network.weightCount)
      let step = report.trace.span("Adam", ["step": .integer(position.step + 1)]) {
        state.apply(
          sum, into: Storage(room), stepsPerEpoch: schedule.stepsPerEpoch, pool: pool)
      }
      weights = FloatVector(room)
      try report.step(
        step, reaching: state.position, clips: clips, dataWaitShare: crew.dataWaitShare)
    }
    try crew.send(weights: weights, step: state.position.step)
  }

  private func validate() throws {
    let scores = try report.during(.validating) {
      let logits = try crew.logits(
        .validation, clips: store.clipCount(in: .validation), tags: store.tags.count)
      return try labels.scores(logits, configuration.trainingLoss)
    }
    let validation = state.validated(scores)
    let isBest = state.stopping.observe(
      scores.ranking.rocAUC, step: state.position.step, epoch: state.position.epoch)
    state.learningRate.observe(scores.ranking.rocAUC)
    // Before it is saved: what the log has beyond the checkpoint is cut on resuming, and made anew.
    try report.validation(
      validation, scores.ranking, tags: store.tags, best: state.stopping.best, isBest: isBest)
    if isBest { try save(isBest: true) }
  }

  // MARK: When

  private var totalSteps: Int {
    configuration.totalSteps(stepsPerEpoch: schedule.stepsPerEpoch)
  }

  private var isFinished: Bool {
    state.position.step >= totalSteps
      || state.stopping.shouldStop(patience: configuration.training.patience)
  }

  private var isValidated: Bool { state.history.last?.step == state.position.step }

  private func isDue(_ interval: Configuration.Interval) -> Bool {
    let position = state.position
    guard position.step > 0 else { return false }
    return switch interval {
    case .steps(let steps): position.step % steps == 0
    case .epochs(let epochs): position.stepInEpoch == 0 && position.epoch % epochs == 0
    }
  }

  // MARK: The end

  /// The best model's scores on the test split, which nothing before has looked at.
  private func judge() throws -> RunOutcome {
    // Too short a run for a validation: its last model is its best.
    if state.stopping.best == nil { try save(isBest: true) }
    let best = try Checkpoint(path: folder.bestPath)
    let weights = Storage(count: state.network.weightCount)
    try best.readWeights(of: state.network, into: weights)
    try crew.send(weights: FloatVector(weights.values), step: best.position.step)
    var test: Scores?
    if store.clipCount(in: .test) > 0 {
      test = try report.during(.testing) {
        let logits = try crew.logits(
          .test, clips: store.clipCount(in: .test), tags: store.tags.count)
        return try SplitLabels(store, .test).scores(
          logits, configuration.trainingLoss, withConfusions: true)
      }
    }
    let outcome = RunOutcome(
      folder: folder.path, best: state.stopping.best, test: test?.ranking, position: state.position)
    if let confusions = test?.confusions {
      try folder.write(confusions, step: best.position.step, tags: store.tags)
    }
    try report.end(outcome)
    try folder.writeReport()
    return outcome
  }

  private func refuse(_ position: RunState.Position) throws {
    switch configuration.training.notFinite {
    case .stop:
      throw TrainingError(
        .badInput,
        "the gradient of step \(position.step + 1) is not finite (the lines above name lane and clips): "
          + "look at those clips, lower optimizer.learningRate or set training.clipNorm; "
          + "training.notFinite: skip leaves such steps out")
    case .skip:
      try report.skipped(position)
      state.skip(stepsPerEpoch: schedule.stepsPerEpoch)
    }
  }

  private func save(isBest: Bool = false) throws {
    let now = (step: state.position.step, validations: state.history.count)
    if !isBest, let saved, saved == now { return }
    let warnings = try report.during(.saving) {
      try Checkpoint.save(
        state, in: folder, isBest: isBest, configuration: configuration, store: store)
    }
    for warning in warnings { report.note(warning) }
    saved = now
  }

  /// What was computed is kept, whatever went wrong; if even that fails, both are said.
  private func saveAfter(_ error: any Error) throws {
    do { try save() } catch let second {
      throw TrainingError(
        ExitStatus(error), "\(error); and the state could not be saved: \(second)")
    }
    report.note("state saved after step \(state.position.step); go on with --resume \(folder.path)")
  }
}

/// How a run ended.
package struct RunOutcome: Equatable, Sendable {
  package let folder: String
  package let best: EarlyStopping.Best?
  package let test: RankingMetrics?
  package let position: RunState.Position
}
