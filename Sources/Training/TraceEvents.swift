import Cluster

/// Events of the Trace Event Format, written as long as the file takes them. A file that takes no more ends the trace
/// with one warning, and nothing else.
///
/// Rows are threads of one process. Times are of the coordinator's clock, in microseconds since the trace began.
final class TraceEvents {
  typealias Argument = (name: String, value: LogRecord.Value)

  private let clock: @Sendable () -> Duration
  private var writer: TraceWriter?
  private var sends = 0
  private let origin: Duration
  /// Gets the sentence that ends the trace early.
  var warn: (String) -> Void = { _ in }

  init(_ writer: TraceWriter, clock: @escaping @Sendable () -> Duration) {
    self.writer = writer
    self.clock = clock
    origin = clock()
  }

  var areWritten: Bool { writer != nil }

  /// Writes what is left; nothing is taken after it.
  func end() {
    write { try $0.flush() }
    writer?.close()
    writer = nil
  }

  func name(process name: String) {
    write("process_name", "M", row: 0, arguments: [("name", .text(name))])
  }

  /// Names a row, whose place is its number; again, if more is known of it.
  func name(row: Int, _ name: String, _ more: [Argument] = []) {
    write("thread_name", "M", row: row, arguments: [("name", .text(name))] + more)
    write("thread_sort_index", "M", row: row, arguments: [("sort_index", .integer(row))])
  }

  /// Something that took its time. On one row they follow each other, or stand in one another.
  func slice(_ name: String, row: Int, _ time: Range<Duration>, _ arguments: [Argument]) {
    let length = (time.upperBound - time.lowerBound).microseconds
    write(
      name, "X", row: row, at: time.lowerBound, [("dur", .number(length))], arguments: arguments)
  }

  /// Something on its way: of these several may be at once.
  func send(_ name: String, row: Int, _ time: Range<Duration>, _ arguments: [Argument]) {
    sends += 1
    let what: [Argument] = [("cat", .text("send")), ("id", .integer(sends))]
    write(name, "b", row: row, at: time.lowerBound, what, arguments: arguments)
    write(name, "e", row: row, at: time.upperBound, what, arguments: [])
  }

  /// Something that has just happened.
  func instant(_ name: String, row: Int, _ arguments: [Argument]) {
    write(name, "i", row: row, at: clock(), [("s", .text("t"))], arguments: arguments)
  }

  private func write(
    _ name: String, _ phase: String, row: Int, at time: Duration? = nil, _ more: [Argument] = [],
    arguments: [Argument]
  ) {
    var fields: [Argument] = [
      ("name", .text(name)), ("ph", .text(phase)), ("pid", .integer(1)), ("tid", .integer(row)),
    ]
    if let time { fields.append(("ts", .number((time - origin).microseconds))) }
    let (event, details) = (LogRecord.json(fields + more), LogRecord.json(arguments))
    write { try $0.append("{\(event),\"args\":{\(details)}}", at: clock()) }
  }

  private func write(_ body: (TraceWriter) throws -> Void) {
    guard let writer else { return }
    do { try body(writer) } catch {
      writer.close()
      self.writer = nil
      warn("warning: the trace ends here, and the run goes on without it: \(error)")
    }
  }
}

extension Duration {
  /// To the nanosecond.
  var microseconds: Double { (self / .nanoseconds(1)).rounded() / 1000 }
}
