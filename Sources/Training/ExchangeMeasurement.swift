import Cluster
import Foundation

/// What the exchange of a step costs on this machine: endpoints, frames and reduction of a run, with workers as
/// threads whose lanes are computed already.
///
/// A few bytes with one worker and with several tell what a message costs, long vectors what a byte does.
struct ExchangeMeasurement {
  /// Elements in the vectors of the network.
  let count: Int

  struct Result {
    var roundTrip: Double
    var message: PlanRates.Cost
    var plainByte: PlanRates.Cost
    var encryptedByte: PlanRates.Cost
  }

  /// Weights and order out, timing and sum in.
  static let messagesPerWorker = 4

  func measured() throws -> Result {
    let workers = 4
    let one = try seconds(workers: 1, count: 16, encrypted: false)
    let several = try seconds(workers: workers, count: 16, encrypted: false)
    let extra = Double(Self.messagesPerWorker * (workers - 1))
    // Long enough that bytes count, and no longer than a few seconds take.
    let length = min(max(count, 1 << 18), 1 << 21)
    func byte(encrypted: Bool) throws -> PlanRates.Cost {
      let moved = Double(2 * workers * length * MemoryLayout<Float>.stride)
      let long = try seconds(workers: workers, count: length, encrypted: encrypted)
      return (long - several) / moved
    }
    return Result(
      roundTrip: one.seconds, message: (several - one) / extra,
      plainByte: try byte(encrypted: false), encryptedByte: try byte(encrypted: true))
  }

  /// An exchange with so many workers, in the middle of some.
  private func seconds(workers: Int, count: Int, encrypted: Bool) throws -> PlanRates.Cost {
    let own = encrypted ? try Keys(own: .random(), from: "memory") : nil
    let endpoint = try CoordinatorEndpoint(
      listeningAt: "tcp://127.0.0.1:0", over: ZeroMQTransport(keys: own), run: .random(), term: 1,
      settings: EndpointSettings(largestVector: count))
    let threads = try (0..<workers).map { number in
      let keys = try own.map {
        Keys(credentials: try $0.makeCredentials(for: "worker-\(number)"), from: "memory")
      }
      let (address, lanes) = (endpoint.address, workers)
      return MeasuringThread {
        try Self.work(at: address, over: ZeroMQTransport(keys: keys ?? nil), lanes, count)
      }
    }
    defer {
      endpoint.close()
      for thread in threads { thread.join() }
    }
    var peers: [PeerID] = []
    while peers.count < workers {
      guard let event = try endpoint.nextEvent(timeout: .seconds(10)) else { throw Self.silence }
      if case .joined(let peer, _) = event { peers.append(peer) }
    }
    let vector = [Float](repeating: 1, count: count)
    var star = StarReduction.CoordinatorSide(tree: LaneTree(lanes: workers), count: count)
    var step = 0
    func exchange() throws {
      star.begin(step: step, parametersHash: 0)
      let weights = Parameters(step: step, values: FloatVector(vector))
      try endpoint.send(.parameters(weights), to: peers)
      for (lane, peer) in peers.enumerated() {
        let order = Compute(
          step: step, epoch: 0, stepInEpoch: 0, lanes: lane..<lane + 1, clipsInStep: workers)
        try endpoint.send(.compute(order), to: peer)
      }
      while star.sum == nil {
        guard let event = try endpoint.nextEvent(timeout: .seconds(10)) else { throw Self.silence }
        if case .message(_, .partial(let partial)) = event { _ = star.accept(partial) }
      }
      step += 1
    }
    for _ in 0..<3 { try exchange() }
    let clock = ContinuousClock()
    let processor = Self.processorSeconds
    let begin = clock.now
    var seconds: [Double] = []
    while seconds.count < 9 || clock.now - begin < .milliseconds(500) && seconds.count < 300 {
      seconds.append(try clock.measure(exchange) / .seconds(1))
    }
    return PlanRates.Cost(
      seconds: seconds.sorted()[seconds.count / 2],
      processorSeconds: (Self.processorSeconds - processor) / Double(seconds.count))
  }

  private static let silence = TrainingError(
    .unavailable, "measuring the exchange: nothing was heard over loopback for 10 s")

  /// A worker's side.
  private static func work(
    at address: String, over transport: ZeroMQTransport, _ lanes: Int, _ count: Int
  ) throws {
    let endpoint = try WorkerEndpoint(
      connectingTo: address, over: transport, hello: WorkerLife.hello(threads: 1),
      settings: EndpointSettings(largestVector: count))
    defer { endpoint.close() }
    let vector = [Float](repeating: 1, count: count)
    var weights = vector
    var reduction = StarReduction.WorkerSide(tree: LaneTree(lanes: lanes), count: count)
    while case .message(let message)? = try endpoint.receive() {
      switch message {
      case .parameters(let parameters):
        _ = parameters.values.withSpan { values in
          weights.withUnsafeMutableBufferPointer { copyAndHash(values, to: $0) }
        }
      case .compute(let order):
        reduction.begin(order, parametersHash: 0)
        try endpoint.send(
          .timing(Timing(step: order.step, lanes: order.lanes, elapsed: .zero, waited: .zero)))
        try reduction.add(vector.span, lane: order.lanes.lowerBound) {
          (message) throws(ClusterError) in try endpoint.send(message)
        }
      default: break
      }
    }
  }

  /// What all threads of this process have taken of the processors.
  private static var processorSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}

extension PlanRates.Cost {
  /// Never below nothing: times differ by what else the machine does.
  fileprivate static func - (a: Self, b: Self) -> Self {
    Self(
      seconds: max(0, a.seconds - b.seconds),
      processorSeconds: max(0, a.processorSeconds - b.processorSeconds))
  }

  fileprivate static func / (a: Self, parts: Double) -> Self {
    Self(seconds: a.seconds / parts, processorSeconds: a.processorSeconds / parts)
  }
}

/// A thread with an end to wait for. Whoever waits for what it sends finds out if it has failed.
private final class MeasuringThread: Sendable {
  private let ended = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () throws -> Void) {
    let ended = ended
    Thread.detachNewThread {
      try? body()
      ended.signal()
    }
  }

  func join() { ended.wait() }
}
