import Cluster
import Foundation
import Testing

/// A small run of a coordinator and one worker, with a proxy between them and one fault.
final class ChaosRun {
  /// What the fault has cost.
  struct Cost {
    /// Lanes computed again, as the coordinator says.
    let lanes: Int
    /// From the fault to the next step or validation in the log.
    let seconds: Double
  }

  private let cell: ChaosTests.Cell
  private let kind: MessageKind?
  private let subject: Subject
  private let folder: TemporaryFolder
  private let run: String
  private let address = "tcp://127.0.0.1:\(RawConnection.freePort())"
  private let proxy: Proxy
  private var struckAt = ContinuousClock.now
  private var stepsBefore = 0
  private var pauseFile: String { folder / "pause" }

  /// - Parameter kind: the message to harm, if not the one that the cell's phase has
  init(_ cell: ChaosTests.Cell, kind: MessageKind? = nil) throws {
    self.cell = cell
    self.kind = kind ?? cell.phase.message(from: cell.side)
    subject = try Subject.shared.get()
    folder = try TemporaryFolder()
    run = folder / "run"
    proxy = Proxy(to: address)
  }

  /// The undisturbed run.
  struct Subject {
    static let shared = Result { try Subject() }
    static let steps = 6
    static let lanes = 4

    let folder: TemporaryFolder
    let store: String
    let last, best: Data

    private init() throws {
      folder = try TemporaryFolder()
      store = try Material.get().store
      try Files.write(
        """
        model: {network: mlp, widths: [256, 64], poolFrames: 100}
        training:
          {lanes: \(Self.lanes), clipsPerLane: 1, maxSteps: \(Self.steps), validateEvery: 3 steps,
          checkpointEvery: 2 steps, keepCheckpoints: 2}
        """, to: folder / "chaos.yaml")
      let run = folder / "run"
      let ending = try Program.run(
        "coordinator",
        Self.training(run, folder, store) + ["--workers", "1", "--threads", "1"])
      guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
      last = try Files.bytes(run + "/last.safetensors")
      best = try Files.bytes(run + "/best.safetensors")
    }

    static func training(_ run: String, _ folder: TemporaryFolder, _ store: String) -> [String] {
      ["--config", folder / "chaos.yaml", "--data", store, "--run", run]
    }

    func training(_ run: String) -> [String] { Self.training(run, folder, store) }
  }

  // MARK: The run

  /// Runs with the fault to the end, and expects what the undisturbed run has left.
  @discardableResult
  func expectSameBytes() throws -> Cost {
    try Program.start("worker", worker(proxy.address)) { worker in
      try Program.start("coordinator", subject.training(run) + crew, environment: pause) {
        coordinator in
        arm(worker, coordinator)
        return try proxy.serve {
          try strike(worker, coordinator)
          return try finish(worker, coordinator)
        }
      }
    }
  }

  private func worker(_ address: String) -> [String] {
    ["--connect", address, "--data", subject.store, "--threads", "1"]
  }

  /// Only a run that waits for another worker has one that waits.
  private var crew: [String] {
    ["--bind", address, "--silence", "1", "--await", cell.phase == .waiting ? "2" : "1"]
  }

  /// A checkpoint takes as long as a test wants: the coordinator stands still before its flushing.
  private var pause: [String: String] {
    guard cell.phase == .checkpointing else { return [:] }
    return CrashPoint.preloading(under: run + "/checkpoints").merging([
      "TUTTI_PAUSE_CALL": "fsync", "TUTTI_PAUSE_AT": "1", "TUTTI_PAUSE_FILE": pauseFile,
    ]) { _, new in new }
  }

  // MARK: The fault

  private var harm: Proxy.Harm? {
    switch cell.fault {
    case .kill, .stop: nil
    case .cut: .cut
    // Longer than the coordinator bears, shorter than a worker does.
    case .delay: .delay(.milliseconds(1600))
    case .duplicate: .duplicate
    case .drop: .drop
    case .reorder: .reorder
    case .garbage: .garbage
    }
  }

  /// What the proxy is to do when the phase comes; the second time for those that come often.
  private func arm(_ worker: Program, _ coordinator: Program) {
    if let harm, let kind, kind != .heartbeat {
      proxy.arm(
        Proxy.Strike(sender: cell.side, kind: kind, spared: spared(kind), harm: harm))
    } else if harm == nil, let (sender, kind) = cell.phase.beginning {
      let process = cell.side == .worker ? worker.processID : coordinator.processID
      let fault = cell.fault
      proxy.arm(
        Proxy.Strike(
          sender: sender, kind: kind, spared: spared(kind), isLastChunk: false,
          harm: .act { Self.hit(process, fault, $0) }))
    }
  }

  private func spared(_ kind: MessageKind) -> Int {
    [.compute, .timing, .partial, .parameters].contains(kind) ? 1 : 0
  }

  private static func hit(_ process: pid_t, _ fault: ChaosTests.Fault, _ proxy: Proxy) {
    Glibc.kill(process, fault == .kill ? SIGKILL : SIGSTOP)
    // A process takes its connections along.
    if fault == .kill { proxy.cut() }
  }

  /// Waits until the fault has happened; brings it about where the proxy does not.
  private func strike(_ worker: Program, _ coordinator: Program) throws {
    switch cell.phase {
    case .waiting:
      try coordinator.wait(for: "one of two") { coordinator.errors.contains("(1 of 2)") }
    case .checkpointing:
      try coordinator.wait(for: "a checkpoint") { Files.exists(pauseFile) }
    default: break
    }
    if let harm, kind == .heartbeat {
      proxy.arm(Proxy.Strike(sender: cell.side, kind: .heartbeat, harm: harm))
    } else if harm == nil, cell.phase.beginning == nil {
      struckAt = .now
      stepsBefore = progress
      Self.hit(
        cell.side == .worker ? worker.processID : coordinator.processID, cell.fault, proxy)
      return
    }
    let side = cell.side == .worker ? worker : coordinator
    try side.wait(for: "the fault", whileAlive: false) { !proxy.struck.isEmpty }
    struckAt = proxy.struck[0]
    stepsBefore = progress
  }

  // MARK: What comes after it

  private func finish(_ worker: Program, _ coordinator: Program) throws -> Cost {
    switch (cell.fault, cell.side) {
    case (.kill, .worker):
      return try Program.start("worker", self.worker(proxy.address)) { another in
        resume()
        return try end(coordinator, another)
      }
    case (.kill, .coordinator):
      #expect(try coordinator.wait().signal == SIGKILL)
      return try Program.start("coordinator", ["--resume", run] + crew) { another in
        try end(another, worker)
      }
    case (.stop, .worker):
      // In the midst of a checkpoint the coordinator says it afterwards.
      if cell.phase == .checkpointing { usleep(1_600_000) }
      resume()
      try coordinator.wait(for: "the loss") {
        try metrics(run, "crew").contains { $0["event"] as? String == "death" }
      }
      worker.signal(SIGCONT)
    case (.stop, .coordinator):
      try worker.wait(for: "the loss") { worker.errors.contains(" is lost: ") }
      coordinator.signal(SIGCONT)
    default: break
    }
    resume()
    return try end(coordinator, worker)
  }

  /// Lets a checkpoint go on that stands still.
  private func resume() { unlink(pauseFile) }

  private func end(_ coordinator: Program, _ worker: Program) throws -> Cost {
    guard cell.phase == .waiting else { return try judge(coordinator, worker, []) }
    let second = Proxy(to: address)
    return try Program.start("worker", self.worker(second.address)) { _ in
      // This one has all the time: the other may be coming back.
      try second.serve { try judge(coordinator, nil, [second]) }
    }
  }

  private func judge(
    _ coordinator: Program, _ worker: Program?, _ others: [Proxy]
  ) throws -> Cost {
    var recovered: ContinuousClock.Instant?
    try coordinator.wait(for: "its end", whileAlive: false) {
      if recovered == nil, progress > stepsBefore { recovered = .now }
      return coordinator.hasEnded
    }
    let ending = try coordinator.wait()
    #expect(ending.code == 0, "\(cell.testDescription): \(ending.errors)")
    if let worker {
      let ending = try worker.wait()
      #expect(ending.code == 0, "\(cell.testDescription): \(ending.errors)")
    }
    #expect(try Files.bytes(run + "/last.safetensors") == subject.last)
    #expect(try Files.bytes(run + "/best.safetensors") == subject.best)
    #expect(
      try metrics(run, "step").map { $0["step"] as? Int } == Array(1...Subject.steps))
    let ordered = ([proxy] + others).map(\.lanesOrdered).reduce(0, +)
    return Cost(
      lanes: ordered - Subject.lanes * Subject.steps,
      seconds: ((recovered ?? .now) - struckAt) / .seconds(1))
  }

  /// Steps and validations in the log.
  private var progress: Int {
    ["step", "validation"].map { (try? metrics(run, $0).count) ?? 0 }.reduce(0, +)
  }
}
