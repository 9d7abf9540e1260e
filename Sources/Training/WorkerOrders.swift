import Cluster

/// What a coordinator wants of this worker, in order, with a look ahead: an order whose step is over is
/// not worth finishing.
///
/// The first interruption asks the coordinator for leave; until it says goodbye, what was ordered is
/// done.
final class WorkerOrders {
  private let endpoint: WorkerEndpoint
  private let announce: (String) -> Void
  private var waiting: [Message] = []
  private(set) var isLeaving = false

  init(_ endpoint: WorkerEndpoint, announce: @escaping (String) -> Void) {
    self.endpoint = endpoint
    self.announce = announce
  }

  /// - Throws: `CoordinatorLost`, `ClusterError`
  func next() throws -> Message {
    if !waiting.isEmpty { return waiting.removeFirst() }
    while true {
      if let message = try receive(timeout: nil) { return message }
    }
  }

  /// Whether weights of a later step have come, or the end.
  func areBeyond(step: Int) throws -> Bool {
    while let message = try receive(timeout: .zero) { waiting.append(message) }
    return waiting.contains { message in
      switch message {
      case .parameters(let parameters): parameters.step > step
      case .bye, .drain, .refuse: true
      default: false
      }
    }
  }

  func send(_ message: Message) throws(ClusterError) {
    while true {
      do throws(ClusterError) { return try endpoint.send(message) } catch {
        guard error.code == .interrupted else { throw error }
        try leave()
      }
    }
  }

  private func leave() throws(ClusterError) {
    guard !isLeaving else { return }
    isLeaving = true
    try endpoint.send(.drain)
  }

  /// - Returns: nil if nothing has come
  private func receive(timeout: Duration?) throws -> Message? {
    while true {
      switch try endpoint.receive(timeout: timeout) {
      case .message(.error(_, let text)):
        announce("the coordinator refused something of this worker's: \(text)")
      case .message(let message): return message
      case .lost(let reason): throw CoordinatorLost(address: endpoint.address, reason: reason)
      case .interrupted: try leave()
      case nil: return nil
      }
    }
  }
}

/// The coordinator is gone, or has given this worker up.
package struct CoordinatorLost: Error, CustomStringConvertible {
  let address: String
  let reason: LossReason
  package var description: String { "the coordinator at \(address) is lost: \(reason)" }
}
