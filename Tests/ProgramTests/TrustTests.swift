import Foundation
import Testing

/// Runs with keys: who has one leaves the same bytes, and who has none is told so.
@Suite("With keys")
struct TrustTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  let keys: String
  let port = RawConnection.freePort()
  /// Reachable from other machines: without keys a coordinator would refuse it.
  var everywhere: String { "tcp://*:\(port)" }
  var address: String { "tcp://127.0.0.1:\(port)" }

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    (run, keys) = (folder / "run", folder / "keys")
    try Self.make(keys, "oboe", "flute")
  }

  /// What `tutti keygen` leaves.
  private static func make(_ keys: String, _ workers: String...) throws {
    let ending = try Program.run(
      "tutti", ["keygen", "--keys", keys] + workers.flatMap { ["--worker", $0] })
    guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
  }

  private func coordinator(_ more: String...) -> [String] {
    material.training(run, "--bind", everywhere, "--keys", keys) + more
  }

  private func worker(_ keys: String?, _ more: String...) -> [String] {
    ["--connect", address, "--data", material.store, "--threads", "1"]
      + (keys.map { ["--keys", $0] } ?? []) + more
  }

  private func host(_ name: String) -> String { "\(keys)/hosts/\(name)" }

  private func events(_ name: String) throws -> [[String: Any]] {
    try metrics(run, "crew").filter { $0["event"] as? String == name }
  }

  @Test("local and remote workers leave the same bytes as without")
  func wholeRun() throws {
    try Program.start(
      "coordinator", coordinator("--workers", "1", "--threads", "1", "--await", "2")
    ) { coordinator in
      try Program.start("worker", worker(host("oboe"))) { first in
        let second = try Program.run("worker", worker(host("flute")))
        #expect(second.code == 0, "\(second.errors)")
        let ending = try first.wait()
        #expect(ending.code == 0 && ending.errors.isEmpty, "\(ending.errors)")
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      for name in ["local", "oboe", "flute"] {
        #expect(ending.errors.contains("(key \(name)) is ready"), "\(ending.errors)")
      }
      #expect(!ending.errors.contains("warning"))
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try digest(run + "/best.safetensors") == material.reference.best)
    #expect(try Set(events("join").compactMap { $0["key"] as? String }).count == 3)
    #expect(try events("refusal").isEmpty)
  }

  @Test("workers that share vectors among each other leave the same bytes")
  func sharded() throws {
    try Program.start(
      "coordinator",
      coordinator("--workers", "1", "--threads", "1", "--await", "2", "--topology", "sharded")
    ) { coordinator in
      try Program.start("worker", worker(host("oboe"))) { _ in
        let second = try Program.run("worker", worker(host("flute")))
        #expect(second.code == 0, "\(second.errors)")
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(!ending.errors.contains("through the coordinator"), "\(ending.errors)")
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("a local worker that is killed is started anew with its key")
  func restarted() throws {
    try Program.start("coordinator", coordinator("--workers", "1", "--threads", "1")) {
      coordinator in
      try coordinator.wait(for: "a step") { try metrics(run, "step").count >= 3 }
      kill(try #require(coordinator.children.first), SIGKILL)
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try events("join").count == 2)
  }

  /// Somebody who must not come in.
  enum Stranger: CaseIterable {
    case noKeys, unknownKey, otherCoordinator

    var coordinatorSays: String {
      switch self {
      case .noKeys: "without keys: a worker needs --keys here"
      case .unknownKey: "which is not in "
      case .otherCoordinator: "has another coordinator's public key than this one's"
      }
    }

    var problem: String {
      switch self {
      case .noKeys: "no keys"
      case .unknownKey: "unknown key"
      case .otherCoordinator: "wrong coordinator key"
      }
    }

    var workerSays: String {
      switch self {
      case .noKeys: "it takes only workers with keys: start this worker with --keys"
      case .unknownKey: "copy its public key into the folder allowed of the coordinator's keys"
      case .otherCoordinator: "its key is not the key "
      }
    }
  }

  @Test("strangers are told why, at once, and the run goes on", arguments: Stranger.allCases)
  func strangers(_ stranger: Stranger) throws {
    let others = folder / "others"
    try Self.make(others, "thief")
    let theirs = others + "/hosts/thief"
    if stranger == .unknownKey {
      try FileManager.default.removeItem(atPath: theirs + "/coordinator.public")
      try Files.copy(keys + "/coordinator.public", to: theirs + "/coordinator.public")
    }
    try Program.start("coordinator", coordinator("--await", "1")) { coordinator in
      try coordinator.wait(for: "its port") { coordinator.errors.contains("waiting for 1 worker") }
      for _ in 0..<3 {
        let refused = try Program.run("worker", worker(stranger == .noKeys ? nil : theirs))
        #expect(refused.code == 69)
        #expect(refused.lastError.contains(stranger.workerSays), "\(refused.errors)")
        #expect(refused.lastError.contains(address))
      }
      try coordinator.wait(for: "its words on that") {
        coordinator.errors.contains(stranger.coordinatorSays)
      }
      let accepted = try Program.run("worker", worker(host("oboe")))
      #expect(accepted.code == 0, "\(accepted.errors)")
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      let lines = ending.errors.split(separator: "\n").filter {
        $0.contains(stranger.coordinatorSays)
      }
      // The first time and, as a worker knocks more than once, perhaps the tenth.
      #expect((1...2).contains(lines.count), "\(ending.errors)")
    }
    let told = try events("refusal").compactMap { $0["problem"] as? String }
    #expect(told.contains(stranger.problem))
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("a worker with keys ends at a coordinator without, and both say so")
  func unwantedKeys() throws {
    let training = material.training(run, "--bind", address, "--await", "1")
    try Program.start("coordinator", training) { coordinator in
      let refused = try Program.run("worker", worker(host("oboe")))
      #expect(refused.code == 69)
      #expect(refused.lastError.contains("start the coordinator with --keys"), "\(refused.errors)")
      try coordinator.wait(for: "its words on that") {
        coordinator.errors.contains("this side has none: start it with --keys")
      }
      #expect(!coordinator.hasEnded)
    }
  }

  @Test("a worker whose key is removed in the middle leaves, and the other does all")
  func revoked() throws {
    let long = ["--set", "training.epochs=24", "--set", "training.patience=99"]
    let whole = folder / "whole"
    let undisturbed = try Program.run(
      "coordinator", material.training(whole, "--workers", "2") + long)
    #expect(undisturbed.code == 0, "\(undisturbed.errors)")
    try Program.start("coordinator", coordinator("--await", "2") + long) { coordinator in
      try Program.start("worker", worker(host("oboe"))) { oboe in
        try Program.start("worker", worker(host("flute"))) { flute in
          try coordinator.wait(for: "steps") { try metrics(run, "step").count >= 4 }
          try FileManager.default.removeItem(atPath: keys + "/allowed/oboe.public")
          let gone = try oboe.wait()
          #expect(gone.code == 69)
          #expect(gone.errors.contains("its key is no longer allowed"), "\(gone.errors)")
          #expect(gone.lastError.contains("it does not know this worker's key"))
          let ending = try coordinator.wait()
          #expect(ending.code == 0, "\(ending.errors)")
          #expect(ending.errors.contains("(key oboe) is sent away"), "\(ending.errors)")
          let end = try flute.wait()
          #expect(end.code == 0, "\(end.errors)")
        }
      }
    }
    #expect(try digest(run + "/last.safetensors") == digest(whole + "/last.safetensors"))
  }

  @Test("scans, slow connections and rubbish do not disturb a run")
  func crowd() throws {
    try Program.start("coordinator", coordinator("--await", "1")) { coordinator in
      try coordinator.wait(for: "its port") { coordinator.errors.contains("waiting for 1 worker") }
      try Program.start("worker", worker(host("oboe"))) { worker in
        var said = 0
        while !coordinator.hasEnded {
          // Held open: some say nothing, some half a greeting, some leave at once.
          let slow = (0..<40).compactMap { _ in try? RawConnection(port: port) }
          for (number, connection) in slow.enumerated() where number % 2 == 0 {
            connection.send(RawConnection.greeting.prefix(number))
          }
          for _ in 0..<20 { _ = try? RawConnection(port: port) }
          try? NetworkTests.Rubbish.allCases[said % NetworkTests.Rubbish.allCases.count].say(
            at: port)
          _ = withExtendedLifetime(slow) { usleep(20_000) }
          said += 1
        }
        let end = try worker.wait()
        #expect(end.code == 0, "\(end.errors)")
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(ending.errors.contains("connections turned away: "))
      // However many there were.
      let lines = ending.errors.split(separator: "\n").filter {
        $0.contains("somebody") || $0.contains("refused")
      }
      #expect(lines.count < 25, "\(lines.count) lines: \(ending.errors)")
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("keygen prints what to do, makes nothing twice, and serves a host of its own")
  func keygen() throws {
    let again = try Program.run("tutti", ["keygen", "--keys", keys, "--worker", "horn"])
    #expect(again.code == 0)
    #expect(again.output.contains("scp -rp \(keys)/hosts/horn horn:keys"))
    let twice = try Program.run("tutti", ["keygen", "--keys", keys, "--worker", "horn"])
    #expect(twice.code == 65)
    #expect(twice.lastError.contains("horn.public is there already"))
    let own = try Program.run(
      "tutti", ["keygen", "--keys", folder / "own", "--worker", "tuba", "--on-host"])
    #expect(own.code == 0)
    try Files.copy(keys + "/coordinator.public", to: folder / "own/coordinator.public")
    try Files.copy(folder / "own/tuba.public", to: keys + "/allowed/tuba.public")
    try Program.start("coordinator", coordinator("--await", "1")) { coordinator in
      let worker = try Program.run("worker", worker(folder / "own"))
      #expect(worker.code == 0, "\(worker.errors)")
      let ending = try coordinator.wait()
      #expect(ending.code == 0 && ending.errors.contains("(key tuba)"), "\(ending.errors)")
    }
  }
}
