/// How many bytes an endpoint has sent and received: whole frames, as handed to the transport and got
/// from it. What workers of this machine find in shared memory does not travel, and is not counted.
package struct Traffic: Equatable, Sendable {
  package var sentBytes: UInt64 = 0
  package var receivedBytes: UInt64 = 0

  package init() {}
}

/// A link whose traffic is counted.
final class CountingLink: Link {
  private let link: any Link
  private(set) var traffic = Traffic()

  init(_ link: any Link) { self.link = link }

  var address: String { link.address }
  var waker: Waker { link.waker }
  var sender: String? { link.sender }

  func send(to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void)
    -> Delivery
  {
    let delivery = link.send(to: peer, byteCount: byteCount, write: write)
    if delivery == .sent { traffic.sentBytes += UInt64(byteCount) }
    return delivery
  }

  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    link.receive { peer, frame in
      traffic.receivedBytes += UInt64(frame.byteCount)
      body(peer, frame)
    }
  }

  func isAllowed(_ sender: String) -> Bool { link.isAllowed(sender) }
  func takeProblems() -> [AccessProblem] { link.takeProblems() }
  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant) {
    link.wait(forMessages: forMessages, until: deadline)
  }
  func close(linger: Duration) { link.close(linger: linger) }
}
