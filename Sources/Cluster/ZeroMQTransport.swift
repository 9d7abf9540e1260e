import CZeroMQ
import Glibc

/// Frames over ZeroMQ: a ROUTER at the coordinator, a DEALER at each worker, TCP or a local socket between.
///
/// - A send never drops silently: ROUTER_MANDATORY tells a peer that is gone from one that is slow.
/// - One connection is one life. A worker's socket has a random identity, and when its connection ends
///   the link is over; a new one says hello again.
/// - 16 messages of at most 1 MiB wait for each peer and direction inside libzmq, no more.
/// - A stranger has 3 s to speak ZMTP, and messages above the largest frame close his connection.
package struct ZeroMQTransport: Transport {
  private static let highWaterMark = 16
  private static let handshakeMilliseconds = 3000

  package init() {}

  package func listen(at address: String) throws(ClusterError) -> any Link {
    let endpoint = try EndpointAddress(parsing: address, for: .listen)
    let context = try ZeroMQContext()
    let socket = try ZeroMQSocket(context, type: ZMQ_ROUTER)
    try Self.configure(socket, isIPv6: endpoint.isIPv6)
    try socket.set(ZMQ_ROUTER_MANDATORY, to: 1)
    try socket.set(ZMQ_BACKLOG, to: 1024)
    guard zmq_bind(socket.handle, endpoint.resolved) == 0 else {
      throw zeroMQError("listen", at: address)
    }
    return try ZeroMQLink(address: socket.lastEndpoint, socket: socket, monitor: nil)
  }

  package func connect(to address: String) throws(ClusterError) -> any Link {
    let endpoint = try EndpointAddress(parsing: address, for: .connect)
    let context = try ZeroMQContext()
    let socket = try ZeroMQSocket(context, type: ZMQ_DEALER)
    try Self.configure(socket, isIPv6: endpoint.isIPv6)
    try socket.set(ZMQ_ROUTING_ID, to: PeerID.random().bytes)
    try socket.set(ZMQ_RECONNECT_IVL, to: 50)
    try socket.set(ZMQ_RECONNECT_IVL_MAX, to: 1000)
    let monitor = try ZeroMQMonitor(
      context, watching: socket, events: ZMQ_EVENT_DISCONNECTED)
    guard zmq_connect(socket.handle, endpoint.resolved) == 0 else {
      throw zeroMQError("connect", at: address)
    }
    return try ZeroMQLink(address: address, socket: socket, monitor: monitor)
  }

  private static func configure(
    _ socket: ZeroMQSocket, isIPv6: Bool
  ) throws(ClusterError) {
    try socket.set(ZMQ_IPV6, to: isIPv6 ? 1 : 0)
    try socket.set(ZMQ_SNDHWM, to: highWaterMark)
    try socket.set(ZMQ_RCVHWM, to: highWaterMark)
    try socket.set(ZMQ_MAXMSGSIZE, to: FrameHeader.byteCount + FrameHeader.maximumPayload)
    try socket.set(ZMQ_HANDSHAKE_IVL, to: handshakeMilliseconds)
    try socket.set(ZMQ_LINGER, to: 0)
  }
}
