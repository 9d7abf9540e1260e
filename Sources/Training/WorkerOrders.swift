import Cluster

/// What a coordinator wants of this worker, in order, with a look ahead: an order whose step is over is
/// not worth finishing.
///
/// The first interruption asks the coordinator for leave; until it says goodbye, what was ordered is
/// done.
package final class WorkerOrders {
  private let endpoint: WorkerEndpoint
  private let announce: (String) -> Void
  /// Where the coordinator asks for them.
  var spans: WorkerSpans?
  private var waiting: [Message] = []
  private(set) var isLeaving = false
  /// The step whose parameters come from other workers; until they are here, nothing else is begun.
  private var awaited: Int?

  /// So long the others may take before the coordinator is asked.
  private static let patience = Duration.seconds(3)

  package init(_ endpoint: WorkerEndpoint, announce: @escaping (String) -> Void) {
    self.endpoint = endpoint
    self.announce = announce
  }

  /// - Throws: `CoordinatorLost`, `ClusterError`
  package func next() throws -> Message {
    if let awaited { return try parameters(of: awaited) }
    if !waiting.isEmpty { return waiting.removeFirst() }
    while true {
      if let message = try receive(timeout: nil) { return message }
    }
  }

  package func awaitParameters(of step: Int) { awaited = step }

  /// They come from the others or, when asked, from the coordinator.
  private func parameters(of step: Int) throws -> Message {
    func isWanted(_ message: Message) -> Bool {
      switch message {
      case .parameters, .slice, .bye, .refuse: true
      default: false
      }
    }
    var taken = waiting.firstIndex(where: isWanted).map { waiting.remove(at: $0) }
    while taken == nil {
      guard let message = try receive(timeout: Self.patience) else {
        try send(.need(step: step))
        continue
      }
      if isWanted(message) { taken = message } else { waiting.append(message) }
    }
    guard let taken else { preconditionFailure("a wait without an end") }
    awaited = nil
    return taken
  }

  /// Whether weights of a later step have come, or the end.
  func areBeyond(step: Int) throws -> Bool {
    while let message = try receive(timeout: .zero) { waiting.append(message) }
    return waiting.contains { message in
      switch message {
      case .parameters(let parameters): parameters.step > step
      case .slice(let slice): slice.step > step
      case .bye, .drain, .refuse: true
      default: false
      }
    }
  }

  /// Whether the coordinator wants nothing more.
  func isDismissed() throws -> Bool {
    while let message = try receive(timeout: .zero) { waiting.append(message) }
    return waiting.contains { message in
      switch message {
      case .bye, .refuse: true
      default: false
      }
    }
  }

  /// The next forward passes that are ordered, as far as orders have come.
  func nextEvaluation() throws -> Evaluate? {
    while let message = try receive(timeout: .zero) { waiting.append(message) }
    for case .evaluate(let order) in waiting { return order }
    return nil
  }

  package func send(_ message: Message) throws(ClusterError) {
    if let spans = spans?.take(before: message), !spans.isEmpty { try put(.spans(spans)) }
    try put(message)
  }

  private func put(_ message: Message) throws(ClusterError) {
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
