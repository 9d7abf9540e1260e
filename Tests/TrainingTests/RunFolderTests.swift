import Foundation
import Testing
import Training

@Suite struct RunFolderTests {
  let folder: TemporaryFolder
  var path: String { folder / "run" }

  init() throws { folder = try TemporaryFolder() }

  func create(_ fileSystem: FileSystem = .real) throws -> RunFolder {
    try RunFolder.create(path, configuration: Configuration(), fileSystem: fileSystem)
  }

  /// Writes a checkpoint that holds nothing but its step.
  @discardableResult
  func checkpoint(_ run: RunFolder, _ step: Int, best: Bool = false, keep: Int = 2) throws
    -> [String]
  {
    try run.writeCheckpoint(
      step: step, isBest: best, keep: keep, tensors: [SafetensorsTensor("w", shape: [4])],
      metadata: ["term": "1"]
    ) { try $0.append([Float](repeating: Float(step), count: 4)) }
  }

  func damage(_ path: String) throws {
    let url = URL(fileURLWithPath: path)
    var data = try Data(contentsOf: url)
    data[data.count - 1] ^= 1
    // In place, so that links to the file are damaged with it.
    let handle = try FileHandle(forWritingTo: url)
    try handle.write(contentsOf: data)
    try handle.close()
  }

  func step(at path: String) throws -> Int {
    let file = try SafetensorsFile(path: path)
    try file.verify()
    let weights: [Float] = try file.read("w")
    #expect(weights[0] == Float(try #require(file.step)))
    return Int(weights[0])
  }

  func names(_ name: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path + name).sorted()
  }

  @Test("a new run has its resolved configuration, and resuming reads it")
  func newRun() throws {
    var configuration = Configuration(network: .k2c1)
    configuration.training.seed = 5
    do {
      let run = try RunFolder.create(folder / "a/b/run", configuration: configuration)
      #expect(try run.newestCheckpoint() == nil)
    }
    let run = try RunFolder.resume(folder / "a/b/run")
    #expect(try run.configuration() == configuration)
    #expect(try run.configuration(overrides: ["training.epochs=3"]).training.epochs == 3)
  }

  @Test("a run without a name is named by the date, and a second one in the same second too")
  func defaultNames() throws {
    let now = Date(timeIntervalSince1970: 1_772_366_405)
    let runs = folder / "runs"
    let first = try RunFolder.create(nil, configuration: Configuration(), runs: runs, now: now)
    let second = try RunFolder.create(nil, configuration: Configuration(), runs: runs, now: now)
    #expect(first.path == runs + "/2026-03-01-120005")
    #expect(second.path == runs + "/2026-03-01-120005-2")
  }

  @Test("an existing run is not overwritten, and the way out is named")
  func exists() throws {
    _ = try create()
    let error = try #require(throws: RunError.self) { _ = try create() }
    #expect(error.code == .exists)
    #expect(
      error.description == "\(path) holds a run already; continue it with --resume \(path), "
        + "or give --run another name")
  }

  @Test("a folder with other things in it is not touched")
  func occupied() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    try Data().write(to: URL(fileURLWithPath: path + "/thesis.tex"))
    let error = try #require(throws: RunError.self) { _ = try create() }
    #expect(error.code == .exists && error.detail.contains("is not empty"))
    #expect(try names() == ["thesis.tex"])
  }

  @Test("what is not a run is not resumed", arguments: ["missing", "."])
  func notARun(name: String) throws {
    let error = try #require(throws: RunError.self) { _ = try RunFolder.resume(folder / name) }
    #expect(error.code == .notARun)
    #expect(error.description.contains("has no config.yaml"))
  }

  @Test("a file in the way is an error with its path")
  func fileInTheWay() throws {
    try Data().write(to: URL(fileURLWithPath: path))
    #expect(throws: FileError.self) { _ = try create() }
    #expect(throws: FileError("create", path: path + "/run", errno: ENOTDIR)) {
      _ = try RunFolder.create(path + "/run", configuration: Configuration())
    }
  }

  @Test("two coordinators cannot write to one run")
  func lock() throws {
    let run = try create()
    let error = try #require(throws: RunError.self) { _ = try RunFolder.resume(path) }
    #expect(error.code == .inUse)
    #expect(error.description.contains("process \(getpid())"))
    try checkpoint(run, 1)
  }

  @Test("the lock goes with its holder")
  func lockGoes() throws {
    do { _ = try create() }
    do { _ = try RunFolder.resume(path) }
    _ = try RunFolder.resume(path)
  }

  @Test("last and best point to their checkpoints")
  func links() throws {
    let run = try create()
    try checkpoint(run, 10, best: true)
    try checkpoint(run, 20)
    #expect(try step(at: run.lastPath) == 20)
    #expect(try step(at: run.bestPath) == 10)
    #expect(
      try names() == [
        ".lock", "best.safetensors", "checkpoints", "config.yaml", "last.safetensors",
      ])
    #expect(try names("/checkpoints") == ["step-0000010.safetensors", "step-0000020.safetensors"])
  }

  @Test("the newest checkpoints stay, and the best one however old")
  func retention() throws {
    let run = try create()
    for step in 1...9 {
      #expect(try checkpoint(run, step * 10, best: step == 2 || step == 4) == [])
    }
    #expect(try run.checkpointSteps() == [90, 80, 40])
    try checkpoint(run, 100, keep: 1)
    #expect(try run.checkpointSteps() == [100, 40])
    try checkpoint(run, 110, best: true, keep: 0)
    #expect(try run.checkpointSteps() == [110])
  }

  @Test("steps are ordered as numbers, and strangers among the checkpoints are left alone")
  func numericOrder() throws {
    let run = try create()
    for name in ["step-5.safetensors", "step-0000001.safetensors.bak", "notes.txt"] {
      try Data().write(to: URL(fileURLWithPath: path + "/checkpoints/" + name))
    }
    for step in [9_999_999, 10_000_000] { try checkpoint(run, step, keep: 5) }
    #expect(try run.checkpointSteps() == [10_000_000, 9_999_999])
    try checkpoint(run, 10_000_001, keep: 1)
    #expect(try names("/checkpoints").count == 4)
    #expect(try run.newestCheckpoint()?.step == 10_000_001)
  }

  @Test("the only readable checkpoint stays, however many damaged ones are newer")
  func onlyReadable() throws {
    do {
      let run = try create()
      for step in [1, 2, 3] { try checkpoint(run, step, keep: 9) }
      for step in [2, 3] { try damage(run.checkpointPath(step: step)) }
    }
    // Written without an error, but not what was given to write: a disk that lies.
    var lying = FileSystem.real
    lying.write = { descriptor, bytes, offset in
      var copy = [UInt8](bytes)
      if copy.count == 16 { copy[3] ^= 1 }
      try copy.withUnsafeBytes { try FileSystem.real.write(descriptor, $0, offset) }
    }
    let warnings = try checkpoint(RunFolder.resume(path, fileSystem: lying), 4, keep: 1)
    #expect(warnings.count == 3)
    #expect(warnings.allSatisfy { $0.contains("is damaged") })
    let again = try RunFolder.resume(path)
    #expect(try again.checkpointSteps() == [4, 1])
    #expect(try again.newestCheckpoint()?.step == 1)
  }

  @Test("the newest checkpoint is found; damaged ones are passed over loudly")
  func fallBack() throws {
    let run = try create()
    for step in [10, 20, 30] { try checkpoint(run, step, best: step == 10, keep: 9) }
    let newest = try #require(try run.newestCheckpoint())
    #expect(newest.step == 30 && newest.warnings == [])
    #expect(newest.file.metadata["term"] == "1")

    try damage(run.checkpointPath(step: 30))
    let second = try #require(try run.newestCheckpoint())
    #expect(second.step == 20 && second.warnings.count == 1)
    #expect(second.warnings[0].contains("step-0000030.safetensors is damaged: its checksum"))
    #expect(second.warnings[0].hasSuffix("falling back to the checkpoint before"))

    #expect(truncate(run.checkpointPath(step: 20), 100) == 0)
    let third = try #require(try run.newestCheckpoint())
    #expect(third.step == 10 && third.warnings.count == 2)

    try damage(run.checkpointPath(step: 10))
    let error = try #require(throws: RunError.self) { _ = try run.newestCheckpoint() }
    #expect(error.code == .noReadableCheckpoint)
    #expect(error.description.split(separator: ";").count == 5)
  }

  @Test("last and best serve where the checkpoints are gone")
  func onlyLinks() throws {
    let run = try create()
    try checkpoint(run, 10, best: true)
    try checkpoint(run, 20)
    try FileManager.default.removeItem(atPath: path + "/checkpoints")
    try FileManager.default.createDirectory(
      atPath: path + "/checkpoints", withIntermediateDirectories: false)
    #expect(try run.newestCheckpoint()?.step == 20)
    try FileManager.default.removeItem(atPath: run.lastPath)
    #expect(try run.newestCheckpoint()?.step == 10)
  }

  @Test("a checkpoint under another step's name is not taken for it")
  func renamed() throws {
    let run = try create()
    try checkpoint(run, 10)
    try AtomicFile.link(run.checkpointPath(step: 10), as: run.checkpointPath(step: 20))
    let found = try #require(try run.newestCheckpoint())
    #expect(found.step == 10)
    #expect(found.warnings.count == 1 && found.warnings[0].contains("says step 10"))
  }

  @Test("links that a crash or a fall-back left behind are set right")
  func repair() throws {
    let run = try create()
    try checkpoint(run, 10, best: true, keep: 9)
    try checkpoint(run, 20, best: true, keep: 9)
    #expect(try run.repairLinks(last: 20, best: 20) == [])
    #expect(try run.repairLinks(last: 10, best: 10) == [])
    #expect(try step(at: run.lastPath) == 10 && step(at: run.bestPath) == 10)
    #expect(try run.repairLinks(last: 10, best: nil) == [])
    #expect(try step(at: run.bestPath) == 10)
    let warnings = try run.repairLinks(last: 20, best: 15)
    #expect(warnings.count == 1 && warnings[0].contains("checkpoint of step 15"))
    #expect(try step(at: run.lastPath) == 20)
  }

  @Test("where links are not possible, last and best are copies")
  func copies() throws {
    var linkless = FileSystem.real
    linkless.link = { _, _ in throw FileSystem.Failure(errno: EOPNOTSUPP) }
    let run = try create(linkless)
    try checkpoint(run, 10, best: true, keep: 1)
    for step in [20, 30] { try checkpoint(run, step, keep: 1) }
    #expect(try run.checkpointSteps() == [30, 10])
    #expect(try step(at: run.lastPath) == 30 && step(at: run.bestPath) == 10)
  }

  /// The calls that one checkpoint makes, counted on a run of its own.
  static let callsOfACheckpoint: [String] = {
    let tests = try! RunFolderTests()
    _ = try! tests.twoCheckpoints()
    let counting = FailingFileSystem()
    try! tests.checkpoint(
      RunFolder.resume(tests.path, fileSystem: counting.fileSystem), 30, best: true)
    return counting.names
  }()

  func twoCheckpoints() throws {
    let run = try create()
    try checkpoint(run, 10, best: true)
    try checkpoint(run, 20)
  }

  @Test(
    "a crash at any call of a checkpoint leaves a run to resume",
    arguments: callsOfACheckpoint.indices)
  func crashes(call: Int) throws {
    try twoCheckpoints()
    let crashing = FailingFileSystem(failAt: call, mode: .crash)
    let calls = Self.callsOfACheckpoint
    do {
      let run = try RunFolder.resume(path, fileSystem: crashing.fileSystem)
      #expect(throws: FailingFileSystem.Crash.self) { try checkpoint(run, 30, best: true) }
    }
    #expect(crashing.names == Array(calls[...call]))
    let renamed = calls[..<call].contains("rename")

    let run = try RunFolder.resume(path)
    let found = try #require(try run.newestCheckpoint())
    #expect(found.warnings == [])
    #expect(found.step == (renamed ? 30 : 20))
    #expect(try run.repairLinks(last: found.step, best: renamed ? 30 : 10) == [])
    #expect(try step(at: run.lastPath) == found.step)
    #expect(try step(at: run.bestPath) == (renamed ? 30 : 10))
    // The same steps again, and nothing is left of the crash.
    try checkpoint(run, 30, best: true)
    #expect(try run.checkpointSteps() == [30, 20])
    #expect(try names("/checkpoints").count == 2)
    #expect(try names().count == 5)
  }

  @Test("a full disk leaves the checkpoints as they were", .enabled(if: FullDisk.isPossible))
  func fullDisk() throws {
    let disk = try FullDisk(at: folder.path)
    defer { disk.unmount() }
    let run = try create()
    try checkpoint(run, 10, best: true)
    let error = try #require(throws: FileError.self) {
      _ = try run.writeCheckpoint(
        step: 20, isBest: true, keep: 1, tensors: [SafetensorsTensor("w", shape: [100_000])],
        metadata: [:]
      ) { try $0.append([Float](repeating: 0, count: 100_000)) }
    }
    #expect(error.errno == ENOSPC && error.path == run.checkpointPath(step: 20))
    #expect(try run.checkpointSteps() == [10])
    #expect(try step(at: run.bestPath) == 10 && step(at: run.lastPath) == 10)
    #expect(try names("/checkpoints").count == 1)
  }

  @Test("the log goes on after the checkpoint's step")
  func log() throws {
    do {
      let log = try create().log(after: 0)
      for step in 1...5 { try log.append(LogRecord("step", step: step)) }
    }
    let run = try RunFolder.resume(path)
    try run.log(after: 3).append(LogRecord("step", step: 4))
    let text = try String(contentsOfFile: run.logPath, encoding: .utf8)
    #expect(text.split(separator: "\n").count == 4)
  }
}
