import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Training

/// Shows a run over HTTP, from a thread of its own that the computing ones take precedence over.
///
/// Whatever strangers do takes bounded memory, few descriptors and little time: there are so many
/// visitors at once, one more has the one leave who has been quiet for longest; who does not come to
/// an end leaves after half a minute; a request's head has a size; and a text is made anew only when the
/// one made last is a fifth of a second old.
package final class SightServer: Sendable {
  /// With the real port.
  package let address: HTTPAddress
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel

  private static let maximumVisitors = 256
  private static let patience = Duration.seconds(30)
  /// The more of it, the lower is a thread's precedence.
  private static let niceness: Int32 = 10

  /// Listens.
  ///
  /// - Throws: `TrainingError.unavailable` if the address is in use or not this machine's
  package init(at address: HTTPAddress, showing status: RunStatus) throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    loop.execute {
      // On Linux, of this thread alone.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
    }
    let visitors = Visitors(atMost: Self.maximumVisitors, patience: Self.patience)
    loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
      visitors.dismissSlow()
    }
    let reception = Reception(status)
    do {
      channel = try ServerBootstrap(group: group)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            visitors.welcome(channel)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(
              withEncoderConfiguration: .init(), withDecoderLimitConfiguration: .small)
            try pipeline.addHandler(VisitHandler(reception) { visitors.refresh(channel) })
          }
        }
        .bind(host: address.host, port: address.port).wait()
    } catch {
      try? group.syncShutdownGracefully()
      throw TrainingError(
        .unavailable,
        "cannot listen at \(address): \(Self.reason(error)); give --http another port, or 0 for any "
          + "that is free")
    }
    self.group = group
    self.address = HTTPAddress(
      host: address.host, port: channel.localAddress?.port ?? address.port)
  }

  /// Hangs up on everybody.
  package func close() { try? group.syncShutdownGracefully() }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case is SocketAddressError, is NIOConnectionError: "no address is known for that host"
    default: "\(error)"
    }
  }
}

extension NIOHTTPDecoderLimitConfiguration {
  /// Browsers send some cookies along; nobody has a reason to send more.
  fileprivate static var small: Self {
    var limits = Self()
    (limits.maxHeaderFieldSize, limits.maxHeaderListSize) = (16_384, 65_536)
    return limits
  }
}
