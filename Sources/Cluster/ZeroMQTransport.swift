import CZeroMQ
import Glibc

/// Frames over ZeroMQ: a ROUTER at the coordinator, a DEALER at each worker, TCP or a local socket between.
///
/// - A send never drops silently: ROUTER_MANDATORY tells a peer that is gone from one that is slow.
/// - One connection is one life. A worker's socket has a random identity, and when its connection ends
///   the link is over; a new one says hello again.
/// - 16 messages of at most 1 MiB wait for each peer and direction inside libzmq, no more.
/// - A stranger has 3 s to shake hands, and messages above the largest frame close his connection.
/// - With keys, connections are encrypted (CURVE), and only who shows an allowed key comes in.
package struct ZeroMQTransport: Transport {
  private static let highWaterMark = 16
  private static let handshakeMilliseconds = 3000
  /// What CURVE puts around a message counts as its size: a name, a nonce, flags and an authenticator, 33 bytes.
  private static let envelopeBytes = 64

  private var keys: Keys?
  /// What all connections share; nil if each has its own.
  private var context: ZeroMQContext?

  package init(keys: Keys? = nil) { self.keys = keys }

  /// Whether only processes of this machine reach `address`, so that no keys are needed.
  package static func isLocal(_ address: String) -> Bool { EndpointAddress.isLocal(address) }

  package var admitted: AllowList? { keys?.admitted }

  package func connecting(to key: PublicKey) -> any Transport {
    var transport = self
    transport.keys = keys?.connecting(to: key, from: "the coordinator's list of owners")
    return transport
  }

  package func forManyConnections() throws(ClusterError) -> any Transport {
    var transport = self
    transport.context = try ZeroMQContext()
    return transport
  }

  package func listen(at address: String) throws(ClusterError) -> any Link {
    let endpoint = try EndpointAddress(parsing: address, for: .listen)
    let context = try ZeroMQContext()
    let signal = try WakeSignal()
    let socket = try ZeroMQSocket(context, type: ZMQ_ROUTER)
    try configure(socket, isIPv6: endpoint.isIPv6)
    try socket.set(ZMQ_ROUTER_MANDATORY, to: 1)
    try socket.set(ZMQ_BACKLOG, to: 1024)
    // Connections of hosts that are gone without a word are given up after a while.
    try socket.set(ZMQ_HEARTBEAT_IVL, to: 5000)
    try socket.set(ZMQ_HEARTBEAT_TIMEOUT, to: 15_000)
    var gatekeeper: Gatekeeper?
    if let keys {
      gatekeeper = try Gatekeeper(context, keys.admitted, waker: signal.waker)
      try socket.set(ZMQ_CURVE_SERVER, to: 1)
      try socket.set(ZMQ_CURVE_SECRETKEY, to: keys.own.secret)
      try socket.set(ZMQ_ZAP_DOMAIN, to: Array(Gatekeeper.domain.utf8))
    }
    let watch = ConnectionWatch(try ZeroMQMonitor(context, watching: socket), keys: keys)
    guard zmq_bind(socket.handle, endpoint.resolved) == 0 else {
      throw zeroMQError("listen", at: address)
    }
    return ZeroMQLink(
      address: socket.lastEndpoint, socket: socket, isRouter: true, watch: watch, signal: signal,
      gatekeeper: gatekeeper)
  }

  package func connect(to address: String) throws(ClusterError) -> any Link {
    let endpoint = try EndpointAddress(parsing: address, for: .connect)
    let context = if let context { context } else { try ZeroMQContext() }
    let socket = try ZeroMQSocket(context, type: ZMQ_DEALER)
    try configure(socket, isIPv6: endpoint.isIPv6)
    try socket.set(ZMQ_ROUTING_ID, to: PeerID.random().bytes)
    try socket.set(ZMQ_RECONNECT_IVL, to: 50)
    try socket.set(ZMQ_RECONNECT_IVL_MAX, to: 1000)
    if let keys {
      guard let server = keys.server else {
        preconditionFailure("keys to connect with, and no server's")
      }
      try socket.set(ZMQ_CURVE_SERVERKEY, to: server.bytes)
      try socket.set(ZMQ_CURVE_PUBLICKEY, to: keys.own.publicKey.bytes)
      try socket.set(ZMQ_CURVE_SECRETKEY, to: keys.own.secret)
    }
    let watch = ConnectionWatch(try ZeroMQMonitor(context, watching: socket), keys: keys)
    guard zmq_connect(socket.handle, endpoint.resolved) == 0 else {
      throw zeroMQError("connect", at: address)
    }
    return ZeroMQLink(
      address: address, socket: socket, isRouter: false, watch: watch, signal: try WakeSignal(),
      gatekeeper: nil)
  }

  private func configure(
    _ socket: ZeroMQSocket, isIPv6: Bool
  ) throws(ClusterError) {
    try socket.set(ZMQ_IPV6, to: isIPv6 ? 1 : 0)
    try socket.set(ZMQ_SNDHWM, to: Self.highWaterMark)
    try socket.set(ZMQ_RCVHWM, to: Self.highWaterMark)
    let frame = FrameHeader.byteCount + FrameHeader.maximumPayload
    try socket.set(ZMQ_MAXMSGSIZE, to: frame + (keys == nil ? 0 : Self.envelopeBytes))
    try socket.set(ZMQ_HANDSHAKE_IVL, to: Self.handshakeMilliseconds)
    try socket.set(ZMQ_LINGER, to: 0)
  }
}
