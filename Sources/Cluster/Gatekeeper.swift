import CZeroMQ
import Glibc

/// Asks an allow-list about every key that knocks at a context's sockets: a handler of ZeroMQ's
/// authentication protocol (ZAP, RFC 27) on a thread of its own.
///
/// libzmq asks once in every CURVE handshake, when the other side has proved that it has the secret
/// key, and lets nobody in before the answer. The answer's user is the key with its name, which libzmq hands
/// over with every message of that connection.
final class Gatekeeper {
  static let domain = "tutti"
  private static let place = "inproc://zeromq.zap.01"
  /// Problems that may wait to be told.
  private static let capacity = 256

  let allowed: AllowList
  private let problems = Guarded<[AccessProblem]>([])
  private let stop: WakeSignal
  private let thread: IOThread

  /// - Parameter waker: used whenever there is a problem to tell
  init(_ context: ZeroMQContext, _ allowed: AllowList, waker: Waker) throws(ClusterError) {
    let opened = Guarded<Result<Bool, ClusterError>?>(nil)
    let (problems, stop) = (problems, try WakeSignal())
    (self.allowed, self.stop) = (allowed, stop)
    thread = try IOThread {
      do throws(ClusterError) {
        let socket = try ZeroMQSocket(context, type: ZMQ_REP)
        try socket.set(ZMQ_LINGER, to: 0)
        guard zmq_bind(socket.handle, Self.place) == 0 else {
          throw zeroMQError("guard a socket", at: Self.place)
        }
        opened.update { $0 = .success(true) }
        Self.run(socket, allowed, stop) { problem in
          problems.update { if $0.count < Self.capacity { $0.append(problem) } }
          waker.wake()
        }
      } catch {
        opened.update { $0 = .failure(error) }
      }
    }
    if case .failure(let error) = opened.wait(until: nil, for: { $0 }) {
      thread.join()
      throw error
    }
  }

  deinit {
    stop.raise()
    thread.join()
  }

  /// Problems since this was last asked.
  func takeProblems() -> [AccessProblem] {
    problems.update { problems in
      defer { problems = [] }
      return problems
    }
  }

  // MARK: On its thread

  private static func run(
    _ socket: ZeroMQSocket, _ allowed: AllowList, _ stop: WakeSignal,
    tell: (AccessProblem) -> Void
  ) {
    let readable = Int16(ZMQ_POLLIN)
    var looked = ContinuousClock.now
    while true {
      var items = [
        zmq_pollitem_t(socket: nil, fd: stop.descriptor, events: readable, revents: 0),
        zmq_pollitem_t(socket: socket.handle, fd: 0, events: readable, revents: 0),
      ]
      zmq_poll(&items, Int32(items.count), 1000)
      if items[0].revents != 0 { return }
      // Not for every knock: a thousand of them must not mean a thousand times all files.
      if .now - looked > .milliseconds(100) {
        allowed.refresh()
        looked = .now
        for complaint in allowed.takeComplaints() { tell(.keyFile(complaint)) }
      }
      while let request = receive(socket) {
        let known = request.key.flatMap { key in
          allowed.name(of: key).map { KnownKey(key, name: $0) }
        }
        if known == nil, let key = request.key {
          tell(.unknownKey(key, address: request.address, folder: allowed.folder))
        }
        answer(request, known, socket)
      }
    }
  }

  private struct Request {
    let id: [UInt8]
    let address: String
    /// Nil if the request is none that we expect.
    let key: PublicKey?
  }

  private static func receive(_ socket: ZeroMQSocket) -> Request? {
    var parts: [[UInt8]] = []
    var more: Bool?
    repeat {
      more = socket.receive { bytes, _ in if parts.count < 8 { parts.append(Array(bytes)) } }
    } while more == true
    guard more != nil else { return nil }
    // Version, request, domain, address, identity, mechanism, credentials
    let texts = parts.map { String(decoding: $0, as: UTF8.self) }
    let isExpected =
      parts.count == 7 && texts[0] == "1.0" && texts[2] == domain && texts[5] == "CURVE"
    return Request(
      id: parts.count > 1 ? parts[1] : [], address: parts.count > 3 ? texts[3] : "",
      key: isExpected ? PublicKey(bytes: parts[6]) : nil)
  }

  private static func answer(_ request: Request, _ known: KnownKey?, _ socket: ZeroMQSocket) {
    let parts: [[UInt8]] = [
      Array("1.0".utf8), request.id, Array((known == nil ? "400" : "200").utf8),
      Array((known == nil ? "not allowed" : "OK").utf8), Array((known?.userID ?? "").utf8), [],
    ]
    for (number, part) in parts.enumerated() {
      _ = socket.send(byteCount: part.count, moreFollow: number < parts.count - 1) {
        $0.copyBytes(from: part)
      }
    }
  }
}
