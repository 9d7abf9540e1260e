import Foundation
import Testing

/// What `--trace` leaves on disk while a run goes on, and when things go wrong.
@Suite("Traces")
struct TraceTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  var path: String { folder / "trace.json" }

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  private func events() throws -> [[String: Any]] {
    let events = try JSONSerialization.jsonObject(with: Files.bytes(path)) as? [[String: Any]]
    return try #require(events)
  }

  private func start(of event: [String: Any]) -> Double { event["ts"] as? Double ?? 0 }

  @Test("the row of a worker that is killed ends, another's begins, and the run is the same")
  func killedWorker() throws {
    let training = material.training(run, "--workers", "2", "--threads", "1", "--trace", path)
    try Program.start("coordinator", training) { coordinator in
      try coordinator.wait(for: "step 6") { try metrics(run, "step").count >= 6 }
      kill(try #require(coordinator.children.randomElement()), SIGKILL)
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    let events = try events()
    let death = try #require(events.first { $0["name"] as? String == "death" })
    let slices = events.filter { $0["ph"] as? String == "X" }
    let row = try #require(death["tid"] as? Int)
    let victim = slices.filter { $0["tid"] as? Int == row }
    #expect(!victim.isEmpty)
    #expect(victim.allSatisfy { start(of: $0) + ($0["dur"] as? Double ?? 0) <= start(of: death) })
    let joins = events.filter { $0["name"] as? String == "join" }
    #expect(Set(joins.compactMap { $0["tid"] as? Int }).count == 3)
    #expect(events.contains { $0["name"] as? String == "reassignment" })
  }

  @Test("a coordinator that is killed leaves whole JSON; its run, resumed, a new trace")
  func killedCoordinator() throws {
    let training = material.training(
      run, "--workers", "1", "--threads", "1", "--trace", path, "--set", "training.epochs=4000",
      "--set", "training.patience=4000")
    try Program.start("coordinator", training) { coordinator in
      // A second's events are written together.
      try coordinator.wait(for: "a trace") { (try? Files.bytes(path))?.isEmpty == false }
      coordinator.signal(SIGKILL)
      #expect(try coordinator.wait().signal == SIGKILL)
    }
    #expect(try events().contains { $0["name"] as? String == "join" })
    let resumed = try Program.run(
      "coordinator",
      material.resuming(run, "--workers", "1", "--trace", path, "--set", "training.epochs=4"))
    #expect(resumed.code == 0, "\(resumed.errors)")
    let events = try events()
    #expect(events.count { $0["name"] as? String == "join" } == 1)
    #expect(events.contains { $0["name"] as? String == "testing" })
  }
}
