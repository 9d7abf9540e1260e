import Foundation

/// What a run says of itself: the progress bar or lines for people, `metrics.jsonl` for programs,
/// `RunStatus` for those who look at it while it goes on, and `RunTrace` for those who look into its time.
package final class RunReport {
  private let log: RunLog
  private let progress: ProgressDisplay
  private let status: RunStatus
  package let trace: RunTrace?
  private let clock = ContinuousClock()
  private var lastStep: ContinuousClock.Instant?

  package init(
    log: RunLog, progress: ProgressDisplay, status: RunStatus, trace: RunTrace? = nil
  ) {
    self.log = log
    self.progress = progress
    self.status = status
    self.trace = trace
  }

  /// Has it seen that the coordinator is at `phase`, as long as `body` runs.
  package func during<Result>(
    _ phase: RunView.Phase, _ body: () throws -> Result
  ) rethrows -> Result {
    try status.during(phase) { try trace.span(phase.rawValue) { try body() } }
  }

  package func note(_ text: String) { progress.note(text) }

  /// Something happened to the crew. A disk that takes no more is found at the next step's line.
  package func crew(_ event: CrewEvent, step: Int) {
    progress.note(event.sentence)
    status.update { $0.append(event) }
    trace?.note(event, step: step)
    var record = LogRecord(
      "crew", step: step, ["event": .text(event.kind.rawValue), "text": .text(event.sentence)])
    for (name, value) in event.fields { record.append(name, value) }
    try? log.append(record)
  }

  package func begin(
    _ position: RunState.Position, best: EarlyStopping.Best?, history: [RunState.Validation],
    term: KeyValuePairs<String, LogRecord.Value> = [:]
  ) throws {
    progress.validated(bestAUC: best?.score)
    progress.update(step: position.step, loss: nil)
    status.update { $0.begin(position, best: best, history: history) }
    var record = LogRecord("term", step: position.step, ["time": Self.now])
    for (name, value) in term { record.append(name, value) }
    try log.append(record)
    lastStep = clock.now
  }

  /// A step was made, and has led to `position`.
  ///
  /// - Parameter dataWaitShare: see `Crew`
  package func step(
    _ step: StepReport, reaching position: RunState.Position, clips: Int, dataWaitShare: Double?
  ) throws {
    let now = clock.now
    let seconds = lastStep.map { ($0.duration(to: now)) / .seconds(1) } ?? .nan
    lastStep = now
    progress.update(step: step.step + 1, loss: step.loss)
    status.update {
      $0.append(
        step, reaching: position, clips: clips, seconds: seconds, dataWaitShare: dataWaitShare)
    }
    try log.append(
      LogRecord(
        "step", step: step.step + 1,
        [
          "epoch": .integer(step.epoch), "loss": .number(step.loss),
          "learningRate": .number(step.learningRate), "gradientNorm": .number(step.gradientNorm),
          "clips": .integer(clips), "seconds": .number(seconds),
          "clipsPerSecond": .number(Double(clips) / seconds),
          "dataWaitShare": Self.value(dataWaitShare),
        ]))
  }

  /// A step was left out, since its gradient was not finite.
  package func skipped(_ position: RunState.Position) throws {
    lastStep = clock.now
    status.update { $0.position.step = position.step + 1 }
    progress.note("step \(position.step + 1) is skipped: its gradient is not finite")
    try log.append(
      LogRecord("skipped", step: position.step + 1, ["epoch": .integer(position.epoch)]))
  }

  package func validation(
    _ validation: RunState.Validation, _ ranking: RankingMetrics, tags: [String],
    best: EarlyStopping.Best?, isBest: Bool
  ) throws {
    progress.validated(bestAUC: best?.score)
    status.update { $0.append(validation, ranking.tags, best: best) }
    lastStep = clock.now
    progress.note(
      "epoch \(validation.epoch), step \(validation.step): "
        + (validation.trainLoss.map { "train loss \(Self.figure($0)), " } ?? "")
        + "validation loss \(Self.figure(validation.loss)), ROC-AUC \(Self.figure(validation.rocAUC)), "
        + "PR-AUC \(Self.figure(validation.prAUC))" + (isBest ? ", the best so far" : ""))
    if !ranking.leftOut.isEmpty {
      progress.note(
        "not in these means, since their clips are all of one class: "
          + ranking.leftOut.map { tags[$0] }.joined(separator: ", "))
    }
    try log.append(
      LogRecord(
        "validation", step: validation.step,
        [
          "epoch": .integer(validation.epoch),
          "trainLoss": validation.trainLoss.map { .number($0) } ?? .none,
          "loss": .number(validation.loss), "rocAUC": Self.value(validation.rocAUC),
          "prAUC": Self.value(validation.prAUC), "learningRate": .number(validation.learningRate),
          "best": .flag(isBest), "tagROCAUC": .numbers(ranking.tags.map { $0.rocAUC ?? .nan }),
          "tagPRAUC": .numbers(ranking.tags.map { $0.prAUC ?? .nan }),
        ]))
  }

  package func end(_ outcome: RunOutcome) throws {
    progress.finish()
    status.update { $0.end = outcome }
    try log.append(
      LogRecord(
        "end", step: outcome.position.step,
        [
          "epoch": .integer(outcome.position.epoch),
          "bestStep": outcome.best.map { .integer($0.step) } ?? .none,
          "validationROCAUC": Self.value(outcome.best?.score),
          "testROCAUC": Self.value(outcome.test?.rocAUC),
          "testPRAUC": Self.value(outcome.test?.prAUC),
          "testTagROCAUC": .numbers(outcome.test?.tags.map { $0.rocAUC ?? .nan } ?? []),
          "testTagPRAUC": .numbers(outcome.test?.tags.map { $0.prAUC ?? .nan } ?? []),
          "time": Self.now,
        ]))
  }

  private static var now: LogRecord.Value { .text(Date().formatted(.iso8601)) }

  private static func value(_ number: Double?) -> LogRecord.Value {
    number.map { .number($0) } ?? .none
  }

  package static func figure(_ number: Double?) -> String {
    number.map { String(format: "%.4f", $0) } ?? "undefined"
  }
}
