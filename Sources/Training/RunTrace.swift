import Cluster

/// Who did what when in a run, for a person to look at: a row for the coordinator and one for every worker, on
/// which slices follow each other or stand in one another, all by the coordinator's clock.
///
/// | row | slices |
/// |---|---|
/// | coordinator | waiting, gradients with the sums in them, Adam, weights out, validating, testing, saving |
/// | a worker | data wait, lane, sum, weights, scores |
/// | a worker's sends | from its answer's departure to the moment at which the coordinator takes it |
///
/// What happens to the crew is an instant on the row of whom it happens to, with whom his row ends. Workers say what
/// they did by their own clocks (see `WorkSpan`); how far these are ahead is estimated (see `ClockOffset`), and
/// stands on the row with its uncertainty. Clocks that may be one, since they differ by less than that, are
/// taken for one: those of workers on the coordinator's machine are.
///
/// A file that takes no more ends the trace with a warning, and nothing else. Steps are counted from 1, as in the log.
package final class RunTrace {
  package typealias Arguments = KeyValuePairs<String, LogRecord.Value>

  private struct Row {
    let number: Int
    let name: String
    /// Where the next slice may begin.
    var end: Duration
    /// When an answer left that has not come yet.
    var departure: WorkSpan?
    var clock: (estimate: ClockOffset.Estimate, since: Duration)?
  }

  package let clock: @Sendable () -> Duration
  private let events: TraceEvents
  /// Of the workers that are there.
  private var rows: [PeerID: Row] = [:]
  private var lastRow = RunTrace.coordinator

  private static let coordinator = 1
  /// How often a row says anew what is known of its clock.
  private static let clockInterval = Duration.seconds(10)

  /// - Throws: what `TraceWriter` throws
  package init(
    writingTo path: String, clock: @escaping @Sendable () -> Duration = monotonicTime
  ) throws {
    events = TraceEvents(try TraceWriter(path: path), clock: clock)
    self.clock = clock
  }

  /// - Parameter warn: gets the sentence that ends the trace early
  package func begin(run: String, warn: @escaping (String) -> Void) {
    events.warn = warn
    events.name(process: "tutti \(run)")
    events.name(row: Self.coordinator, "coordinator")
  }

  /// Writes what is left; nothing is taken after it.
  package func end() { events.end() }

  // MARK: The coordinator

  fileprivate func span<Result>(
    _ name: String, _ arguments: Arguments, _ body: () throws -> Result
  ) rethrows -> Result {
    let start = clock()
    defer { events.slice(name, row: Self.coordinator, start..<clock(), arguments.map { ($0, $1) }) }
    return try body()
  }

  /// Something happened to the crew.
  package func note(_ event: CrewEvent, step: Int) {
    var worker: String?
    for field in event.fields where field.name == "worker" {
      if case .text(let name) = field.value { worker = name }
    }
    let row = rows.values.first { $0.name == worker }
    events.instant(
      event.kind.rawValue, row: row?.number ?? Self.coordinator,
      [("text", .text(event.sentence)), ("step", .integer(step))])
  }

  // MARK: Workers

  /// A worker can take lanes from now on.
  package func join(_ worker: PeerID, name: String) {
    lastRow += 1
    rows[worker] = Row(number: lastRow, name: name, end: clock())
    events.name(row: lastRow, name)
  }

  /// A worker is gone, and its row ends.
  package func leave(_ worker: PeerID) { rows[worker] = nil }

  /// A worker has done something, by a clock that may not be known yet; then nobody knows when.
  package func add(
    _ spans: [WorkSpan], of worker: PeerID, clock estimate: ClockOffset.Estimate?
  ) {
    guard events.areWritten, let estimate, var row = rows[worker] else { return }
    let now = clock()
    if row.clock.map({ $0.estimate != estimate && now - $0.since > Self.clockInterval }) ?? true {
      row.clock = (estimate, now)
      events.name(row: row.number, row.name, estimate.arguments)
      events.instant("clock", row: row.number, estimate.arguments)
    }
    let offset = estimate.mayBeNone ? .zero : estimate.offset
    for var span in spans {
      // Whatever the estimate, nothing was before what came before it, nor is it still to come.
      let start = min(max(span.start - offset, row.end), now)
      let end = min(max(span.start - offset + span.length, start), now)
      if span.kind == .departure {
        span.start = start
        row.departure = span
      } else {
        events.slice(span.name, row: row.number, start..<end, span.arguments)
        row.end = end
      }
    }
    rows[worker] = row
  }

  /// A worker's answer has come, if this is one.
  package func arrive(_ message: Message, from worker: PeerID) {
    guard let row = rows[worker], let left = row.departure else { return }
    let (step, range, values): (Int, Range<Int>, FloatVector)
    var arguments: [TraceEvents.Argument] = []
    switch message {
    case .partial(let partial):
      (step, range, values) = (partial.step, partial.node, partial.values)
      arguments = Self.arguments(step: step, lanes: range).map { ($0, $1) }
    case .scores(let scores):
      (step, range, values) = (scores.job, scores.clips, scores.values)
      arguments = left.arguments
    default: return
    }
    guard left.step == step, left.range == range else { return }
    rows[worker]?.departure = nil
    arguments.append(("bytes", .integer(values.count * MemoryLayout<Float>.stride)))
    events.send(
      "\(row.name) sends", row: row.number, left.start..<max(left.start, clock()), arguments)
  }

  package static func arguments(step: Int, lanes: Range<Int>) -> Arguments {
    [
      "step": .integer(step + 1), "firstLane": .integer(lanes.lowerBound),
      "lanes": .integer(lanes.count),
    ]
  }
}

extension RunTrace? {
  /// Has `body` be a slice on the coordinator's row, if there is a trace.
  package func span<Result>(
    _ name: String, _ arguments: @autoclosure () -> RunTrace.Arguments = [:],
    _ body: () throws -> Result
  ) rethrows -> Result {
    guard let self else { return try body() }
    return try self.span(name, arguments(), body)
  }
}

extension ClockOffset.Estimate {
  /// Whether both clocks may be one.
  fileprivate var mayBeNone: Bool { max(offset, .zero - offset) <= uncertainty }

  fileprivate var arguments: [TraceEvents.Argument] {
    [
      ("clockOffsetMicroseconds", .number(offset.microseconds)),
      ("clockUncertaintyMicroseconds", .number(uncertainty.microseconds)),
    ]
  }
}

extension WorkSpan {
  fileprivate var name: String {
    switch kind {
    case .weights: "weights"
    case .dataWait: "data wait"
    case .lane: "lane \(range.lowerBound)"
    case .sum: "sum"
    case .scores, .departure: "scores"
    }
  }

  fileprivate var arguments: [TraceEvents.Argument] {
    switch kind {
    case .weights: [("step", .integer(step + 1))]
    case .dataWait, .sum: [("step", .integer(step + 1)), ("lane", .integer(range.lowerBound))]
    case .lane:
      [
        ("step", .integer(step + 1)), ("lane", .integer(range.lowerBound)),
        ("clips", .integer(clips)),
      ]
    case .scores, .departure:
      [("firstClip", .integer(range.lowerBound)), ("clips", .integer(range.count))]
    }
  }
}
