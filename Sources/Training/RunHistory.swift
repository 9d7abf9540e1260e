import Foundation

/// A run's `metrics.jsonl`, read back.
///
/// Fields that a build did not write are nil. Numbers that JSON does not have are null there.
package struct RunHistory {
  package struct Step: Decodable, Equatable {
    package let step: Int
    package let epoch: Int
    package let loss, learningRate, gradientNorm: Double?
    package let clips: Int?
    package let seconds, clipsPerSecond, dataWaitShare: Double?
  }

  package struct Validation: Decodable, Equatable {
    package let step: Int
    package let epoch: Int
    package let trainLoss, loss, rocAUC, prAUC, learningRate: Double?
    package let tagROCAUC, tagPRAUC: [Double?]?
  }

  package struct End: Decodable, Equatable {
    package let step: Int
    package let bestStep: Int?
    package let validationROCAUC, testROCAUC, testPRAUC: Double?
    package let testTagROCAUC, testTagPRAUC: [Double?]?
    package let time: String?
  }

  /// The beginning of a coordinator's life.
  package struct Term: Decodable, Equatable {
    package let step: Int
    package let time, build, processor: String?
    package let weightsAndBiases, stepsPerEpoch: Int?
    package let trainingClips, validationClips, testClips: Int?
    package let tags: [String]?
    package let storeFingerprint: String?
  }

  /// Something that happened to the crew.
  package struct Incident: Decodable, Equatable {
    package let step: Int
    package let kind: String
    package let text: String
    /// Of a recovery: lanes that were computed again, and how long after the loss the step was whole.
    package let lanes: Int?
    package let seconds: Double?

    package var isFault: Bool { CrewEvent.Kind(rawValue: kind)?.isFault ?? true }
  }

  package private(set) var steps: [Step] = []
  package private(set) var validations: [Validation] = []
  package private(set) var incidents: [Incident] = []
  package private(set) var terms: [Term] = []
  /// Steps left out, since their gradient was not finite.
  package private(set) var skipped: [Int] = []
  package private(set) var end: End?

  /// Lines of other kinds, and a last line that a crash tore, are passed over.
  ///
  /// - Throws: `FileError` if there is no log
  package init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw FileError("read", path: path, errno: access(path, F_OK) == 0 ? errno : ENOENT)
    }
    self.init(data)
  }

  package init(_ data: Data) {
    struct Head: Decodable { let kind: String }
    let decoder = JSONDecoder()
    func read<Line: LogLine>(_ type: Line.Type, _ line: Data) -> Line? {
      (try? decoder.decode(Line.self, from: line)).flatMap { $0.isPossible ? $0 : nil }
    }
    for line in data.split(separator: UInt8(ascii: "\n")) {
      // Nearly all lines are steps, and begin like this.
      let isStep = line.starts(with: Self.beginningOfStep)
      switch isStep ? "step" : (try? decoder.decode(Head.self, from: line))?.kind {
      case "step": if let step = read(Step.self, line) { steps.append(step) }
      case "validation": if let line = read(Validation.self, line) { validations.append(line) }
      case "crew": if let incident = read(Incident.self, line) { incidents.append(incident) }
      case "term": if let term = read(Term.self, line) { terms.append(term) }
      case "skipped": if let skip = read(Skip.self, line) { skipped.append(skip.step) }
      case "end": end = read(End.self, line)
      default: continue
      }
    }
  }

  private static let beginningOfStep = Array("{\"kind\":\"step\",".utf8)

  fileprivate struct Skip: Decodable {
    let step: Int
  }
}

/// A line whose step can be one of a run.
private protocol LogLine: Decodable {
  var step: Int { get }
  var epoch: Int { get }
}

extension LogLine {
  fileprivate var epoch: Int { 0 }
  fileprivate var isPossible: Bool {
    (0..<1 << 53).contains(step) && (0..<1 << 53).contains(epoch)
  }
}

extension RunHistory.Step: LogLine {}
extension RunHistory.Validation: LogLine {}
extension RunHistory.Incident: LogLine {}
extension RunHistory.Term: LogLine {}
extension RunHistory.End: LogLine {}
extension RunHistory.Skip: LogLine {}

extension RunHistory.Incident {
  private enum Keys: String, CodingKey { case step, event, text, lanes, seconds }

  package init(from decoder: any Decoder) throws {
    let line = try decoder.container(keyedBy: Keys.self)
    step = try line.decode(Int.self, forKey: .step)
    kind = try line.decode(String.self, forKey: .event)
    text = (try? line.decode(String.self, forKey: .text)) ?? ""
    // Other events have fields of these names that mean something else.
    let isRecovery = kind == CrewEvent.Kind.recovery.rawValue
    let lanes = isRecovery ? try? line.decode(Int.self, forKey: .lanes) : nil
    self.lanes = lanes.map { min(max($0, 0), 1 << 20) }
    seconds = isRecovery ? try? line.decode(Double.self, forKey: .seconds) : nil
  }
}

// MARK: - What follows from it

extension RunHistory {
  /// The first of the best validations, which is the one that is kept.
  package var best: Validation? {
    var best: Validation?
    for validation in validations where (validation.rocAUC ?? -1) > (best?.rocAUC ?? -1) {
      best = validation
    }
    return best
  }

  /// The last step that the log tells of, updates and skipped ones.
  package var lastStep: Int {
    [steps.last?.step, validations.last?.step, skipped.last, end?.step].compactMap(\.self).max()
      ?? 0
  }

  /// Seconds that went into steps, up to `step` (nil: all); validating and saving apart.
  package func trainingSeconds(to step: Int? = nil) -> Double? {
    let seconds = steps.lazy.filter { $0.step <= step ?? .max }.compactMap(\.seconds)
    return seconds.isEmpty ? nil : seconds.reduce(0, +)
  }

  /// Steps in an epoch, once the log has seen a whole one, or was told.
  package var stepsPerEpoch: Int? {
    if let told = terms.last?.stepsPerEpoch { return told }
    guard steps.first?.epoch == 0 else { return nil }
    return steps.first { $0.epoch == 1 }.map { $0.step - 1 }
  }

  /// The mean of the steps' time, times the steps of an epoch.
  package var secondsPerEpoch: Double? {
    guard let stepsPerEpoch, let seconds = trainingSeconds() else { return nil }
    return seconds / Double(steps.count { $0.seconds != nil }) * Double(stepsPerEpoch)
  }

  package var medianClipsPerSecond: Double? { Self.median(steps.compactMap(\.clipsPerSecond)) }
  package var medianDataWaitShare: Double? { Self.median(steps.compactMap(\.dataWaitShare)) }

  private static func median(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.sorted()[values.count / 2]
  }

  /// From the first term's beginning to the end; nil if either is not known.
  package var wallClockSeconds: Double? {
    func date(_ text: String?) -> Date? { text.flatMap { try? Date($0, strategy: .iso8601) } }
    guard let begin = date(terms.first?.time), let last = date(end?.time), last >= begin else {
      return nil
    }
    return last.timeIntervalSince(begin)
  }
}
