import Foundation
import Testing

/// The coordinator is killed at every call that changes something in its run's folder, one after the
/// other, and each time the run goes on to the same bytes.
///
/// Enumerated, not sampled: the first process does not live to make its first call, the next not its
/// second, until one comes to the end. `CCrash` counts the calls and sends the signal.
@Suite("Crash points")
struct CrashPointTests {
  let folder: TemporaryFolder
  let subject: Subject

  init() throws {
    folder = try TemporaryFolder()
    subject = try Subject.shared.get()
  }

  /// A run of three steps with a validation, and so a checkpoint, at each: the first and the last are
  /// the best ones, and only the newest is kept besides the best. A few numbers as a model keep it short.
  struct Subject {
    static let shared = Result { try Subject() }

    let folder: TemporaryFolder
    let store: String
    let last, best: Data
    /// What the whole run calls, by name and path below its folder.
    let calls: [(name: String, path: String)]

    private init() throws {
      folder = try TemporaryFolder()
      store = try Material.get().store
      let run = folder / "run"
      // Which validations are the best is the seed's doing.
      for seed in 1... {
        try Files.write(
          """
          model: {network: mlp, widths: [3, 3], poolFrames: 683}
          training:
            {lanes: 2, clipsPerLane: 1, maxSteps: 3, validateEvery: 1 step, checkpointEvery: 1 step,
            keepCheckpoints: 1, seed: \(seed)}
          """, to: folder / "crash.yaml")
        let ending = try Program.run(
          "coordinator", Self.training(run, folder, store),
          environment: CrashPoint.logging(to: folder / "calls", under: run))
        guard ending.code == 0 && seed < 30 else {
          throw Program.Failure(description: ending.errors)
        }
        let bestSteps = try metrics(run, "validation").compactMap {
          $0["best"] as? Bool == true ? $0["step"] as? Int : nil
        }
        if bestSteps == [1, 3] { break }
        for path in [run, folder / "calls"] { try FileManager.default.removeItem(atPath: path) }
      }
      last = try Files.bytes(run + "/last.safetensors")
      best = try Files.bytes(run + "/best.safetensors")
      calls = try CrashPoint.calls(in: folder / "calls", under: run)
    }

    static func training(_ run: String, _ folder: TemporaryFolder, _ store: String) -> [String] {
      [
        "--config", folder / "crash.yaml", "--data", store, "--run", run, "--workers", "1",
        "--threads", "1",
      ]
    }

    func training(_ run: String) -> [String] { Self.training(run, folder, store) }

    /// Goes on with a run, or begins it again if it had not begun, and expects the same end.
    func expectEnd(of run: String, after what: String) throws {
      let hasBegun = Files.exists(run + "/config.yaml")
      if !hasBegun && Files.exists(run) {
        let refused = try Program.run("coordinator", ["--resume", run, "--workers", "1"])
        #expect(refused.code == 65 && refused.lastError.contains("is not a run"), "\(what)")
      }
      let ending = try Program.run(
        "coordinator",
        hasBegun ? ["--resume", run, "--workers", "1", "--threads", "1"] : training(run))
      #expect(ending.code == 0, "\(what): \(ending.errors)")
      #expect(try Files.bytes(run + "/last.safetensors") == last, "\(what)")
      #expect(try Files.bytes(run + "/best.safetensors") == best, "\(what)")
      #expect(try metrics(run, "step").map { $0["step"] as? Int } == [1, 2, 3], "\(what)")
      #expect(try metrics(run, "end").count == 1, "\(what)")
      let leftovers = try Files.names(in: run) + Files.names(in: run + "/checkpoints")
      #expect(!leftovers.contains { $0.contains(".partial-") }, "\(what): \(leftovers)")
    }
  }

  /// How many tests share the points, side by side.
  static let shares = 4
  @Test(
    "killed before any call on its files, a run goes on to the same bytes", arguments: 0..<shares)
  func killed(share: Int) throws {
    for call in stride(from: share + 1, through: subject.calls.count + Self.shares, by: Self.shares)
    {
      let run = folder / "run-\(call)"
      let ending = try Program.run(
        "coordinator", subject.training(run),
        environment: CrashPoint(call: call).environment(under: run))
      let what = "killed at \(point(call))"
      guard ending.signal == SIGKILL else {
        // As many calls as the undisturbed run, and no more.
        #expect(ending.code == 0 && call > subject.calls.count, "\(what): \(ending.errors)")
        continue
      }
      try subject.expectEnd(of: run, after: what)
      try FileManager.default.removeItem(atPath: run)
    }
  }

  @Test("killed in the midst of a write, a run goes on to the same bytes", arguments: 0..<shares)
  func torn(share: Int) throws {
    let writes = subject.calls.indices.filter { index in
      guard subject.calls[index].name.hasSuffix("write") else { return false }
      let path = subject.calls[index].path
      let isInner =
        path.contains(".partial-") && index > 0 && index + 1 < subject.calls.count
        && subject.calls[index - 1].path == path && subject.calls[index + 1].name != "fsync"
        && subject.calls[index - 1].name != "open"
      // By default those where half of a write could be taken for a whole one.
      return Asked.forEveryWrite || !isInner
    }
    for index in writes where index % Self.shares == share {
      let run = folder / "run-\(index)"
      let ending = try Program.run(
        "coordinator", subject.training(run),
        environment: CrashPoint(call: index + 1, tears: true).environment(under: run))
      #expect(ending.signal == SIGKILL, "\(ending.errors)")
      try subject.expectEnd(of: run, after: "killed in the midst of \(point(index + 1))")
      try FileManager.default.removeItem(atPath: run)
    }
  }

  @Test("a run that was killed is resumed, and killed at any call of that", arguments: 0..<shares)
  func killedAgain(share: Int) throws {
    // The third checkpoint is there, the links do not point to it yet, the log is ahead of it.
    let place = subject.calls.lastIndex {
      $0.name == "link" && $0.path.hasPrefix("/.last")
    }
    let call = try #require(place) + 1
    let first = folder / "first"
    let ending = try Program.run(
      "coordinator", subject.training(first),
      environment: CrashPoint(call: call).environment(under: first))
    #expect(ending.signal == SIGKILL)
    let log = try FileHandle(forWritingTo: URL(fileURLWithPath: first + "/metrics.jsonl"))
    try log.seekToEnd()
    try log.write(contentsOf: Data(#"{"kind":"step","step":4}"#.utf8 + [10] + #"{"kind":"st"#.utf8))
    try log.close()

    var call2 = share + 1
    while true {
      let run = folder / "run-\(call2)"
      try Files.copy(first, to: run)
      let ending = try Program.run(
        "coordinator", ["--resume", run, "--workers", "1", "--threads", "1"],
        environment: CrashPoint(call: call2).environment(under: run))
      guard ending.signal == SIGKILL else {
        #expect(ending.code == 0, "\(ending.errors)")
        break
      }
      try subject.expectEnd(of: run, after: "resumed, and killed at call \(call2)")
      try FileManager.default.removeItem(atPath: run)
      call2 += Self.shares
    }
    #expect(call2 > 20)
  }

  private func point(_ call: Int) -> String {
    guard subject.calls.indices.contains(call - 1) else { return "call \(call)" }
    return "call \(call), \(subject.calls[call - 1].name) \(subject.calls[call - 1].path)"
  }
}

/// A call on files that a program does not live to make; see `CCrash`.
struct CrashPoint {
  /// From 1.
  let call: Int
  /// Whether a write leaves half of its bytes.
  var tears = false

  func environment(under folder: String) -> [String: String] {
    var environment = Self.preloading(under: folder)
    environment["TUTTI_CRASH_AT"] = String(call)
    if tears { environment["TUTTI_CRASH_TORN"] = "1" }
    return environment
  }

  /// Calls the library that counts calls under `folder`, and does nothing more.
  static func preloading(under folder: String) -> [String: String] {
    [
      "LD_PRELOAD": Program.folder.appendingPathComponent("libCCrash.so").path,
      "TUTTI_CRASH_UNDER": folder,
    ]
  }

  static func logging(to file: String, under folder: String) -> [String: String] {
    preloading(under: folder).merging(["TUTTI_CRASH_LOG": file]) { _, new in new }
  }

  static func calls(in log: String, under folder: String) throws -> [(name: String, path: String)] {
    String(decoding: try Files.bytes(log), as: UTF8.self).split(separator: "\n").map { line in
      let words = line.split(separator: " ", maxSplits: 2)
      return (String(words[1]), String(words[2].dropFirst(folder.count)))
    }
  }
}
