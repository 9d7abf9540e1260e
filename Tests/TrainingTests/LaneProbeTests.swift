import Cluster
import Foundation
import Synchronization
import Testing
import Training

@Suite("A worker that rounds differently")
struct LaneProbeTests {
  @Test("is refused with the reason, and the run goes on without it")
  func stranger() throws {
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
        refusal.withLock { $0 = try? Self.refusal(launching.address, transport) }
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
    #expect(reason.contains("round differently") && reason.contains("has hash 123 and "))
    #expect(said.withLock { $0 }.contains(reason))
  }

  /// What the coordinator answers to somebody with another proof.
  private static func refusal(
    _ address: String, _ transport: InProcessTransport
  ) throws -> String? {
    let endpoint = try WorkerEndpoint(
      connectingTo: address, over: transport, hello: WorkerLife.hello(threads: 1))
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
