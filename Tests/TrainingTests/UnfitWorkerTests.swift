import Cluster
import Dataset
import Foundation
import Synchronization
import Testing
import Training

@Suite("A worker that does not fit")
struct UnfitWorkerTests {
  /// What is wrong with it, and what both sides say: which field, and both values.
  enum Flaw: CaseIterable {
    case rounding, build

    var hello: Hello {
      var hello = WorkerLife.hello(threads: 1)
      if self == .build { hello.build = "0.0.1" }
      return hello
    }

    var words: [String] {
      switch self {
      case .rounding: ["round differently", "has hash 123 and ", Processor.description]
      case .build: ["build 0.0.1", "build \(Build.version)"]
      }
    }
  }

  @Test(
    "is refused with the reason, and the run goes on without it", arguments: Flaw.allCases)
  func stranger(_ flaw: Flaw) throws {
    let folder = try TemporaryFolder()
    let store = try SyntheticStore().write(folder / "store")
    let transport = InProcessTransport()
    var session = RunSession(
      configuration: InProcessTrainingTests.configuration, store: store.directory, workers: 1)
    session.folder = folder / "run"
    session.address = "*"
    session.transport = transport
    session.patience = .seconds(60)
    let said = Mutex("")
    session.output = ProgressDisplay.Output(
      isTerminal: false, width: { 200 }, write: { line in said.withLock { $0 += line } })
    let refusal = Mutex<String?>(nil)
    let ended = DispatchGroup()
    session.launch = { launching in
      ended.enter()
      Thread.detachNewThread {
        defer { ended.leave() }
        refusal.withLock { $0 = try? Self.refusal(flaw, launching.address, transport) }
        let life = WorkerLife(store: store.directory.path, threads: 2, sharesCores: true) { _ in }
        try? life.serve(
          WorkerEndpoint(
            connectingTo: launching.address, over: transport, hello: WorkerLife.hello(threads: 2)))
      }
    }
    let outcome = try session.run()
    ended.wait()
    #expect(outcome.position.step > 0)
    let words = refusal.withLock { $0 }
    let reason = try #require(words)
    for word in flaw.words { #expect(reason.contains(word), "\(reason)") }
    #expect(said.withLock { $0 }.contains(reason))
  }

  @Test("that shows signs of life and never answers does not hold the run still")
  func mute() throws {
    let folder = try TemporaryFolder()
    let store = try SyntheticStore().write(folder / "store")
    let reference = InProcessRun(
      configuration: InProcessTrainingTests.configuration, store: store.directory.path,
      folder: folder / "reference")
    _ = try reference.run()
    let transport = InProcessTransport()
    var session = RunSession(
      configuration: InProcessTrainingTests.configuration, store: store.directory, workers: 2)
    session.folder = folder / "run"
    session.address = "*"
    session.transport = transport
    session.patience = .seconds(60)
    session.allowsMixedProcessors = true
    session.output = ProgressDisplay.Output(isTerminal: false, width: { 200 }, write: { _ in })
    let ended = DispatchGroup()
    session.launch = { launching in
      for isMute in [true, false] {
        ended.enter()
        Thread.detachNewThread {
          defer { ended.leave() }
          guard
            let endpoint = try? WorkerEndpoint(
              connectingTo: launching.address, over: transport,
              hello: WorkerLife.hello(threads: 1))
          else { return }
          let life = WorkerLife(store: store.directory.path, threads: 1, sharesCores: true) { _ in }
          if isMute { try? Self.listen(endpoint) } else { try? life.serve(endpoint) }
          endpoint.close()
        }
      }
    }
    let outcome = try session.run()
    ended.wait()
    #expect(outcome.position.step > 3)
    let run = InProcessRun(
      configuration: InProcessTrainingTests.configuration, store: store.directory.path,
      folder: folder / "run")
    #expect(try run.bytes == reference.bytes)
    // Whom it was late with is one step: in the others it has no lanes.
    let log = try String(contentsOfFile: folder / "run/metrics.jsonl", encoding: .utf8)
    let late = log.split(separator: "\n").filter {
      $0.contains("\"event\":\"duplicate\"") && $0.contains("\"lanes\"")
    }
    let steps = Set(late.compactMap { $0.firstMatch(of: /of step (\d+)/)?.1 })
    #expect(steps == ["1"], "\(late)")
  }

  /// A worker that is ready for ever.
  private static func listen(_ endpoint: WorkerEndpoint) throws {
    while true {
      switch try endpoint.receive(timeout: .seconds(60)) {
      case .message(.welcome): try endpoint.send(.ready(proofHash: 0x123))
      case .message(.bye), .lost, nil: return
      default: continue
      }
    }
  }

  @Test("whose store was made with other features names the setting, and both values")
  func otherFeatures() throws {
    let folder = try TemporaryFolder()
    let store = try SyntheticStore().write(folder / "store")
    var other = SyntheticStore()
    other.settings = [FeatureSetting("hopLength", "512")]
    let theirs = try other.write(folder / "other")
    let welcome = try Welcome(InProcessTrainingTests.configuration, store)
    try welcome.require(store)
    let error = #expect(throws: DatasetError.self) { try welcome.require(theirs) }
    let words = try #require(error?.description)
    #expect(words.contains("hopLength is 512 in the store and 256 in the coordinator's store"))
  }

  @Test("whose store has the same features and other clips names both fingerprints")
  func otherClips() throws {
    let folder = try TemporaryFolder()
    let store = try SyntheticStore().write(folder / "store")
    let theirs = try SyntheticStore(lift: 5).write(folder / "other")
    let welcome = try Welcome(InProcessTrainingTests.configuration, store)
    let error = #expect(throws: DatasetError.self) { try welcome.require(theirs) }
    let words = try #require(error?.description)
    for store in [store, theirs] {
      #expect(words.contains(store.fingerprint.prefix(12)), "\(words)")
    }
  }

  /// What the coordinator answers to somebody with a flaw.
  private static func refusal(
    _ flaw: Flaw, _ address: String, _ transport: InProcessTransport
  ) throws -> String? {
    let endpoint = try WorkerEndpoint(
      connectingTo: address, over: transport, hello: flaw.hello)
    defer { endpoint.close() }
    while true {
      switch try endpoint.receive(timeout: .seconds(60)) {
      case .message(.welcome): try endpoint.send(.ready(proofHash: 0x123))
      case .message(.refuse(let reason)): return reason
      case .message: continue
      default: return nil
      }
    }
  }
}
