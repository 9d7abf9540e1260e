import Cluster

/// What a worker does and when, gathered for a coordinator that writes a trace, and sent before the answers
/// that it leads to. Where no trace is wanted there is none of these.
final class WorkerSpans {
  /// A welcome with this word asks for them.
  static let key = "trace"

  private let clock: @Sendable () -> Duration
  private var spans: [WorkSpan] = []

  /// - Parameter clock: the one that heartbeats are stamped with
  init(clock: @escaping @Sendable () -> Duration) { self.clock = clock }

  /// - Parameter wait: how much of the time went by, at first, in waiting for clips
  fileprivate func record<Result>(
    _ kind: WorkSpan.Kind, step: Int, _ range: Range<Int>, clips: Int,
    after wait: () -> Duration, _ body: () throws -> Result
  ) rethrows -> Result {
    var start = clock()
    let result = try body()
    let (end, waited) = (clock(), wait())
    if waited > .zero {
      let length = min(waited, end - start)
      append(WorkSpan(.dataWait, step: step, range: range, start: start, length: length))
      start += length
    }
    append(
      WorkSpan(kind, step: step, range: range, clips: clips, start: start, length: end - start))
    return result
  }

  /// What there is to say before a message, with the moment at which an answer leaves.
  func take(before message: Message) -> [WorkSpan] {
    switch message {
    case .timing: break
    case .partial(let partial):
      append(WorkSpan(.departure, step: partial.step, range: partial.node, start: clock()))
    case .scores(let scores):
      append(WorkSpan(.departure, step: scores.job, range: scores.clips, start: clock()))
    default: return []
    }
    defer { spans.removeAll(keepingCapacity: true) }
    return spans
  }

  /// After very many lanes without an answer, the rest is left out.
  private func append(_ span: WorkSpan) { if spans.count < WorkSpan.most { spans.append(span) } }
}

extension WorkerSpans? {
  /// Has it recorded, if anybody wants to know, when `body` ran.
  func record<Result>(
    _ kind: WorkSpan.Kind, step: Int, _ range: Range<Int> = 0..<0, clips: Int = 0,
    after wait: @autoclosure () -> Duration = .zero, _ body: () throws -> Result
  ) rethrows -> Result {
    guard let self else { return try body() }
    return try self.record(kind, step: step, range, clips: clips, after: wait, body)
  }
}
