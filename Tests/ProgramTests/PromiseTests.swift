import Foundation
import Testing

/// The result of a run is a function of configuration, store and seed, and of nothing else.
@Suite("The promise")
struct PromiseTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  @Test(
    "any number of workers and threads leaves the same bytes",
    arguments: [(1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (5, 1)])
  func workersAndThreads(workers: Int, threads: Int) throws {
    let ending = try Program.run(
      "coordinator", material.training(run, "--workers", "\(workers)", "--threads", "\(threads)"))
    #expect(ending.code == 0, "\(ending.errors)")
    try expectReference()
    // The fifth worker has no lane left.
    #expect(ending.errors.contains("stands by") == (workers > Material.lanes))
  }

  @Test("another seed leaves other bytes")
  func seed() throws {
    let ending = try Program.run(
      "coordinator", material.training(run, "--workers", "1", "--set", "training.seed=1"))
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(try digest(run + "/last.safetensors") != material.reference.last)
  }

  @Test(
    "lanes rounded on their way leave other bytes, whatever the workers, and stay what they are")
  func wire() throws {
    let others = [1, 3, 4].map { (workers: $0, run: folder / "\($0)") }
    for (workers, run) in others {
      let ending = try Program.run(
        "coordinator",
        material.training(run, "--workers", "\(workers)", "--threads", "1", "--wire", "bf16"))
      #expect(ending.code == 0, "\(ending.errors)")
    }
    let digests = try others.map { try digest($0.run + "/last.safetensors") }
    #expect(Set(digests).count == 1 && digests[0] != material.reference.last)
    let other = try Program.run(
      "coordinator", material.resuming(folder / "1", "--workers", "1", "--wire", "fp16"))
    #expect(other.code == 65)
    #expect(other.lastError.contains("training.wire"), "\(other.errors)")
  }

  @Test(
    "how vectors travel leaves the same bytes",
    arguments: [("sharded", 2), ("sharded", 4), ("sharded", 5), ("auto", 4)])
  func topologies(topology: String, workers: Int) throws {
    let ending = try Program.run(
      "coordinator",
      material.training(
        run, "--workers", "\(workers)", "--threads", "1", "--topology", topology))
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(!ending.errors.contains("through the coordinator from now on"), "\(ending.errors)")
    try expectReference()
  }

  @Test(
    "a coordinator killed in an epoch leaves no worker, and its run goes on to the same bytes",
    arguments: [(1, 3), (2, 1), (3, 2)])
  func killedCoordinator(before: Int, after: Int) throws {
    try Program.start("coordinator", material.training(run, "--workers", "\(before)")) {
      coordinator in
      try waitForStep(10, of: coordinator)
      coordinator.signal(SIGKILL)
      #expect(try coordinator.wait().signal == SIGKILL)
      try coordinator.wait(for: "its workers to leave", whileAlive: false) {
        coordinator.family.isEmpty
      }
      #expect(!coordinator.errors.contains("worker: "), "\(coordinator.errors)")
    }
    try resume(workers: after)
  }

  @Test(
    "an interrupted coordinator saves and says so; its run goes on to the same bytes",
    arguments: [SIGINT, SIGTERM, SIGHUP], [1, 2])
  func interrupted(signal: Int32, workers: Int) throws {
    try Program.start("coordinator", material.training(run, "--workers", "\(workers)")) {
      coordinator in
      try waitForStep(5, of: coordinator)
      coordinator.signal(signal)
      let ending = try coordinator.wait()
      #expect(ending.code == 130)
      #expect(ending.errors.contains("state saved after step "))
      #expect(ending.errors.contains("--resume \(run)"))
      #expect(ending.lastError.hasPrefix("coordinator: interrupted by "))
      #expect(!ending.errors.contains("worker: "), "\(ending.errors)")
      #expect(coordinator.family.isEmpty)
      #expect(Files.exists(run + "/last.safetensors"))
    }
    try resume(workers: 3 - workers)
  }

  @Test("a coordinator interrupted while it waits for workers ends at once")
  func interruptedWaiting() throws {
    let waiting = material.training(
      run, "--workers", "1", "--bind", "tcp://127.0.0.1:0", "--await", "1")
    try Program.start("coordinator", waiting) { coordinator in
      try coordinator.wait(for: "the local worker") { coordinator.errors.contains("(1 of 2)") }
      coordinator.signal(SIGINT)
      let ending = try coordinator.wait()
      #expect(ending.code == 130)
      #expect(!ending.errors.contains("worker: "), "\(ending.errors)")
    }
    try resume(workers: 1)
  }

  @Test("a damaged checkpoint is passed over, loudly, and the run goes on to the same bytes")
  func damagedCheckpoint() throws {
    try Files.copy(material.reference.run, to: run)
    let newest = run + "/checkpoints/step-0000028.safetensors"
    try Files.flipBit(of: newest, at: -5)
    let ending = try Program.run("coordinator", material.resuming(run, "--workers", "1"))
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(
      ending.errors.split(separator: "\n").contains {
        $0.hasPrefix("warning: ") && $0.contains(newest) && $0.contains("falling back")
      }, "\(ending.errors)")
    #expect(ending.errors.contains("after step 27"))
    try expectReference()
  }

  @Test("a finished run that is resumed stays what it is")
  func finishedRun() throws {
    try Files.copy(material.reference.run, to: run)
    try resume(workers: 1)
  }

  @Test("a run that is made longer ends as if it had been long from the start")
  func longerRun() throws {
    let short = try Program.run(
      "coordinator", material.training(run, "--workers", "1", "--set", "training.epochs=2"))
    #expect(short.code == 0, "\(short.errors)")
    let long = try Program.run(
      "coordinator",
      material.resuming(run, "--workers", "2", "--set", "training.epochs=\(Material.epochs)"))
    #expect(long.code == 0, "\(long.errors)")
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try digest(run + "/best.safetensors") == material.reference.best)
  }

  @Test(
    "a log that is full, closed or read by nobody does not stop the training",
    arguments: ["2>/dev/full", "2>&-", "0<&- 2>&- 1>&-", "2>&1 | head -n 1 >/dev/null"])
  func deadLog(redirection: String) throws {
    let coordinator = Program.folder.appendingPathComponent("coordinator").path
    let arguments = material.training(run, "--workers", "1").map { "'\($0)'" }
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = [
      "-c", "'\(coordinator)' \(arguments.joined(separator: " ")) \(redirection)",
    ]
    try shell.run()
    shell.waitUntilExit()
    // Where the last in a pipe has the status, the bytes tell.
    #expect(shell.terminationStatus == 0)
    try expectReference()
    #expect(try !Files.bytes(run + "/.lock").contains(UInt8(ascii: "\n")))
  }

  @Test("two coordinators cannot write one run")
  func twoCoordinators() throws {
    let waiting = material.training(run, "--bind", "tcp://127.0.0.1:0", "--await", "1")
    try Program.start("coordinator", waiting) { first in
      try first.wait(for: "its run") { first.errors.contains("waiting for 1 worker") }
      let second = try Program.run("coordinator", material.resuming(run, "--workers", "1"))
      #expect(second.code == 69)
      #expect(second.lastError.contains("\(run) is being written by another coordinator"))
      #expect(!first.hasEnded)
    }
  }

  @Test("of two coordinators that go on with a run at once, one does and the other says so")
  func twoResume() throws {
    try Program.start("coordinator", material.training(run, "--workers", "1")) { coordinator in
      try coordinator.wait(for: "a few steps") { try metrics(run, "step").count >= 8 }
      coordinator.signal(SIGKILL)
      _ = try coordinator.wait()
    }
    let resuming = material.resuming(run, "--bind", "tcp://127.0.0.1:0", "--await", "1")
    try Program.start("coordinator", resuming) { first in
      try Program.start("coordinator", resuming) { second in
        while !first.hasEnded && !second.hasEnded { usleep(2_000) }
        let (winner, loser) = first.hasEnded ? (second, first) : (first, second)
        let ending = try loser.wait()
        #expect(ending.code == 69)
        #expect(ending.lastError.contains("is being written by another coordinator"))
        try winner.wait(for: "its port") { winner.errors.contains("waiting for 1 worker at ") }
        let port = try #require(winner.errors.firstMatch(of: /127\.0\.0\.1:(\d+)/)?.1)
        let worker = try Program.run(
          "worker", ["--connect", "tcp://127.0.0.1:\(port)", "--data", material.store])
        #expect(worker.code == 0, "\(worker.errors)")
        let end = try winner.wait()
        #expect(end.code == 0, "\(end.errors)")
      }
    }
    try expectReference()
  }

  @Test(
    "a full disk ends the run; with space again it goes on to the same bytes",
    .enabled(if: SmallDisk.canBeMade, "only root can mount a disk of a hundred kilobytes"))
  func fullDisk() throws {
    let disk = try SmallDisk(kilobytes: 96)
    let run = disk.path + "/run"
    let training = material.training(
      run, "--workers", "1", "--set", "training.keepCheckpoints=1000", "--set",
      "training.checkpointEvery=1 step")
    let ending = try Program.run("coordinator", training)
    #expect(ending.code == 69)
    #expect(ending.lastError.contains(run))
    #expect(ending.lastError.contains("No space left on device; free some space there"))
    let saved = try Program.run("tutti", ["inspect", run])
    #expect(saved.code == 0, "\(saved.errors)")
    #expect(!(try Files.names(in: run + "/checkpoints")).contains { !$0.hasPrefix("step-") })

    try disk.grow(kilobytes: 4096)
    let resumed = try Program.run("coordinator", material.resuming(run, "--workers", "1"))
    #expect(resumed.code == 0, "\(resumed.errors)")
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  // MARK: Steps of these tests

  private func waitForStep(_ count: Int, of coordinator: Program) throws {
    try coordinator.wait(for: "step \(count)") { try metrics(run, "step").count >= count }
  }

  private func resume(workers: Int) throws {
    let ending = try Program.run(
      "coordinator", material.resuming(run, "--workers", "\(workers)"))
    #expect(ending.code == 0, "\(ending.errors)")
    try expectReference()
  }

  /// That the run has come to the reference's end, with every step once in its log.
  private func expectReference() throws {
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try digest(run + "/best.safetensors") == material.reference.best)
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    #expect(
      try metrics(run, "step").map { $0["step"] as? Int } == Array(1...Material.steps))
  }
}
