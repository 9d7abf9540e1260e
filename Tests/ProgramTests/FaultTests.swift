import Cluster
import Foundation
import Synchronization
import Testing

/// Workers die, hang, come, go and come back, and the run leaves the same bytes.
@Suite("Faults")
struct FaultTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  let port = RawConnection.freePort()
  var address: String { "tcp://127.0.0.1:\(port)" }
  var worker: [String] { ["--connect", address, "--data", material.store, "--threads", "1"] }

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  @Test(
    "a local worker that is killed is started anew",
    arguments: [(1, 3), (1, 8), (2, 5), (2, 14), (3, 7), (3, 20)])
  func killed(workers: Int, step: Int) throws {
    let training = material.training(run, "--workers", "\(workers)", "--threads", "1")
    try Program.start("coordinator", training) { coordinator in
      try wait(forStep: step, of: coordinator)
      let victim = try #require(coordinator.children.randomElement())
      kill(victim, SIGKILL)
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(
        ending.errors.contains("another local worker is started in place of \(victim)"),
        "\(ending.errors)")
      #expect(coordinator.family.isEmpty)
    }
    try expectReference()
    let deaths = try events("death")
    #expect(deaths.count == 1 && (deaths[0]["step"] as? Int ?? 0) >= step - 1)
  }

  @Test(
    "a worker that is killed while all share the vectors is no matter",
    arguments: [(2, 4), (3, 9), (4, 6), (4, 15)])
  func killedSharing(workers: Int, step: Int) throws {
    let training = material.training(
      run, "--workers", "\(workers)", "--threads", "1", "--topology", "sharded")
    try Program.start("coordinator", training) { coordinator in
      try wait(forStep: step, of: coordinator)
      kill(try #require(coordinator.children.randomElement()), SIGKILL)
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    try expectReference()
    #expect(try events("death").count == 1)
  }

  @Test("a local worker that cannot be started anew any more ends the run with its state saved")
  func noRestarts() throws {
    let training = material.training(run, "--workers", "1", "--restarts", "1")
    try Program.start("coordinator", training) { coordinator in
      try wait(forStep: 3, of: coordinator)
      let first = try #require(coordinator.children.first)
      kill(first, SIGKILL)
      try coordinator.wait(for: "another") { try events("join").count >= 2 }
      let second = try #require(coordinator.children.first { $0 != first })
      kill(second, SIGKILL)
      let ending = try coordinator.wait()
      #expect(ending.code == 69)
      #expect(ending.errors.contains("state saved after step "))
      #expect(ending.lastError.contains("\(second) "), "\(ending.errors)")
      #expect(coordinator.family.isEmpty)
    }
    try resume()
  }

  @Test("one that stays with no one else left is lost, and the others go on", arguments: [1, 2])
  func othersGoOn(victims: Int) throws {
    let training = material.training(
      run, "--workers", "3", "--threads", "1", "--restarts", "0")
    try Program.start("coordinator", training) { coordinator in
      try wait(forStep: 4, of: coordinator)
      for victim in coordinator.children.prefix(victims) { kill(victim, SIGKILL) }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    try expectReference()
    #expect(try events("death").count == victims)
  }

  @Test("a worker that hangs is lost, its lanes go to the other, and it comes back")
  func hangs() throws {
    let training = material.training(
      run, "--bind", address, "--await", "2", "--silence", "1", "--set", "training.epochs=24",
      "--set", "training.patience=99")
    let whole = folder / "whole"
    let undisturbed = try Program.run(
      "coordinator",
      material.training(
        whole, "--workers", "2", "--set", "training.epochs=24", "--set", "training.patience=99"))
    #expect(undisturbed.code == 0, "\(undisturbed.errors)")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker) { first in
        try Program.start("worker", worker) { second in
          try wait(forStep: 5, of: coordinator)
          second.signal(SIGSTOP)
          try coordinator.wait(for: "the loss") { try events("death").count == 1 }
          second.signal(SIGCONT)
          let ending = try coordinator.wait()
          #expect(ending.code == 0, "\(ending.errors)")
          #expect(ending.errors.contains("no sign of life for "), "\(ending.errors)")
          for worker in [first, second] { worker.signal(SIGTERM) }
          for worker in [first, second] { _ = try worker.wait() }
        }
      }
    }
    #expect(
      try digest(run + "/last.safetensors") == digest(whole + "/last.safetensors"))
  }

  @Test("workers join and leave in the middle")
  func comeAndGo() throws {
    let training = material.training(run, "--bind", address, "--await", "1")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker) { first in
        try wait(forStep: 2, of: coordinator)
        try Program.start("worker", worker) { second in
          try coordinator.wait(for: "the second") { try events("join").count == 2 }
          first.signal(SIGTERM)
          let gone = try first.wait()
          #expect(gone.code == 130)
          #expect(gone.errors.split(separator: "\n").count == 1, "\(gone.errors)")
          let ending = try coordinator.wait()
          #expect(ending.code == 0, "\(ending.errors)")
          #expect(ending.errors.contains("has left the run"))
          let end = try second.wait()
          #expect(end.code == 0, "\(end.errors)")
        }
      }
    }
    try expectReference()
  }

  @Test("with no worker left the coordinator waits, saves and says so; a run goes on as ever")
  func nobodyLeft() throws {
    let training = material.training(run, "--bind", address, "--await", "1", "--wait", "1")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker) { worker in
        try wait(forStep: 4, of: coordinator)
        worker.signal(SIGKILL)
        _ = try worker.wait()
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 69)
      #expect(ending.errors.contains("no worker is left: waiting for one at \(address)"))
      #expect(ending.errors.contains("state saved after step "))
      #expect(ending.lastError.contains("no worker came to \(address) within 1"))
    }
    try resume()
  }

  @Test("a worker that comes while nobody is left takes all lanes")
  func successor() throws {
    let training = material.training(run, "--bind", address, "--await", "1")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker) { worker in
        try wait(forStep: 4, of: coordinator)
        worker.signal(SIGTERM)
        #expect(try worker.wait().code == 130)
      }
      let second = try Program.run("worker", worker)
      #expect(second.code == 0, "\(second.errors)")
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    try expectReference()
  }

  @Test("workers find their coordinator again when it is resumed")
  func coordinatorComesBack() throws {
    try Program.start("worker", worker) { worker in
      try Program.start("coordinator", material.training(run, "--bind", address, "--await", "1")) {
        coordinator in
        try wait(forStep: 6, of: coordinator)
        coordinator.signal(SIGKILL)
        _ = try coordinator.wait()
      }
      let ending = try Program.run(
        "coordinator", material.resuming(run, "--bind", address, "--await", "1"))
      #expect(ending.code == 0, "\(ending.errors)")
      let end = try worker.wait()
      #expect(end.code == 0, "\(end.errors)")
      #expect(end.errors.contains("looking for it again"))
    }
    try expectReference()
  }

  @Test("what a worker said to an earlier term of the coordinator is refused by the next")
  func earlierTerm() throws {
    let proxy = Proxy(to: address)
    let old = Mutex<[UInt8]>([])
    let keep: @Sendable ([UInt8]) -> Void = { frame in old.withLock { $0 = frame } }
    let replay: @Sendable () -> [UInt8] = { old.withLock { $0 } }
    proxy.arm(
      Proxy.Strike(sender: .worker, kind: .partial, spared: 5, harm: .forge { keep($0) }))
    try Program.start("worker", ["--connect", proxy.address] + worker.dropFirst(2)) { worker in
      try proxy.serve {
        try Program.start("coordinator", material.training(run, "--bind", address, "--await", "1"))
        { coordinator in
          try wait(forStep: 6, of: coordinator)
          coordinator.signal(SIGKILL)
          _ = try coordinator.wait()
        }
        proxy.arm(
          Proxy.Strike(sender: .worker, kind: .partial, harm: .forge { $0 = replay() }))
        let ending = try Program.run(
          "coordinator", material.resuming(run, "--bind", address, "--await", "1"))
        #expect(ending.code == 0, "\(ending.errors)")
        #expect(ending.errors.contains("another term: term 1, this is 2"), "\(ending.errors)")
        #expect(try worker.wait().code == 0)
      }
    }
    #expect(proxy.struck.count == 2)
    try expectReference()
  }

  private func wait(forStep count: Int, of coordinator: Program) throws {
    try coordinator.wait(for: "step \(count)") { try metrics(run, "step").count >= count }
  }

  private func events(_ name: String) throws -> [[String: Any]] {
    try metrics(run, "crew").filter { $0["event"] as? String == name }
  }

  private func resume() throws {
    let ending = try Program.run("coordinator", material.resuming(run, "--workers", "2"))
    #expect(ending.code == 0, "\(ending.errors)")
    try expectReference()
  }

  private func expectReference() throws {
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try digest(run + "/best.safetensors") == material.reference.best)
  }
}
