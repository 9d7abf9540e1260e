/// Times and bounds of an endpoint; the defaults are what the programs use.
package struct EndpointSettings: Sendable {
  /// How often the I/O thread shows that this side is alive.
  package var heartbeat: Duration = .milliseconds(500)
  /// Without a sign of life for this long a peer is lost, which is noticed at the next heartbeat: within
  /// three seconds.
  package var silence: Duration = .milliseconds(2500)
  /// Elements in the largest vector that either side may send. A worker that has not been told yet
  /// starts with 0 and calls `WorkerEndpoint.expect(largestVector:)`.
  package var largestVector: Int
  /// Bytes of a vector in a frame, a multiple of 4, at most 1 MiB.
  package var chunkBytes = FrameHeader.maximumPayload
  /// Peers that a coordinator takes.
  package var maximumPeers = 1024
  /// Messages that make no sense before a peer is given up. One that is honest sends none.
  package var maximumDefects = 1000
  /// This side's clock, as the time since some origin: what heartbeats are stamped with.
  package var clock: @Sendable () -> Duration = monotonicTime
  /// How long `close()` lets what was sent leave.
  package var linger: Duration = .milliseconds(300)

  package init(largestVector: Int = 0) { self.largestVector = largestVector }

  /// Bytes that may wait in a mailbox or for one peer: a few vectors, and never so few that small
  /// messages fill it.
  var backlogBytes: Int { max(64 << 20, 4 * largestVector * MemoryLayout<Float>.size) }

  func validate() {
    precondition(largestVector >= 0, "the largest vector has \(largestVector) elements")
    precondition(
      chunkBytes > 0 && chunkBytes % 4 == 0 && chunkBytes <= FrameHeader.maximumPayload,
      "a chunk of \(chunkBytes) bytes is no multiple of 4 up to \(FrameHeader.maximumPayload)")
    precondition(
      heartbeat > .zero && silence > heartbeat,
      "silence (\(silence)) must be longer than a heartbeat (\(heartbeat))")
  }
}
