import ArgumentParser
import Cluster
import Foundation
import Training

/// Computes lanes for a coordinator until the run is over.
@main struct Work: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Compute gradients for a coordinator.",
    discussion: """
      worker --connect tcp://HOST:5700 --data STORE

      Exit codes: 0 the run is over; 64 wrong usage; 65 bad data; 69 the coordinator is unavailable or \
      refuses this worker; 130 interrupted.
      """, version: Build.description)

  @Option(help: ArgumentHelp("The coordinator's address.", valueName: "tcp://host:port"))
  var connect: String
  @Option(
    help: ArgumentHelp("The store that the run trains on, on this machine.", valueName: "store"))
  var data: String?
  @Option(help: "Threads to compute with (default: one a core).")
  var threads: Int?
  @Option(
    help: ArgumentHelp(
      "The most memory that this worker may take (default: the machine's).", valueName: "6GB"))
  var memory: MemoryBudget?
  @Option(help: "Seconds to look for the coordinator, at first and whenever it is lost.")
  var wait = 600
  @Flag(help: .hidden)
  var leashed = false
  @Flag(help: .hidden)
  var sharesMemory = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    guard wait > 0 else { throw ValidationError("--wait must be positive, not \(wait)") }
  }

  func run() throws {
    Program.run { try work() }
  }

  private func work() throws {
    if leashed { Program.endWithStandardInput() }
    let store = try data.map { URL(fileURLWithPath: $0) } ?? Program.embeddedStore()
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    var life = WorkerLife(
      store: store.path, threads: threads, sharesCores: leashed, memory: memory ?? .machine,
      announce: Program.say)
    if sharesMemory { life.shared = try LocalWorkers.inheritedMemory() }
    let wake = Wake()
    var interruption: Interruption?
    do {
      try life.serve(
        connect, wait: .seconds(wait), returns: !leashed,
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
}

extension MemoryBudget: ExpressibleByArgument {
  public init?(argument: String) { self.init(option: argument) }
}
