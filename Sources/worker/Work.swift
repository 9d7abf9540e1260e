import ArgumentParser
import Cluster
import Foundation
import Training

/// Computes lanes for a coordinator until the run is over.
@main struct Work: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Compute gradients for a coordinator.",
    discussion: """
      worker --connect tcp://HOST:5700 --keys keys

      Exit codes: 0 the run is over; 64 wrong usage; 65 bad data or keys; 69 the coordinator is \
      unavailable or refuses this worker; 130 interrupted.
      """, version: Build.description)

  @Option(help: ArgumentHelp("The coordinator's address.", valueName: "tcp://host:port"))
  var connect: String
  @Option(
    help: ArgumentHelp(
      "The store that the run trains on, on this machine (default: clips come from the coordinator).",
      valueName: "store"))
  var data: String?
  @Option(
    help: ArgumentHelp(
      "Where clips that come from coordinators are kept (default: ~/.cache/tutti/stores).",
      valueName: "folder"))
  var cache: String?
  @Option(
    help: ArgumentHelp(
      "The most that they may take there, all together (default: 50GB). A twentieth of the disk stays free.",
      valueName: "20GB"))
  var cacheLimit: ByteAmount?
  @Option(help: "Threads to compute with (default: one a core).")
  var threads: Int?
  @Option(
    help: ArgumentHelp(
      "The most memory that this worker may take (default: the machine's).", valueName: "6GB"))
  var memory: MemoryBudget?
  @Option(help: "Seconds to look for the coordinator, at first and whenever it is lost.")
  var wait = 600
  @Option(
    help: ArgumentHelp(
      "A folder of keys, made by `tutti keygen` for this host.", valueName: "folder"))
  var keys: String?
  @Flag(help: "Connect to another machine without keys: whoever is there is believed.")
  var insecure = false
  @Flag(help: .hidden)
  var leashed = false
  @Flag(help: .hidden)
  var sharesMemory = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    guard wait > 0 else { throw ValidationError("--wait must be positive, not \(wait)") }
    if !ZeroMQTransport.isLocal(connect), keys == nil, !insecure, !leashed {
      throw ValidationError(
        "--connect \(connect) is another machine's, and this worker has no keys: give it --keys with a "
          + "folder that `tutti keygen` has made; --insecure believes whoever is there")
    }
    if keys != nil && insecure {
      throw ValidationError("--keys and --insecure contradict each other: give one of them")
    }
  }

  func run() throws {
    Program.run { try work() }
  }

  private func work() throws {
    let keys = try readKeys()
    if leashed { Program.endWithStandardInput() }
    if insecure, !ZeroMQTransport.isLocal(connect) {
      Program.say("warning: --insecure: whoever answers at \(connect) is believed")
    }
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    var life = WorkerLife(
      store: data, cache: try WorkerLife.cache(cache, limit: cacheLimit), threads: threads,
      sharesCores: leashed,
      memory: memory ?? .machine, announce: Program.say)
    if sharesMemory { life.shared = try LocalWorkers.inheritedMemory() }
    Program.allowManyConnections()
    let wake = Wake()
    var interruption: Interruption?
    do {
      try life.serve(
        connect, wait: .seconds(wait), returns: !leashed, over: ZeroMQTransport(keys: keys),
        interruptible: { interrupt in
          wake.set(interrupt)
          // Not before there is something to leave: until then a signal just ends the process.
          if interruption == nil { interruption = Interruption { wake() } }
        }, isInterrupted: { interruption?.signalName != nil })
    } catch {
      guard leashed else { throw error }
      // The coordinator on the other end of the leash has been told, or is gone: it has the word.
      Foundation.exit(ExitStatus(error).rawValue)
    }
  }

  /// - Returns: nil if connections are not encrypted
  private func readKeys() throws -> Keys? {
    guard let keys else { return nil }
    guard keys == "-" else { return try KeyFolder(keys).workerKeys() }
    guard let line = Program.readLineOfStandardInput(),
      let read = Keys(credentials: line, from: "standard input")
    else {
      throw TrainingError(
        .badInput, "standard input gives no keys: a coordinator writes them there for --keys -")
    }
    return read
  }
}

extension ByteAmount: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

extension MemoryBudget: ExpressibleByArgument {
  public init?(argument: String) { self.init(option: argument) }
}
