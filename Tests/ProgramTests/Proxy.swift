import Cluster
import Foundation
import Synchronization

/// Stands between one worker and the coordinator, and harms what passes.
///
/// To the worker it is a coordinator, to the coordinator a worker; it takes and gives whole messages, and
/// knows by their headers what they are about. When one side's connection ends, so does the other's.
final class Proxy: Sendable {
  /// Who sends.
  enum Side: String, Sendable, CaseIterable { case worker, coordinator }

  /// What happens to one frame.
  enum Harm: Sendable {
    /// Both connections end; the frame and all that waits with it are lost.
    case cut
    /// It and what follows it come later.
    case delay(Duration)
    case duplicate
    case drop
    /// It comes after the one that follows it.
    case reorder
    /// Noise comes before it, and it is damaged itself.
    case garbage
    /// Something else comes instead.
    case forge(@Sendable (inout [UInt8]) -> Void)
    /// It passes; then something is done, on the proxy's thread.
    case act(@Sendable (Proxy) -> Void)
  }

  /// Which frame to harm: the first that fits, once.
  struct Strike: Sendable {
    let sender: Side
    let kind: MessageKind
    /// How many that fit are spared before.
    var spared = 0
    /// Of a message in chunks only the last frame counts, or only the first.
    var isLastChunk = true
    var condition: @Sendable (FrameHeader) -> Bool = { _ in true }
    /// Whether it strikes again and again.
    var isLasting = false
    let harm: Harm

    func fits(_ header: FrameHeader) -> Bool {
      let isLast = header.chunkOffset + header.chunkBytes == header.totalBytes
      return header.subject.kind == kind && condition(header)
        && (isLastChunk ? isLast : header.chunkOffset == 0)
    }
  }

  private struct State {
    var strikes: [Strike] = []
    var struck: [ContinuousClock.Instant] = []
    var lanesOrdered = 0
    var isCut = false
    var isOver = false
  }

  /// Where the worker connects.
  let address: String
  private let target: String
  private let state = Mutex(State())
  private let ended = DispatchSemaphore(value: 0)

  /// - Parameter target: the coordinator's address; nobody need listen there yet
  init(to target: String) {
    self.target = target
    address = "tcp://127.0.0.1:\(RawConnection.freePort())"
  }

  /// Takes connections from now on, until `body` returns.
  func serve<Result>(_ body: () throws -> Result) rethrows -> Result {
    begin()
    defer { end() }
    return try body()
  }

  /// Takes connections from now on, until `end()`.
  func begin() {
    let thread = Thread { [self] in
      while !isOver { pass() }
      ended.signal()
    }
    thread.name = "proxy"
    thread.start()
  }

  /// After `begin()`: ends it, and with it the connections through it.
  func end() {
    state.withLock { $0.isOver = true }
    ended.wait()
  }

  func arm(_ strike: Strike) { state.withLock { $0.strikes.append(strike) } }

  /// When strikes have happened, in order.
  var struck: [ContinuousClock.Instant] { state.withLock { $0.struck } }

  /// Lanes that the coordinator has asked for, each as often as it has.
  var lanesOrdered: Int { state.withLock { $0.lanesOrdered } }

  /// Ends both connections; the worker may connect again.
  func cut() { state.withLock { $0.isCut = true } }

  private var isOver: Bool { state.withLock { $0.isOver } }

  /// From listening to a cut, or to the coordinator's end.
  private func pass() {
    state.withLock { $0.isCut = false }
    guard let front = try? ZeroMQTransport().listen(at: address) else {
      usleep(1_000)
      return
    }
    // What was passed on before the end is to arrive.
    let linger = Duration.milliseconds(100)
    defer { front.close(linger: linger) }
    var worker: PeerID?
    var back: (any Link)?
    defer { back?.close(linger: linger) }
    var (up, down) = (Stream(), Stream())
    while !state.withLock({ $0.isOver || $0.isCut }) {
      var isIdle = true
      var arrival: (peer: PeerID, frame: [UInt8])?
      _ = front.receive { arrival = ($0, $1.bytes) }
      if let arrival {
        isIdle = false
        // A worker that comes back has another name.
        if arrival.peer != worker {
          worker = arrival.peer
          back?.close(linger: linger)
          back = try? ZeroMQTransport().connect(to: target)
          (up, down) = (Stream(), Stream())
        }
        take(arrival.frame, from: .worker, &up, pump: { $0.pump(into: back, .coordinator) })
      }
      guard let back, let worker else {
        usleep(200)
        continue
      }
      let reception = back.receive { _, frame in
        isIdle = false
        take(frame.bytes, from: .coordinator, &down, pump: { $0.pump(into: front, worker) })
      }
      if case .disconnected = reception { return }
      if !up.pump(into: back, .coordinator) || !down.pump(into: front, worker) { return }
      if isIdle { usleep(200) }
    }
  }

  /// Puts a frame, or what becomes of it, into its stream.
  private func take(
    _ frame: [UInt8], from sender: Side, _ stream: inout Stream, pump: (inout Stream) -> Bool
  ) {
    let header = try? FrameHeader(decoding: frame.span.bytes)
    let harm = state.withLock { state -> Harm? in
      guard let header, !state.isCut else { return nil }
      if header.subject.kind == .compute { state.lanesOrdered += header.subject.range.count }
      let index = state.strikes.firstIndex { $0.sender == sender && $0.fits(header) }
      guard let index else { return nil }
      guard state.strikes[index].spared == 0 else {
        state.strikes[index].spared -= 1
        return nil
      }
      state.struck.append(.now)
      let strike = state.strikes[index]
      if !strike.isLasting { state.strikes.remove(at: index) }
      return strike.harm
    }
    switch harm {
    case nil: stream.append(frame)
    case .cut: cut()
    case .delay(let delay):
      stream.hold(until: .now + delay)
      stream.append(frame)
    case .duplicate:
      stream.append(frame)
      stream.append(frame)
    case .drop: break
    case .reorder:
      stream.kept = frame
      return
    case .garbage:
      stream.append((0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37) })
      var damaged = frame
      damaged[frame.count * 2 / 3] ^= 0x40
      stream.append(damaged)
    case .forge(let change):
      var forged = frame
      change(&forged)
      stream.append(forged)
    case .act(let action):
      stream.append(frame)
      _ = pump(&stream)
      action(self)
    }
    stream.release()
  }

  /// Frames on their way in one direction.
  private struct Stream {
    private var waiting: [[UInt8]] = []
    private var notBefore = ContinuousClock.now
    /// To come after the next one.
    var kept: [UInt8]?

    mutating func append(_ frame: [UInt8]) { waiting.append(frame) }
    mutating func hold(until time: ContinuousClock.Instant) { notBefore = time }

    mutating func release() {
      kept.map { waiting.append($0) }
      kept = nil
    }

    /// - Returns: false if the other end is gone
    mutating func pump(into link: (any Link)?, _ peer: PeerID) -> Bool {
      guard let link, .now >= notBefore else { return true }
      while let frame = waiting.first {
        switch link.send(to: peer, byteCount: frame.count, write: { $0.copyBytes(from: frame) }) {
        case .sent: waiting.removeFirst()
        case .wouldBlock: return true
        case .unreachable: return false
        }
      }
      return true
    }
  }
}

extension FrameHeader {
  /// A change of a frame's payload, or of what it is about, that its checksum does not tell.
  static func forging(
    _ change: @escaping @Sendable (inout [UInt8]) -> Void,
    subject: @escaping @Sendable (inout Subject) -> Void = { _ in }
  ) -> @Sendable (inout [UInt8]) -> Void {
    { frame in
      guard var header = try? FrameHeader(decoding: frame.span.bytes) else { return }
      var payload = Array(frame.dropFirst(byteCount))
      change(&payload)
      subject(&header.subject)
      frame.withUnsafeMutableBytes { frame in
        payload.withUnsafeBytes { header.encode(chunk: $0, into: frame) }
      }
    }
  }
}

extension RawSpan {
  fileprivate var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
