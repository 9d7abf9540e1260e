import Foundation
import Testing

/// Workers without data, as processes: they get them from the coordinator, and the run leaves the same bytes.
@Suite("Delivery")
struct DeliveryTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  let port = RawConnection.freePort()
  var worker: [String] { ["--connect", "tcp://127.0.0.1:\(port)", "--threads", "1"] }

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  private func cache(_ name: String) -> [String: String] { ["XDG_CACHE_HOME": folder / name] }

  /// The copy's block files below a cache folder, by their names.
  private func blocks(_ name: String) throws -> [String] {
    let stores = folder / "\(name)/tutti/stores"
    let copy = try #require(try FileManager.default.contentsOfDirectory(atPath: stores).first)
    return try FileManager.default.contentsOfDirectory(atPath: "\(stores)/\(copy)")
      .filter { $0.hasPrefix("block-") }.sorted().map { "\(stores)/\(copy)/\($0)" }
  }

  private func expectReference(_ ending: Program.Ending) throws {
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
  }

  @Test("workers are killed and their copies damaged: others go on with them")
  func killedAndDamaged() throws {
    let training = material.training(
      run, "--bind", "tcp://127.0.0.1:\(port)", "--await", "2", "--delivery-rate", "40MB")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker, environment: cache("a")) { first in
        try Program.start("worker", worker, environment: cache("b")) { second in
          try coordinator.wait(for: "step 4") { try metrics(run, "step").count >= 4 }
          for worker in [first, second] { worker.signal(SIGKILL) }
          for worker in [first, second] { _ = try worker.wait() }
        }
      }
      for block in try blocks("a") {
        var bytes = try Files.bytes(block)
        for offset in stride(from: 1000, to: bytes.count, by: 400_000) { bytes[offset] ^= 1 }
        try Files.write(bytes, to: block)
      }
      try Program.start("worker", worker, environment: cache("a")) { third in
        try expectReference(coordinator.wait())
        let ending = try third.wait()
        #expect(ending.code == 0, "\(ending.errors)")
        #expect(
          ending.errors.contains("data from the coordinator: 40 clips, ")
            && ending.errors.contains("going on with"), "\(ending.errors)")
      }
    }
    let words = try metrics(run, "crew").filter { $0["event"] as? String == "delivery" }
    #expect(words.count { $0["worker"] != nil } == 3)
    // Whoever has a clip does not get it again, and who has lost some does.
    let given = try #require(words.last?["bytes"] as? Int)
    #expect(given > 40 * 262_272 && given < 3 * 40 * 262_272, "\(given)")
  }

  @Test("a worker that waits for its clips leaves when it is told to, without them")
  func leaves() throws {
    let training = material.training(
      run, "--bind", "tcp://127.0.0.1:\(port)", "--await", "1", "--delivery-rate", "20KB")
    func happened(_ event: String) throws -> Bool {
      try metrics(run, "crew").contains { $0["event"] as? String == event }
    }
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker, environment: cache("a")) { worker in
        try coordinator.wait(for: "a worker") { try happened("join") }
        worker.signal(SIGTERM)
        #expect(try worker.wait().code == 130)
      }
      try coordinator.wait(for: "its leave") { try happened("leave") }
      coordinator.signal(SIGTERM)
      _ = try coordinator.wait()
    }
    // It holds all lanes of the step, with four clips.
    let words = try metrics(run, "crew").filter { $0["event"] as? String == "delivery" }
    let given = try #require(words.last?["bytes"] as? Int)
    #expect(given < 3 * 262_272, "\(given)")
  }

  @Test("a cache on a full disk is no reason to stop", .enabled(if: SmallDisk.canBeMade))
  func fullDisk() throws {
    let disk = try SmallDisk(kilobytes: 1200)
    let training = material.training(run, "--bind", "tcp://127.0.0.1:\(port)", "--await", "1")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker + ["--cache", disk.path + "/copies"]) { worker in
        try expectReference(coordinator.wait())
        let ending = try worker.wait()
        #expect(ending.code == 0, "\(ending.errors)")
        #expect(ending.errors.contains("not all clips are kept"), "\(ending.errors)")
      }
    }
  }

  @Test(
    "flags that make no sense are refused",
    arguments: [
      (["--cache-limit", "much"], 64, "--cache-limit"),
      (["--cache-limit", "0.0000001MB"], 64, "--cache-limit"),
      (["--cache", "/proc/nowhere"], 69, "cannot make the folder /proc/nowhere"),
    ])
  func refused(flags: [String], code: Int32, words: String) throws {
    let ending = try Program.run("worker", worker + flags)
    #expect(ending.code == code && ending.errors.contains(words), "\(ending.errors)")
  }
}
