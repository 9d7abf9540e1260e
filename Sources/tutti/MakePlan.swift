import ArgumentParser
import Dataset
import Foundation
import Models
import Training

/// Says what a training would take before anybody rents the machines.
struct MakePlan: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Foresee a training: time, traffic, memory, and how many workers pay.",
    discussion: """
      Measures on this machine, in a few seconds, what the parts of a step take, and computes the rest:

        tutti plan --config configs/crnn.yaml --set model.size=1M --set training.lanes=64 \\
          --workers 64 --bandwidth 10Gbit --latency 100us

      Without --bandwidth the workers are a coordinator's own, on its machine. On a machine like those of \
      the cluster, `tutti plan … --json > rates.json` keeps the rates; --rates rates.json plans with them \
      elsewhere, for any number of workers.
      """)

  @Option(
    help: ArgumentHelp(
      "Configuration file (default: configs/crnn.yaml, the main job).", valueName: "file"))
  var config: String?
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Override a setting. May be repeated.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(help: "Workers.")
  var workers = 4
  @Option(
    help: ArgumentHelp(
      "What each machine's link carries, each way: 100Mbit, 10Gbit.", valueName: "rate"))
  var bandwidth: LinkRate?
  @Option(help: ArgumentHelp("One way from machine to machine: 100us, 1ms.", valueName: "time"))
  var latency: Latency?
  @Flag(help: "Over the links without keys: nothing is encrypted.")
  var insecure = false
  @Option(help: "Workers on a machine, which share its cores.")
  var workersPerHost = 1
  @Flag(help: "Coordinator and workers share this machine's cores, though they have links.")
  var oneMachine = false
  @Option(help: "Threads of a worker (default: the cores, shared among a machine's workers).")
  var threads: Int?
  @Option(help: ArgumentHelp("The store to train on, for its numbers.", valueName: "store"))
  var data: String?
  @Option(help: "Clips to train on, without a store (default: 201680, as in the paper).")
  var clips: Int?
  @Option(help: "Clips to validate with, without a store (default: 11774).")
  var validation: Int?
  @Option(help: "Tags, without a store.")
  var tags = 50
  @Option(
    help: ArgumentHelp(
      "Take rates from what --json has printed, instead of measuring.", valueName: "file"))
  var rates: String?
  @Flag(help: "One JSON object instead of text; with the rates.")
  var json = false

  func validate() throws {
    guard (1...4096).contains(workers) else {
      throw ValidationError("--workers must be from 1 to 4096, not \(workers)")
    }
    guard (1...1024).contains(workersPerHost) else {
      throw ValidationError("--workers-per-host must be from 1 to 1024, not \(workersPerHost)")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    if bandwidth == nil, latency != nil || insecure || oneMachine || workersPerHost > 1 {
      throw ValidationError(
        "--latency, --insecure, --workers-per-host and --one-machine are about workers with links: give "
          + "--bandwidth too, as in --bandwidth 1Gbit")
    }
    if data != nil, clips != nil || validation != nil {
      throw ValidationError(
        "--data says how many clips there are: leave --clips and --validation out")
    }
    guard (1..<1 << 32).contains(clips ?? 1), (0..<1 << 32).contains(validation ?? 0),
      (1...65_536).contains(tags)
    else {
      throw ValidationError(
        "--clips must be from 1 and --validation from 0 to 4294967295, --tags from 1 to 65536")
    }
  }

  func run() throws {
    Program.run { print(try json ? plan().json() : plan().text, terminator: json ? "\n" : "") }
  }

  private func plan() throws -> RunPlan {
    var configuration = try Program.configuration(config, overrides)
    let store = try data.map { try Store(URL(fileURLWithPath: $0)) }
    if let store { configuration = try configuration.resolved(for: store) }
    let (bands, frames) = (store?.bands ?? 96, store?.frames ?? 1366)
    let network =
      try store.map(configuration.network(for:))
      ?? configuration.network(
        tags: tags, bands: bands, frames: configuration.augmentation.cropFrames ?? frames)
    let counts = RunPlan.Clips(
      train: store?.clipCount(in: .train) ?? clips ?? 201_680,
      validation: store?.clipCount(in: .validation) ?? validation ?? 11_774,
      bytes: bands * frames * MemoryLayout<UInt16>.size, tags: store?.tags.count ?? tags)
    let cluster = StepModel.Cluster(
      workers: workers, workersPerHost: workersPerHost,
      link: bandwidth.map {
        StepModel.Cluster.Link(
          bitsPerSecond: $0.bitsPerSecond, latencySeconds: latency?.seconds ?? 100e-6,
          isEncrypted: !insecure)
      }, isOneMachine: oneMachine)
    return RunPlan(configuration, network, counts, cluster, try rates(configuration, network))
  }

  private func rates(_ configuration: Configuration, _ network: Network) throws -> PlanRates {
    let saved = try rates.map { try PlanRates(path: $0) }
    let cores = saved?.cores ?? ProcessInfo.processInfo.activeProcessorCount
    let together = bandwidth == nil || oneMachine ? workers : workersPerHost
    let measurement = PlanMeasurement(
      configuration, network,
      threads: threads ?? saved?.subject.threads ?? max(1, cores / together))
    if let saved, let path = rates {
      try saved.require(measurement.subject, path: path)
      return saved
    }
    Program.say("measuring on this machine, for some seconds")
    return try measurement.rates()
  }
}

/// Bits a second.
struct LinkRate: ExpressibleByArgument {
  let bitsPerSecond: Double

  init?(argument: String) {
    guard let rate = Units.bitsPerSecond(argument), rate >= 1e3 else { return nil }
    bitsPerSecond = rate
  }
}

struct Latency: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    guard let time = Units.seconds(argument), time <= 10 else { return nil }
    seconds = time
  }
}
