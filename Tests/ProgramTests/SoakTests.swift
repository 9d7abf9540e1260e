import Cluster
import Foundation
import Testing

/// Random faults against runs, one run after the other, for as long as one likes: `cluster/soak`.
///
/// The seed decides which faults come in which order; when they strike, the machine decides.
@Suite("Soak", .enabled(if: Asked.soakSeconds > 0, "cluster/soak runs it"))
struct SoakTests {
  @Test("whatever happens to processes and messages, the runs leave the same bytes")
  func soak() throws {
    let seed = Asked.soakSeed ?? .random(in: 0..<1 << 32)
    let subject = try SoakSubject()
    var random = Seeded(seed)
    var tally: [String: Int] = [:]
    let end = ContinuousClock.now + .seconds(Asked.soakSeconds)
    var round = 0
    while .now < end {
      round += 1
      let run = try SoakRun(subject, seed: random.next())
      do {
        defer { run.endAll() }
        try run.go()
      }
      for (fault, count) in run.tally { tally[fault, default: 0] += count }
      let faults = run.tally.values.reduce(0, +)
      print(
        "soak: run \(round) ended with the same bytes after \(faults) faults and "
          + "\(run.terms) \(run.terms == 1 ? "term" : "terms") of its coordinator")
    }
    let list = tally.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
    print("soak: \(round) runs, seed \(seed): \(list.joined(separator: ", "))")
  }
}

/// The configuration that is trained over and over, and what it leaves undisturbed.
struct SoakSubject {
  static let lanes = 8
  static let steps = 120
  let folder: TemporaryFolder
  let store: String
  let last, best: Data

  init() throws {
    folder = try TemporaryFolder()
    store = try Material.get().store
    // Vectors in two chunks, lanes that take a while, validations and checkpoints all the time.
    try Files.write(
      """
      model: {network: mlp, widths: [256, 64], poolFrames: 100}
      training:
        {lanes: \(Self.lanes), clipsPerLane: 2, epochs: 100, maxSteps: \(Self.steps),
        validateEvery: 7 steps, patience: null, checkpointEvery: 5 steps, keepCheckpoints: 2}
      """, to: folder / "soak.yaml")
    let run = folder / "run"
    let ending = try Program.run(
      "coordinator",
      Self.training(run, folder, store) + ["--workers", "1", "--threads", "1"])
    guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
    last = try Files.bytes(run + "/last.safetensors")
    best = try Files.bytes(run + "/best.safetensors")
  }

  static func training(_ run: String, _ folder: TemporaryFolder, _ store: String) -> [String] {
    ["--config", folder / "soak.yaml", "--data", store, "--run", run]
  }

  func training(_ run: String) -> [String] { Self.training(run, folder, store) }
}

/// One run under fire: a coordinator with a worker of its own, and up to four others, each behind a proxy.
final class SoakRun {
  private let subject: SoakSubject
  private var random: Seeded
  private let folder: TemporaryFolder
  private let run: String
  private let address = "tcp://127.0.0.1:\(RawConnection.freePort())"
  private var coordinator: Program?
  private var workers: [(program: Program, proxy: Proxy)] = []
  private(set) var tally: [String: Int] = [:]
  private(set) var terms = 0

  private static let mostWorkers = 4

  init(_ subject: SoakSubject, seed: UInt64) throws {
    self.subject = subject
    random = Seeded(seed)
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  func endAll() {
    coordinator?.end()
    while !workers.isEmpty { removeWorker(at: 0) }
  }

  /// Runs to the end, with a fault every now and then.
  func go() throws {
    try addWorker()
    try startCoordinator()
    let deadline = ContinuousClock.now + .seconds(600)
    while true {
      let next = ContinuousClock.now + .milliseconds(Int.random(in: 50...1500, using: &random))
      while .now < next {
        if try isOver() { return }
        guard .now < deadline else { throw failure("it does not come to its end") }
        usleep(5_000)
      }
      try strike()
    }
  }

  private func failure(_ what: String) -> Program.Failure {
    Program.Failure(
      description: "\(what): faults were \(tally); the coordinator said:\n"
        + (coordinator?.errors ?? "nothing")
        + workers.map { "\na worker:\n" + $0.program.errors }.joined())
  }

  private func startCoordinator() throws {
    terms += 1
    let crew = [
      "--bind", address, "--workers", "1", "--threads", "1", "--restarts", "1000", "--await", "1",
      "--silence", "1", "--wait", "120", "--audit", "3",
    ]
    let hasBegun = Files.exists(run + "/config.yaml")
    coordinator = try Program.launch(
      "coordinator", (hasBegun ? ["--resume", run] : subject.training(run)) + crew)
  }

  private func addWorker() throws {
    let proxy = Proxy(to: address)
    proxy.begin()
    let program = try Program.launch(
      "worker", ["--connect", proxy.address, "--data", subject.store, "--threads", "1"])
    workers.append((program, proxy))
  }

  private func removeWorker(at index: Int) {
    let worker = workers.remove(at: index)
    worker.program.end()
    worker.proxy.end()
    tally["message harmed", default: 0] += worker.proxy.struck.count
  }

  /// Whether the run has ended as it should; brings back who is needed if it has not.
  private func isOver() throws -> Bool {
    guard let coordinator, coordinator.hasEnded else {
      for index in workers.indices.reversed() where workers[index].program.hasEnded {
        let ending = try workers[index].program.wait()
        // Sent away by this test, perhaps before it could hear it, or late for a run that is over.
        guard Self.isOurs(ending) || [0, 69].contains(ending.code) else {
          throw failure("a worker ended with \(ending)")
        }
        removeWorker(at: index)
      }
      if workers.isEmpty { try addWorker() }
      return false
    }
    let ending = try coordinator.wait()
    if Self.isOurs(ending) {
      coordinator.end()
      try startCoordinator()
      return false
    }
    guard ending.code == 0 else { throw failure("the coordinator ended with \(ending)") }
    let isSame =
      try Files.bytes(run + "/last.safetensors") == subject.last
      && Files.bytes(run + "/best.safetensors") == subject.best
    guard isSame else { throw failure("other bytes") }
    let steps = try metrics(run, "step").map { $0["step"] as? Int }
    guard steps == Array(1...SoakSubject.steps) else { throw failure("steps \(steps)") }
    return true
  }

  private static func isOurs(_ ending: Program.Ending) -> Bool {
    [SIGKILL, SIGTERM].contains(ending.signal) || ending.code == 130
  }

  // MARK: Faults

  private func strike() throws {
    guard let coordinator, let worker = workers.randomElement(using: &random) else { return }
    let pause = UInt32.random(in: 50_000...3_500_000, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<10:
      count("worker killed")
      worker.program.signal(SIGKILL)
      worker.proxy.cut()
    case 10..<20:
      count("worker leaves")
      worker.program.signal(SIGTERM)
    case 20..<35:
      guard workers.count < Self.mostWorkers else { return }
      count("worker joins")
      try addWorker()
    case 35..<43:
      count("worker stopped")
      worker.program.signal(SIGSTOP)
      usleep(pause)
      worker.program.signal(SIGCONT)
    case 43..<50:
      count("coordinator stopped")
      coordinator.signal(SIGSTOP)
      usleep(pause)
      coordinator.signal(SIGCONT)
    case 50..<57:
      count("coordinator killed")
      coordinator.signal(SIGKILL)
      for worker in workers { worker.proxy.cut() }
    case 57..<63:
      count("local worker killed")
      for child in coordinator.children { kill(child, SIGKILL) }
    case 63..<67:
      count("coordinator interrupted")
      coordinator.signal(SIGTERM)
    default:
      let side: Proxy.Side = Bool.random(using: &random) ? .worker : .coordinator
      let kinds: [MessageKind] =
        side == .worker
        ? [.hello, .ready, .timing, .partial, .scores, .heartbeat, .drain]
        : [.welcome, .parameters, .compute, .evaluate, .heartbeat]
      let harms: [Proxy.Harm] = [
        .cut, .delay(.microseconds(Int64(pause))), .duplicate, .drop, .reorder, .garbage,
      ]
      // Whether such a message comes before the worker goes is another matter; it is counted then.
      guard let kind = kinds.randomElement(using: &random),
        let harm = harms.randomElement(using: &random)
      else { return }
      worker.proxy.arm(
        Proxy.Strike(
          sender: side, kind: kind, isLastChunk: Bool.random(using: &random), harm: harm))
    }
  }

  private func count(_ fault: String) { tally[fault, default: 0] += 1 }
}

/// A small reproducible generator (SplitMix64).
struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
