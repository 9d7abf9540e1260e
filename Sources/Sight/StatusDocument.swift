import Cluster
import Foundation
import Training

/// A run as JSON, for the page and for scripts. What is not known yet is left out.
struct StatusDocument: Encodable {
  let version = Build.version
  let kernels = Build.kernelsName
  let state: String
  let began: Date
  let now = Date()
  let run, network: String?
  let weightsAndBiases: Int?

  let step, epoch: Int
  let stepsPlanned, epochsPlanned, stepsPerEpoch, lanes: Int?
  let remainingSeconds, clipsPerSecond, secondsPerStep, dataWaitShare: Double?
  let loss, gradientNorm, learningRate: Double?

  struct Validation: Encodable {
    let step, epoch: Int
    let loss, rocAUC, prAUC: Double?
  }
  struct Best: Encodable {
    let step, epoch: Int
    let rocAUC: Double?
  }
  struct Test: Encodable {
    let rocAUC, prAUC: Double?
  }
  struct Tag: Encodable {
    let name: String
    let rocAUC, prAUC: Double?
    /// Validation clips that have it.
    let clips: Int
  }
  let validation: Validation?
  let best: Best?
  let test: Test?
  let tags: [Tag]

  struct Curves: Encodable {
    let loss, clipsPerSecond, validationLoss, rocAUC, prAUC: Curve
  }
  let curves: Curves

  let workers: [WorkerView]
  struct Incident: Encodable {
    let time: Date
    let kind, text: String
    let isFault: Bool
  }
  /// The last ones, the newest first.
  let events: [Incident]
  /// How many of each kind there were in this term.
  let eventCounts: [String: Int]
  let sentBytes, receivedBytes: UInt64
  let deliveredBytes: Int
  let refusedMessages, connectionsTurnedAway: Int

  init(_ view: RunView) {
    let job = view.job
    (state, began) = (view.phase.rawValue, view.began)
    (run, network, weightsAndBiases) = (job?.run, job?.network, job?.weightsAndBiases)
    (step, epoch) = (view.position.step, view.position.epoch)
    (stepsPlanned, epochsPlanned) = (job?.totalSteps, job?.epochs)
    (stepsPerEpoch, lanes) = (job?.stepsPerEpoch, job?.lanes)
    (remainingSeconds, secondsPerStep) = (view.secondsLeft?.known, view.secondsPerStep?.known)
    (clipsPerSecond, dataWaitShare) = (view.clipsPerSecond?.known, view.dataWaitShare?.known)
    (loss, learningRate) = (view.lastStep?.loss.known, view.lastStep?.learningRate.known)
    gradientNorm = view.lastStep?.gradientNorm.known
    validation = view.validation.map {
      Validation(
        step: $0.step, epoch: $0.epoch, loss: $0.loss.known, rocAUC: $0.rocAUC?.known,
        prAUC: $0.prAUC?.known)
    }
    best = view.best.map { Best(step: $0.step, epoch: $0.epoch, rocAUC: $0.score.known) }
    test = view.end?.test.map { Test(rocAUC: $0.rocAUC?.known, prAUC: $0.prAUC?.known) }
    tags = zip(job?.tags ?? [], view.tagAreas).map { name, areas in
      Tag(
        name: name, rocAUC: areas.rocAUC?.known, prAUC: areas.prAUC?.known,
        clips: areas.positives)
    }
    curves = Curves(
      loss: Curve(view.lossCurve), clipsPerSecond: Curve(view.speedCurve),
      validationLoss: Curve(view.validationLossCurve), rocAUC: Curve(view.rocAUCCurve),
      prAUC: Curve(view.prAUCCurve))
    workers = view.workers.map { WorkerView($0, clipsPerLane: job?.clipsPerLane) }
    events = view.incidents.reversed().map {
      Incident(time: $0.time, kind: $0.kind.rawValue, text: $0.sentence, isFault: $0.kind.isFault)
    }
    eventCounts = Dictionary(
      uniqueKeysWithValues: view.incidentCounts.map { ($0.key.rawValue, $0.value) })
    (sentBytes, receivedBytes) = (view.traffic.sentBytes, view.traffic.receivedBytes)
    deliveredBytes = view.deliveredBytes
    (refusedMessages, connectionsTurnedAway) = (view.refusedMessages, view.connectionsTurnedAway)
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    guard let data = try? encoder.encode(self) else {
      preconditionFailure("a status that is no JSON")
    }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}

/// A curve, column by column. Single precision is more than anybody sees, and half the text.
struct Curve: Encodable {
  let step: [Int]
  let mean, least, greatest: [Float]
  /// How many values a point stands for.
  let valuesInPoint: Int

  init(_ curve: ThinnedCurve) {
    step = curve.points.map(\.step)
    func column(_ value: (ThinnedCurve.Point) -> Double) -> [Float] {
      curve.points.map { Float(min(max(value($0), -3e38), 3e38)) }
    }
    (mean, least, greatest) = (column(\.mean), column(\.least), column(\.greatest))
    valuesInPoint = curve.valuesInPoint
  }
}

/// A worker as others see it.
struct WorkerView: Encodable {
  enum State: String, CaseIterable, Encodable {
    /// Checks its data.
    case joining
    case working
    /// Stands by without lanes.
    case spare
    /// Finishes what it holds, and goes.
    case leaving

    init(of member: Membership.Member) {
      self =
        switch member.state {
        case .joining: .joining
        case .ready: member.lanes.isEmpty ? .spare : .working
        case .draining: .leaving
        }
    }
  }

  let host: String
  let process: Int
  let key: String?
  let threads: Int
  let processor: String
  let state: State
  /// The first and the number of its lanes.
  let firstLane, lanes: Int
  let clipsPerSecond: Double?

  init(_ member: Membership.Member, clipsPerLane: Int?) {
    let hello = member.hello
    (host, process, key) = (hello.host, hello.processID, hello.key?.name)
    (threads, processor) = (hello.threads, hello.processor)
    state = State(of: member)
    (firstLane, lanes) = (member.lanes.lowerBound, member.lanes.count)
    clipsPerSecond =
      if let clipsPerLane, let seconds = member.secondsPerLane, seconds > 0 {
        (Double(clipsPerLane) / seconds).known
      } else { nil }
  }
}

extension Double {
  /// JSON has no other numbers than these.
  fileprivate var known: Double? { isFinite ? self : nil }
}
