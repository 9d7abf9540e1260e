import NIOCore
import Synchronization

/// Who is connected, and since when each has been quiet: since it came, or since its last answer.
final class Visitors: Sendable {
  private struct Visitor {
    let channel: any Channel
    var quietSince = ContinuousClock.now
  }

  private let limit: Int
  private let patience: Duration
  private let visitors = Mutex<[ObjectIdentifier: Visitor]>([:])

  init(atMost limit: Int, patience: Duration) {
    self.limit = limit
    self.patience = patience
  }

  /// Takes a new one, for whom the one may have to leave who has been quiet for longest.
  func welcome(_ channel: any Channel) {
    let leaving = visitors.withLock { visitors in
      defer { visitors[ObjectIdentifier(channel)] = Visitor(channel: channel) }
      guard visitors.count >= limit,
        let longest = visitors.min(by: { $0.value.quietSince < $1.value.quietSince })
      else { return nil as Visitor? }
      visitors[longest.key] = nil
      return longest.value
    }
    leaving?.channel.close(promise: nil)
    channel.closeFuture.whenComplete { _ in
      self.visitors.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
  }

  /// It got an answer.
  func refresh(_ channel: any Channel) {
    visitors.withLock { $0[ObjectIdentifier(channel)]?.quietSince = .now }
  }

  /// Closes the connections of those who have not come to an end for too long.
  func dismissSlow() {
    let slow = visitors.withLock { visitors in
      visitors.values.filter { .now - $0.quietSince > patience }
    }
    for visitor in slow { visitor.channel.close(promise: nil) }
  }
}
