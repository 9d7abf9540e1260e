import Foundation
import NIOCore
import NIOHTTP1
import Synchronization
import Training

/// Answers requests, and for a moment gives the same answer to all who ask the same.
final class Reception: Sendable {
  private let status: RunStatus
  private let recent = Mutex<[Answer.Resource: (answer: Answer, time: ContinuousClock.Instant)]>([:]
  )

  private static let moment = Duration.milliseconds(200)

  init(_ status: RunStatus) { self.status = status }

  func answer(_ method: String, _ target: String) -> Answer {
    // How somebody is doing is asked to know it now, and costs nothing.
    let resource = Answer.Resource(target: target)
    guard method == "GET" || method == "HEAD", let resource, resource != .health else {
      return Answer(to: method, target, seeing: status.view)
    }
    return recent.withLock { recent in
      if let (answer, time) = recent[resource], .now - time < Self.moment { return answer }
      let answer = Answer(to: method, target, seeing: status.view)
      recent[resource] = (answer, .now)
      return answer
    }
  }
}

/// One connection's requests, one after the other.
final class VisitHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let reception: Reception
  private let onAnswer: @Sendable () -> Void
  private var request: HTTPRequestHead?

  init(_ reception: Reception, onAnswer: @escaping @Sendable () -> Void) {
    self.reception = reception
    self.onAnswer = onAnswer
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): request = head
    case .body: break  // of no interest
    case .end:
      guard let request else { return }
      self.request = nil
      respond(to: request, context)
    }
  }

  private func respond(to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let answer = reception.answer(request.method.rawValue, request.uri)
    let body = context.channel.allocator.buffer(string: answer.body)
    var head = HTTPResponseHead(
      version: request.version, status: HTTPResponseStatus(statusCode: answer.status))
    head.headers.add(name: "Content-Type", value: answer.type)
    head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    head.headers.add(name: "Cache-Control", value: "no-store")
    head.headers.add(name: "X-Content-Type-Options", value: "nosniff")
    for (name, value) in answer.headers { head.headers.add(name: name, value: value) }
    let isLast = !request.isKeepAlive || request.version != .http1_1
    if isLast { head.headers.add(name: "Connection", value: "close") }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { [onAnswer] _ in
      onAnswer()
      if isLast { channel.close(promise: nil) }
    }
  }

  /// Whoever sends rubbish has been told, and a connection that fails is over.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
