/// What a worker was at between two moments of its own clock, for a coordinator that writes a trace.
package struct WorkSpan: Hashable, Sendable {
  /// Numbers are never used again for something else.
  package enum Kind: UInt8, Sendable, CaseIterable {
    /// Takes the weights that hold from the step on.
    case weights = 1
    /// Stands waiting for a lane's clips to be read.
    case dataWait = 2
    /// Computes a lane.
    case lane = 3
    /// Adds a lane to its sums, and hands over what is complete.
    case sum = 4
    /// Runs clips through the network.
    case scores = 5
    /// An answer leaves, the next that comes: a moment, without length.
    case departure = 6
  }

  package var kind: Kind
  /// Counted over the whole run; for scores, the job's number.
  package var step: Int
  /// Lanes; for scores, clips.
  package var range: Range<Int>
  /// How many clips a lane has.
  package var clips: Int
  package var start: Duration
  package var length: Duration

  package init(
    _ kind: Kind, step: Int, range: Range<Int>, clips: Int = 0, start: Duration,
    length: Duration = .zero
  ) {
    (self.kind, self.step, self.range, self.clips) = (kind, step, range, clips)
    (self.start, self.length) = (start, length)
  }

  /// In a message. Whoever has more sends more messages.
  package static let most = 1024
}

extension FieldWriter {
  mutating func write(_ span: WorkSpan) {
    write(span.kind.rawValue)
    write(span.step)
    write(UInt32(span.range.lowerBound))
    write(UInt32(span.range.upperBound))
    write(UInt32(span.clips))
    write(span.start)
    write(span.length)
  }
}

extension FieldReader {
  /// Reads to the end.
  mutating func spans() throws(Defect) -> [WorkSpan] {
    var spans: [WorkSpan] = []
    while !isAtEnd {
      guard spans.count < WorkSpan.most else {
        throw Defect(.payload, "more than \(WorkSpan.most) spans")
      }
      let number: UInt8 = try integer()
      guard let kind = WorkSpan.Kind(rawValue: number) else {
        throw Defect(.payload, "a span of kind \(number)")
      }
      let step = try count()
      // Whoever counts from 1 must be able to.
      guard step < Int.max else { throw Defect(.payload, "a span of step \(step)") }
      let (lower, upper): (UInt32, UInt32) = (try integer(), try integer())
      guard lower <= upper else { throw Defect(.payload, "a span over \(lower)..<\(upper)") }
      let clips: UInt32 = try integer()
      let start = try duration()
      spans.append(
        WorkSpan(
          kind, step: step, range: Int(lower)..<Int(upper), clips: Int(clips), start: start,
          length: try duration()))
    }
    return spans
  }
}
