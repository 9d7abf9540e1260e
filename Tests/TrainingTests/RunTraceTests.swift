import Cluster
import Foundation
import Testing
import Training

/// Who did what when: twelve steps of five lanes, four validations and a test.
@Suite("A run's trace")
struct RunTraceTests {
  let folder: TemporaryFolder
  var path: String { folder / "trace.json" }

  init() throws {
    folder = try TemporaryFolder()
    try SyntheticStore().write(folder / "store")
  }

  private static let (steps, lanes) = (12, 5)
  /// Four validations of ten clips and a test of six, four at a time.
  private static let scores = 4 * 3 + 2

  private func run(_ name: String, workers: Int = 1, traced: Bool = true) -> InProcessRun {
    var run = InProcessRun(
      configuration: InProcessTrainingTests.configuration, store: folder / "store",
      folder: folder / name, workers: workers)
    if traced { run.trace = path }
    return run
  }

  private func complete(_ run: InProcessRun) throws -> String {
    let result = try run.run()
    _ = try #require(result.outcome, "\(result.error?.description ?? "")\n\(result.said)")
    return result.said
  }

  @Test(
    "has every lane of every step on the row of who computed it, and leaves no trace in the result",
    arguments: [(1, TopologyChoice.star), (3, .star), (7, .star), (3, .sharded)])
  func whole(workers: Int, topology: TopologyChoice) throws {
    let reference = run("plain", traced: false)
    _ = try complete(reference)
    var traced = run("traced", workers: workers)
    traced.topology = topology
    _ = try complete(traced)
    #expect(try traced.bytes == reference.bytes && traced.log == reference.log)

    let trace = try TraceFile(path)
    trace.expectOrder()
    #expect(trace.workers.count == workers)
    #expect(Set(trace.workers.map(\.name)).count == workers)
    let rows = Set(trace.workers.map(\.row))
    let computed = trace.slices().filter { $0.name.hasPrefix("lane ") }
    #expect(
      computed.allSatisfy { rows.contains($0.tid) && $0.name == "lane \($0.args.lane ?? -1)" })
    for step in 1...Self.steps {
      // Who is late may have been helped.
      let lanes = computed.filter { $0.args.step == step }
      #expect(Set(lanes.compactMap(\.args.lane)) == Set(0..<Self.lanes))
      #expect(lanes.reduce(0) { $0 + ($1.args.clips ?? 0) } >= 6)
      // A lane follows its clips.
      for lane in lanes {
        let wait = trace.slices(row: lane.tid, "data wait").filter { $0.end <= lane.start + 0.002 }
        #expect(wait.last?.args.step == step && wait.last?.args.lane == lane.args.lane)
      }
    }
    let coordinator = try #require(trace.coordinator)
    for name in ["gradients", "Adam"] {
      let slices = trace.slices(row: coordinator, name)
      #expect(slices.map(\.args.step) == Array(1...Self.steps))
    }
    #expect(trace.slices(row: coordinator, "waiting").count == 1)
    #expect(trace.slices(row: coordinator, "validating").count == 4)
    #expect(trace.slices(row: coordinator, "testing").count == 1)
    #expect(!trace.slices(row: coordinator, "saving").isEmpty)
    #expect(trace.slices(row: coordinator, "weights out").count == Self.steps + 2)
    #expect(trace.instants("join").count == workers)
    #expect(trace.slices("scores").count >= Self.scores)
    #expect(trace.slices("scores").allSatisfy { rows.contains($0.tid) })

    // Sums are within the time in which the coordinator asks for gradients, and each has come from somewhere.
    let sums = trace.slices(row: coordinator, "sum")
    let gradients = trace.slices(row: coordinator, "gradients")
    for sum in sums {
      let around = gradients.first { $0.args.step == sum.args.step }
      #expect(around.map { $0.start <= sum.start && sum.end <= $0.end + 0.002 } == true)
    }
    if topology == .star {
      for step in 1...Self.steps {
        let added = sums.filter { $0.args.step == step }.reduce(0) { $0 + ($1.args.lanes ?? 0) }
        #expect(added >= Self.lanes)
        let sent = trace.sends.filter { $0.begin.args.step == step }
        #expect(sent.reduce(0) { $0 + ($1.begin.args.lanes ?? 0) } >= Self.lanes)
      }
    }
  }

  @Test("puts all on one clock, whatever the workers' clocks show")
  func clocks() throws {
    var run = run("run", workers: 3)
    run.clockShift = .seconds(1000)
    _ = try complete(run)
    let trace = try TraceFile(path)
    trace.expectOrder()
    let gradients = trace.slices(row: trace.coordinator, "gradients")
    for worker in trace.workers {
      let number = try #require(worker.name.split(separator: ":").last.flatMap { Double($0) })
      let known = try #require(trace.instants("clock").first { $0.tid == worker.row }?.args)
      let offset = try #require(known.clockOffsetMicroseconds)
      let uncertainty = try #require(known.clockUncertaintyMicroseconds)
      #expect(abs(offset - number * 1000e6) <= uncertainty + 1)
      // Metadata of the row, for scripts.
      let named = trace.events.filter { $0.ph == "M" && $0.tid == worker.row }
      #expect(named.contains { $0.args.clockOffsetMicroseconds == offset })
      for slice in trace.slices(row: worker.row) where slice.name.hasPrefix("lane ") {
        let step = try #require(gradients.first { $0.args.step == slice.args.step })
        #expect(slice.end > step.start - uncertainty && slice.start < step.end + uncertainty)
      }
    }
  }

  @Test("ends the row of a worker that leaves")
  func leaves() throws {
    var run = run("run", workers: 2)
    run.interruption = { scene in
      if scene.count("step") == 4 { scene.loseWorker() }
      return nil
    }
    _ = try complete(run)
    let trace = try TraceFile(path)
    trace.expectOrder()
    let leave = try #require(trace.instants("leave").first)
    #expect(trace.workers.contains { $0.row == leave.tid })
    #expect(trace.slices(row: leave.tid).allSatisfy { $0.end <= leave.start })
    #expect(trace.slices().contains { $0.start > leave.start && $0.name == "lane 4" })
  }

  @Test("that cannot be written ends with one warning, and the run goes on to the same bytes")
  func fullDisk() throws {
    let reference = run("plain", traced: false)
    _ = try complete(reference)
    var run = run("run", workers: 2, traced: false)
    run.trace = "/dev/full"
    let said = try complete(run)
    let warnings = said.split(separator: "\n").filter { $0.contains("the trace ends here") }
    #expect(warnings.count == 1, "\(said)")
    #expect(warnings.first?.contains("cannot write /dev/full: No space left on device") == true)
    #expect(try run.bytes == reference.bytes)
  }

  @Test("believes no worker that its work was before the last, or is still to come")
  func wrongTimes() throws {
    let time = Box(.seconds(10))
    let trace = try RunTrace(writingTo: path, clock: { time.value })
    trace.begin(run: "run") { Issue.record("\($0)") }
    let worker = PeerID(bytes: [1])
    trace.join(worker, name: "oboe:1")
    func lane(_ start: Duration, _ length: Duration) -> WorkSpan {
      WorkSpan(.lane, step: 0, range: 0..<1, clips: 1, start: start, length: length)
    }
    let exact = ClockOffset.Estimate(offset: .seconds(100), uncertainty: .zero)
    let spans = [
      lane(.seconds(111), .seconds(2)), lane(.seconds(112), .seconds(2)), lane(.zero, .seconds(1)),
      lane(.nanoseconds(Int.max), .nanoseconds(Int.max)), lane(.seconds(116), .zero),
    ]
    time.value = .seconds(17)
    // Nobody knows when this was.
    trace.add(spans, of: worker, clock: nil)
    trace.add(spans, of: worker, clock: exact)
    trace.add(spans, of: PeerID(bytes: [2]), clock: exact)
    trace.end()
    let file = try TraceFile(path)
    file.expectOrder()
    let times = file.slices("lane 0").map { [$0.start, $0.end].map { $0 / 1e6 } }
    #expect(times == [[1, 3], [3, 4], [4, 4], [7, 7], [7, 7]])
  }

  /// A clock that a test turns.
  private final class Box: @unchecked Sendable {
    var value: Duration
    init(_ value: Duration) { self.value = value }
  }
}
