import Cluster
import Foundation
import Testing

/// Workers that are late, slow, or compute with the wrong weights: the run leaves the same bytes.
@Suite("Stragglers")
struct StragglerTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  let address = "tcp://127.0.0.1:\(RawConnection.freePort())"
  let proxy: Proxy

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
    proxy = Proxy(to: address)
  }

  private func worker(_ address: String) -> [String] {
    ["--connect", address, "--data", material.store, "--threads", "1"]
  }

  /// Trains with a worker behind the proxy and, from the beginning or later, another one.
  private func train(
    _ more: [String] = [], other isThere: Bool = true,
    meanwhile: (_ coordinator: Program, _ worker: Program) throws -> Void = { _, _ in }
  ) throws {
    let training = material.training(run, "--bind", address, "--await", isThere ? "2" : "1") + more
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker(proxy.address)) { worker in
        func finish() throws {
          try proxy.serve {
            try meanwhile(coordinator, worker)
            let ending = try coordinator.wait()
            #expect(ending.code == 0, "\(ending.errors)")
          }
        }
        if isThere {
          try Program.start("worker", self.worker(address)) { _ in try finish() }
        } else {
          try finish()
        }
      }
    }
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    #expect(try metrics(run, "step").map { $0["step"] as? Int } == Array(1...Material.steps))
  }

  private func events(_ name: String) throws -> [[String: Any]] {
    try metrics(run, "crew").filter { $0["event"] as? String == name }
  }

  @Test("lanes that are late are computed by an idle worker too, and the first answer counts")
  func late() throws {
    // What this worker says after its first steps does not arrive before the run is over.
    proxy.arm(
      Proxy.Strike(sender: .worker, kind: .partial, spared: 1, harm: .delay(.seconds(3600))))
    try train(["--silence", "3600"])
    #expect(proxy.struck.count == 1)
    let duplicates = try events("duplicate")
    #expect(duplicates.contains { $0["lanes"] as? Int ?? 0 > 0 })
    #expect(duplicates.contains { $0["clips"] as? Int ?? 0 > 0 })
    #expect(duplicates.allSatisfy { $0["worker"] as? String != $0["by"] as? String })
    #expect(try events("death").isEmpty)
  }

  @Test("a worker behind a slow link is not late: what travels takes its time")
  func slowLink() throws {
    // Three times what is allowed to one whose sums travel at once.
    proxy.arm(
      Proxy.Strike(
        sender: .worker, kind: .partial, isLasting: true, harm: .delay(.milliseconds(300))))
    try train(["--silence", "60"])
    #expect(proxy.struck.count > Material.steps / 2)
    let duplicates = try events("duplicate").filter { $0["lanes"] != nil }
    #expect(duplicates.count < Material.steps / 3)
  }

  @Test("a worker that stands still most of the time leaves no trace in the result")
  func slowedDown() throws {
    try train(["--silence", "60"]) { _, worker in
      for _ in 0..<20 where !worker.hasEnded {
        worker.signal(SIGSTOP)
        usleep(80_000)
        worker.signal(SIGCONT)
        usleep(20_000)
      }
    }
  }

  @Test("a worker that says that it takes ages for a lane gets few of them")
  func slow() throws {
    // The time that it took stands first in what it says; weeks are added.
    proxy.arm(
      Proxy.Strike(
        sender: .worker, kind: .timing, isLasting: true,
        harm: .forge(FrameHeader.forging { $0[6] |= 0x10 })))
    try train()
    // Half of the lanes of the first steps, before it is known; then none, but for a look now and then.
    #expect(proxy.lanesOrdered < Material.steps)
  }

  @Test("a worker with other weights is found out, gets the right ones, and its answer is not used")
  func otherWeights() throws {
    proxy.arm(Proxy.Strike(sender: .coordinator, kind: .parameters, spared: 4, harm: .forge(spoil)))
    try train(other: false)
    let events = try events("desynchronised")
    #expect(events.count == 1)
    #expect(events.first?["step"] as? Int == 4)
    #expect(try self.events("leave").isEmpty)
  }

  @Test("a worker that has other weights a second time in a step is dismissed")
  func otherWeightsAgain() throws {
    // The step's, and those that are sent again.
    for spared in [4, 0] {
      proxy.arm(
        Proxy.Strike(sender: .coordinator, kind: .parameters, spared: spared, harm: .forge(spoil)))
    }
    try train(other: false) { coordinator, _ in
      try coordinator.wait(for: "its dismissal") { try !events("leave").isEmpty }
      let other = try Program.run("worker", worker(address))
      #expect(other.code == 0, "\(other.errors)")
    }
    let leave = try #require(try events("leave").first)
    #expect((leave["text"] as? String ?? "").contains("with other weights than those sent to it"))
  }

  /// The first validation's weights are those after the first epoch.
  private let stepsBeforeValidation = Material.steps / Material.epochs

  @Test("so is one that scores with other weights: all clips are scored with the right ones")
  func otherWeightsInValidation() throws {
    proxy.arm(
      Proxy.Strike(
        sender: .coordinator, kind: .parameters, spared: stepsBeforeValidation,
        harm: .forge(spoil)))
    try train(other: false)
    let events = try events("desynchronised")
    #expect(events.count == 1)
    #expect(events.first?["step"] as? Int == stepsBeforeValidation)
    let text = events.first?["text"] as? String
    #expect(text?.contains("of the validation split") == true)
    #expect(try self.events("leave").isEmpty)
    for name in ["loss", "rocAUC"] {
      #expect(
        try metrics(run, "validation").map { $0[name] as? Double }
          == metrics(material.reference.run, "validation").map { $0[name] as? Double })
    }
  }

  @Test("one that scores with other weights a second time is dismissed")
  func otherWeightsAgainInValidation() throws {
    for spared in [stepsBeforeValidation, 0] {
      proxy.arm(
        Proxy.Strike(sender: .coordinator, kind: .parameters, spared: spared, harm: .forge(spoil)))
    }
    try train(other: false) { coordinator, _ in
      try coordinator.wait(for: "its dismissal") { try !events("leave").isEmpty }
      let other = try Program.run("worker", worker(address))
      #expect(other.code == 0, "\(other.errors)")
    }
    let leave = try #require(try events("leave").first)
    #expect((leave["text"] as? String ?? "").contains("scores the validation split with other"))
  }

  private let spoil = FrameHeader.forging { $0[100] ^= 1 }
}
