import Cluster
import Foundation

extension RunPlan {
  /// One screen for people.
  package var text: String {
    [head, stepText, table, trafficText + memoryText, limitsText].joined(separator: "\n")
  }

  private var head: String {
    let workers = "\(cluster.workers) \(cluster.workers == 1 ? "worker" : "workers")"
    let way =
      cluster.link.map {
        " over \(Units.bits($0.bitsPerSecond)), \(Units.time($0.latencySeconds)) away"
          + ($0.isEncrypted ? ", encrypted" : ", not encrypted")
      } ?? " beside the coordinator"
    let share =
      cluster.isOneMachine
      ? ", all on one machine"
      : cluster.workersPerHost > 1 ? ", \(cluster.workersPerHost) on a machine" : ""
    let lane = configuration.training.clipsPerLane
    let threads = rates.subject.threads
    return "\(network.name), \(network.weightsAndBiases) weights and biases; \(lanes) lanes of "
      + "\(lane) \(lane == 1 ? "clip" : "clips"); \(workers)\(way)\(share)\n"
      + "rates of \(rates.processor), \(rates.cores) cores, \(threads) "
      + "\(threads == 1 ? "thread" : "threads") a worker: "
      + "\(Units.time(rates.secondsPerLane)) a lane, \(Units.time(rates.secondsPerClip)) a clip forward\n"
  }

  private var stepText: String {
    let model = model(workers: cluster.workers)
    let better = topology(workers: cluster.workers)
    var rows: [[String]] = []
    for topology in cluster.link == nil ? [Topology.star] : Topology.allCases {
      let step = model.step(topology)
      let name = cluster.link == nil ? "shared memory" : topology.rawValue
      rows.append(
        [name + (topology == better && cluster.link != nil ? " (better)" : "")]
          + [step.compute, step.wayIn, step.sum, step.update, step.wayOut, step.seconds].map(
            Units.time))
    }
    return TextTable(
      ["a step", "computing", "way in", "sum", "update", "way out", "in all"], rows
    ).text
  }

  private var table: String {
    let first = step(workers: 1).seconds
    let rows = counts.map { count in
      let step = step(workers: count)
      return [
        "\(count)", Units.long(step.seconds), Units.short(clipsPerStep / step.seconds),
        String(format: "%.0f %%", 100 * first / step.seconds / Double(count)),
        Units.long(epochSeconds(workers: count)), bound(workers: count),
      ]
    }
    let enough = enough
    return TextTable(
      ["workers", "a step", "clips/s", "efficiency", "an epoch", "bound by"], rows
    ).text
      + "an epoch: \(clips.train) clips in \(stepsPerEpoch) "
      + "\(stepsPerEpoch == 1 ? "step" : "steps"), validation of \(clips.validation) "
      + "(\(Units.long(validationSeconds(workers: cluster.workers))))\n"
      + "enough: \(enough) \(enough == 1 ? "worker" : "workers"); twice as many would shorten a step by "
      + "less than a tenth\n"
  }

  private var trafficText: String {
    guard cluster.link != nil else {
      return "traffic: none; vectors lie in shared memory\n"
    }
    let step = step(workers: cluster.workers)
    let all = Double(clips.train) * Double(clips.bytes)
    let share = all / Double(model(workers: cluster.workers).busy)
    let steps = Double(stepsPerEpoch)
    return "traffic of a step: coordinator \(Units.bytes(step.coordinatorSent)) out, "
      + "\(Units.bytes(step.coordinatorReceived)) in; worker \(Units.bytes(step.workerSent)) out, "
      + "\(Units.bytes(step.workerReceived)) in; of an epoch: coordinator "
      + "\(Units.bytes(steps * (step.coordinatorSent + step.coordinatorReceived)))\n"
      + "clips: a worker without the store needs \(Units.bytes(share)) of \(Units.bytes(all)) once; from the "
      + "coordinator to all that takes \(Units.long(all / (cluster.link?.bytesPerSecond ?? 1)))\n"
  }

  private var memoryText: String {
    let topology = topology(workers: cluster.workers)
    let coordinator = coordinatorBytes(workers: cluster.workers, lanes: lanes, topology)
    return "memory: a worker \(MemoryBudget.text(workerBytes(topology))), the coordinator at most "
      + "\(MemoryBudget.text(coordinator)); files of the coordinator: "
      + "\(coordinatorDescriptors(workers: cluster.workers))"
      + (topology == .sharded
        ? ", of a worker: \(Self.workerDescriptors(owners: model(workers: cluster.workers).busy))"
        : "")
      + "\n"
  }

  private var limitsText: String {
    "what breaks first, as workers are added with a lane for each, and what to turn:\n"
      + limits.filter { $0.workers < Self.horizon }.map { limit in
        let passed = limit.workers < cluster.workers ? " (here)" : ""
        return "  beyond \(limit.workers)\(passed): \(limit.what) -> \(limit.advice)\n"
      }.joined()
  }

  // MARK: JSON

  private struct Document: Encodable {
    struct Row: Encodable {
      let workers: Int
      let topology: String
      let secondsPerStep, clipsPerSecond, efficiency, secondsPerEpoch: Double
      let boundBy: String
    }

    let workers, lanes, clipsPerLane, stepsPerEpoch: Int
    let topology: String
    let star: StepModel.Step
    let sharded: StepModel.Step?
    let secondsPerStep: Double
    /// By topology.
    let steps: [String: Double]
    let validationSeconds, secondsPerEpoch: Double
    let workerBytes, coordinatorBytes, coordinatorDescriptors: Int
    let enoughWorkers: Int
    let curve: [Row]
    let limits: [PlanLimit]
    let rates: PlanRates
  }

  /// One object: the plan, and the rates that it was made from.
  package func json() throws -> String {
    let workers = cluster.workers
    let (model, topology) = (model(workers: workers), topology(workers: workers))
    let (star, sharded) = (model.step(.star), model.step(.sharded))
    let first = step(workers: 1).seconds
    return try Document(
      workers: workers, lanes: lanes, clipsPerLane: configuration.training.clipsPerLane,
      stepsPerEpoch: stepsPerEpoch, topology: topology.rawValue, star: star,
      sharded: cluster.link == nil ? nil : sharded, secondsPerStep: step(workers: workers).seconds,
      steps: ["star": star.seconds, "sharded": sharded.seconds],
      validationSeconds: validationSeconds(workers: workers),
      secondsPerEpoch: epochSeconds(workers: workers), workerBytes: workerBytes(topology),
      coordinatorBytes: coordinatorBytes(workers: workers, lanes: lanes, topology),
      coordinatorDescriptors: coordinatorDescriptors(workers: workers), enoughWorkers: enough,
      curve: counts.map { count in
        let seconds = step(workers: count).seconds
        return Document.Row(
          workers: count, topology: self.topology(workers: count).rawValue,
          secondsPerStep: seconds, clipsPerSecond: clipsPerStep / seconds,
          efficiency: first / seconds / Double(count),
          secondsPerEpoch: epochSeconds(workers: count),
          boundBy: bound(workers: count))
      }, limits: limits, rates: rates
    ).json()
  }
}

/// Quantities as people write them.
package enum Units {
  /// Seconds of `100us`, `1ms`, `0.5s`.
  package static func seconds(_ text: String) -> Double? {
    number(text, ["us": 1e6, "µs": 1e6, "ms": 1e3, "s": 1]).map { $0.number / $0.unit }
  }

  /// Bits a second of `10Gbit`, `100Mbit`, `64kbit`.
  package static func bitsPerSecond(_ text: String) -> Double? {
    number(text, ["gbit": 1e9, "mbit": 1e6, "kbit": 1e3]).map { $0.number * $0.unit }
  }

  private static func number(
    _ text: String, _ units: [String: Double]
  ) -> (number: Double, unit: Double)? {
    let text = text.lowercased()
    // The longest first: "ms" ends with "s".
    guard let unit = units.keys.filter(text.hasSuffix).max(by: { $0.count < $1.count }),
      let value = units[unit], let number = Double(text.dropLast(unit.count)), number.isFinite,
      number >= 0
    else { return nil }
    return (number, value)
  }

  static func short(_ number: Double) -> String {
    number >= 100 ? String(format: "%.0f", number) : String(format: "%.3g", number)
  }

  static func time(_ seconds: Double) -> String {
    let (value, unit) =
      seconds < 1e-3 ? (seconds * 1e6, "us") : seconds < 1 ? (seconds * 1e3, "ms") : (seconds, "s")
    return "\(short(value)) \(unit)"
  }

  /// As in `3 h 20 min`.
  static func long(_ seconds: Double) -> String {
    if seconds < 90 { return time(seconds) }
    let minutes = Int((seconds / 60).rounded())
    if minutes < 90 { return "\(minutes) min" }
    let hours = (minutes + 30) / 60
    return minutes < 600
      ? "\(minutes / 60) h \(minutes % 60) min"
      : hours < 48 ? "\(hours) h" : "\(Int((seconds / 86_400).rounded())) days"
  }

  static func bits(_ perSecond: Double) -> String {
    perSecond >= 1e9 ? "\(short(perSecond / 1e9)) Gbit/s" : "\(short(perSecond / 1e6)) Mbit/s"
  }

  static func bytes(_ bytes: Double) -> String {
    let (value, unit) =
      bytes < 1e6
      ? (bytes / 1e3, "kB") : bytes < 1e9 ? (bytes / 1e6, "MB") : (bytes / 1e9, "GB")
    return "\(short(value)) \(unit)"
  }
}
