import Cluster
import Dataset
import Foundation
import Synchronization
import Training

/// A coordinator and its workers in this process: all of a run but its processes and its network.
struct InProcessRun {
  var configuration: Configuration
  var store: String
  var folder: String
  var workers = 1
  var threads = 1
  var resumes = false
  var topology = TopologyChoice.star
  /// Where each worker keeps what it gets from the coordinator; empty if they have the store.
  var caches: [StoreCache] = []
  /// Where its trace goes.
  var trace: String?
  /// By how much each worker's clock is ahead of the one before, and the first one's of the coordinator's.
  var clockShift = Duration.zero
  /// Asked between events; a word ends the run as a signal would.
  var interruption: @Sendable (Scene) -> String? = { _ in nil }

  /// What a run's surroundings can see and do while it goes on.
  final class Scene: Sendable {
    private let endpoints = Mutex<[WorkerEndpoint]>([])
    private let lines = Mutex<[String]>([])
    let log: String

    init(log: String) { self.log = log }

    /// How many lines of a kind the log has.
    func count(_ kind: String) -> Int {
      let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").count { $0.contains("\"kind\":\"\(kind)\"") }
    }

    /// Makes a worker leave as an interruption would.
    func loseWorker() { endpoints.withLock { $0.first }?.interrupt() }

    /// What coordinator and workers said, and errors that ended workers.
    var said: String { lines.withLock { $0.joined(separator: "\n") } }
    func say(_ line: String) { lines.withLock { $0.append(line) } }
    func add(_ endpoint: WorkerEndpoint) { endpoints.withLock { $0.append(endpoint) } }
  }

  /// How it ended.
  struct Result {
    let outcome: RunOutcome?
    let error: TrainingError?
    let said: String
  }

  /// Runs until the coordinator and all workers have ended.
  ///
  /// - Throws: errors other than `TrainingError`, which are part of the result
  func run() throws -> Result {
    let scene = Scene(log: folder + "/metrics.jsonl")
    let transport = InProcessTransport()
    var session = RunSession(
      configuration: configuration, store: URL(fileURLWithPath: store), workers: workers)
    session.folder = folder
    session.resumes = resumes
    session.address = "*"
    session.topology = topology
    session.trace = try trace.map { try RunTrace(writingTo: $0) }
    session.transport = transport
    session.output = ProgressDisplay.Output(isTerminal: false, width: { 200 }, write: scene.say)
    session.interruption = { [interruption] in interruption(scene) }
    session.patience = .seconds(5)
    let ended = DispatchGroup()
    session.launch = { launching in
      for number in 1...workers {
        ended.enter()
        let thread = Thread {
          defer { ended.leave() }
          do { try work(number, launching.address, transport, scene) } catch {
            scene.say("a worker ended: \(error)")
          }
        }
        thread.start()
      }
    }
    defer { ended.wait() }
    do {
      let outcome = try session.run()
      ended.wait()
      return Result(outcome: outcome, error: nil, said: scene.said)
    } catch let error as TrainingError {
      ended.wait()
      return Result(outcome: nil, error: error, said: scene.said)
    }
  }

  private func work(
    _ number: Int, _ address: String, _ transport: InProcessTransport, _ scene: Scene
  ) throws {
    var hello = WorkerLife.hello(threads: threads)
    hello.processID = number
    var settings = EndpointSettings()
    let shift = clockShift * number
    settings.clock = { monotonicTime() + shift }
    let endpoint = try WorkerEndpoint(
      connectingTo: address, over: transport, hello: hello, settings: settings)
    defer { endpoint.close() }
    scene.add(endpoint)
    let cache = caches.isEmpty ? nil : caches[number % caches.count]
    try WorkerLife(
      store: cache == nil ? store : nil, cache: cache ?? StoreCache(URL(fileURLWithPath: "/")),
      threads: threads, sharesCores: true, announce: { scene.say($0) }
    ).serve(endpoint, over: transport)
  }
}

extension InProcessRun {
  /// The checkpoints `last` and `best` of the folder.
  var last: Checkpoint { get throws { try Checkpoint(path: folder + "/last.safetensors") } }
  var best: Checkpoint { get throws { try Checkpoint(path: folder + "/best.safetensors") } }

  /// All bytes of `last` and of `best`.
  var bytes: [Data] {
    get throws {
      try ["last", "best"].map {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0).safetensors"))
      }
    }
  }

  /// A line of `metrics.jsonl`, without the fields that measure time.
  struct Line: Decodable, Equatable {
    let kind: String
    let step: Int
    let loss, rocAUC, prAUC, learningRate, gradientNorm: Double?
    let clips: Int?
    let best: Bool?
  }

  var log: [Line] {
    get throws {
      try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
        .split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        // Who came and went is not the run's.
        .filter { !["crew", "term"].contains($0.kind) }
    }
  }
}
