/// Makes problems of what a monitor tells: who could not come in, or why this side is not let in.
///
/// An event of a failed handshake does not say whose; the end of that connection follows it, and gives
/// the descriptor whose address was noted when it began.
struct ConnectionWatch {
  /// Hang-ups during the handshake that may be chance: a coordinator that is just ending, say.
  private static let patience = 3
  /// Connections whose address is kept.
  private static let capacity = 4096

  private let monitor: ZeroMQMonitor
  private let keys: Keys?
  private var addresses: [Int32: String] = [:]
  /// How the handshake failed whose connection's end comes next.
  private var failure: ZeroMQMonitor.Failure?
  private var hangUps = 0
  private var isConnected = false
  /// A connecting side's only connection has ended.
  private(set) var hasDisconnected = false

  init(_ monitor: ZeroMQMonitor, keys: Keys?) { (self.monitor, self.keys) = (monitor, keys) }

  var handle: UnsafeMutableRawPointer { monitor.socket.handle }

  // MARK: Where one listens

  /// Problems since this was last asked.
  mutating func takeProblems() -> [AccessProblem] {
    var problems: [AccessProblem] = []
    while let event = monitor.next() {
      switch event {
      case .accepted(let descriptor):
        if addresses.count >= Self.capacity { addresses = [:] }
        addresses[descriptor] = peerAddress(ofDescriptor: descriptor)
      case .handshakeFailed(let what): failure = what
      case .handshakeSucceeded: break
      case .disconnected(let descriptor):
        let address = addresses.removeValue(forKey: descriptor)
        if let problem = failure.flatMap({ self.problem($0, address) }) { problems.append(problem) }
        failure = nil
      }
    }
    return problems
  }

  private func problem(_ failure: ZeroMQMonitor.Failure, _ address: String?) -> AccessProblem? {
    switch failure {
    case .interrupted: return .leftEarly(address: address)
    case .mechanism:
      return keys == nil ? .withKeys(address: address) : .withoutKeys(address: address)
    case .decryption: return keys.map { .otherServer(address: address, own: $0.own.publicKey) }
    case .nonsense: return .otherProtocol(address: address)
    // The gatekeeper knows more.
    case .access: return nil
    }
  }

  // MARK: Where one connects

  /// Why there will be no connection to the listener at `address`, if that has become clear.
  mutating func findObstacle(at address: String) -> AccessProblem? {
    while let event = monitor.next() {
      switch event {
      case .accepted: break
      case .handshakeSucceeded: isConnected = true
      case .disconnected: if isConnected { hasDisconnected = true }
      case .handshakeFailed(let failure):
        // On a connection that stands, the same words mean a damaged or repeated message: it ends.
        guard !isConnected else { continue }
        if failure == .interrupted { hangUps += 1 }
        if failure == .interrupted && hangUps < Self.patience { continue }
        return obstacle(failure, at: address)
      }
    }
    return nil
  }

  private func obstacle(_ failure: ZeroMQMonitor.Failure, at address: String) -> AccessProblem? {
    if failure == .access {
      return keys.map { .refused(own: $0.own.publicKey, place: $0.ownPlace) }
    }
    if let endpoint = try? EndpointAddress(parsing: address, for: .connect),
      let encrypts = Greeting.exchange(encrypted: keys != nil, with: endpoint),
      encrypts != (keys != nil)
    {
      return encrypts ? .serverWithKeys : .serverWithoutKeys
    }
    return failure == .nonsense
      ? .serverSpeaksOtherwise : .hungUp(server: keys?.server, place: keys?.serverPlace ?? "")
  }
}
