import ArgumentParser
import Cluster
import Foundation
import Training

/// What a step's exchange costs: weights out to every worker, lanes' sums in, added along the lane tree.
///
/// Coordinator and workers are those of a run (`Crew`, endpoints, reductions, ZeroMQ on loopback, shared
/// memory mapped by each), as threads of one process; only the gradients are there already, where a worker's
/// backward pass leaves them. Each worker takes and hashes the weights, adds its lanes and sends; an exchange
/// ends when the coordinator has the sum.
struct AllReduce: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allreduce",
    abstract: "Time a step's exchange of weights and gradients over loopback.",
    discussion: """
      Vectors lie in shared memory, as with workers that a coordinator starts; --frames sends them \
      over TCP, as between machines. Bytes are counted at the sockets, frames' headers included. The \
      lower bound is what no algorithm can avoid that sends: one vector out of the coordinator and one \
      into it, at the speed at which plain PUSH/PULL moves messages of 1 MiB here in the same run.
      """)

  @Option(help: "Workers; all are threads of this process.")
  var workers = 4
  @Option(help: "Values in a vector: 250000 or 0.25M.")
  var parameters = VectorLength(count: 250_000)
  @Option(help: "Lanes, which the workers share.")
  var lanes = 16
  @Option(help: "What lanes travel in: fp32, bf16 or fp16.")
  var wire = WireType.fp32
  @Option(help: "Exchanges timed, after three that are not.")
  var steps = 20
  @Flag(
    help: "Send vectors in frames over TCP, as between machines, instead of sharing memory.")
  var frames = false
  @Flag(help: "Encrypt what travels, as between machines; with --frames or --topology sharded.")
  var keys = false
  @Flag(help: "One JSON object instead of lines.")
  var json = false

  @Option(help: "How vectors travel: star, sharded (always in frames) or auto.")
  var topology = TopologyChoice.star

  func validate() throws {
    guard (1...256).contains(workers), (1...4096).contains(lanes), steps > 0 else {
      throw ValidationError(
        "--workers must be from 1 to 256, --lanes from 1 to 4096, --steps positive")
    }
    guard workers <= lanes else {
      throw ValidationError("\(workers) workers need as many --lanes, not \(lanes)")
    }
    guard !keys || frames || topology == .sharded else {
      throw ValidationError("--keys encrypts frames: add --frames")
    }
  }

  func run() {
    Program.run {
      let before = try LoopbackRate.measure()
      let exchange = try exchange()
      let after = try LoopbackRate.measure()
      try report(exchange, bytesPerSecond: max(before, after))
    }
  }

  // MARK: Measuring

  private struct Exchange {
    /// Of each exchange, in order of size.
    var seconds: [Double] = []
    /// Of one exchange, on average.
    var coordinator = Traffic()
    var workers: [Traffic] = []
    /// What was written to shared memory meanwhile: by the coordinator, and by each worker.
    var coordinatorShared = 0
    var isShared = false
    var workersShared: [Int] = []
    var median: Double { seconds[seconds.count / 2] }
  }

  private func exchange() throws -> Exchange {
    let count = parameters.count
    // Whole numbers, and small, so that neither rounding nor the sum over the lanes changes them.
    let vector = (0..<count).map { Float($0 % 256) }
    let meter = TrafficMeter()
    let memory =
      frames || topology == .sharded ? nil : try CoordinatorMemory(lanes: lanes, length: count)
    let keys = keys ? Keys(own: try KeyPair.random(), from: "bench") : nil
    let endpoint = try CoordinatorEndpoint(
      listeningAt: "tcp://127.0.0.1:0", over: MeteredTransport(ZeroMQTransport(keys: keys), meter),
      run: .random(), term: 1, settings: EndpointSettings(largestVector: count), memory: memory)
    var settings = Crew.Settings(build: Build.version, processor: "this one", proof: nil)
    settings.patience = .seconds(30)
    settings.topology = topology
    let crew = Crew(
      endpoint, lanes: lanes, contributionCount: count,
      welcome: Welcome(configuration: "", storeFingerprint: ""), settings: settings,
      announce: { _ in })
    let meters = (0..<workers).map { _ in TrafficMeter() }
    let shared = try meters.map { _ in try memory.map(Self.memory) }
    let threads = try zip(meters, shared).map { meter, memory in
      let credentials = try keys?.makeCredentials(for: "worker")
      let transport = MeteredTransport(
        ZeroMQTransport(keys: credentials.flatMap { Keys(credentials: $0, from: "bench") }), meter)
      let (address, lanes, wire, shares) = (endpoint.address, lanes, wire, topology != .star)
      return WorkerThread {
        try IdleWorker(
          vector: vector, lanes: lanes, wire: wire, shares: shares, memory: memory
        )
        .serve(address, over: transport)
      }
    }
    defer {
      crew.dismiss()
      endpoint.close()
      for thread in threads { thread.join() }
    }
    try crew.gather(workers)

    var result = Exchange()
    var position = RunState.Position()
    var sum: FloatVector = []
    // Where weights are made, by Adam in a run: here once.
    var made: Set<UnsafeMutablePointer<Float>?> = []
    func step() throws {
      let room = crew.room(forWeightsOf: position.step, count: count)
      if made.insert(room.elements.baseAddress).inserted { room.copy(vector.span) }
      try crew.send(weights: FloatVector(room), step: position.step)
      sum = try crew.sum(position, clipsInStep: lanes)
      position.step += 1
    }
    for _ in 0..<3 { try step() }
    // Workers need some time to reach each other.
    if topology == .sharded {
      let deadline = ContinuousClock.now + .seconds(30)
      while !crew.sharesVectors && .now < deadline { try step() }
      for _ in 0..<3 { try step() }
    }
    if topology == .auto { for _ in 0..<20 { try step() } }
    // Nothing is on its way between two exchanges, so the counters are whole.
    let all = [meter] + meters
    let regions = memory.map { memory in [memory.parameters] + shared.compactMap { $0?.partials } }
    let before = all.map(\.traffic)
    let writtenBefore = regions?.map(\.bytesWritten)
    for _ in 0..<steps {
      result.seconds.append(try ContinuousClock().measure(step) / .seconds(1))
    }
    let traffic = zip(all, before).map { ($0.traffic - $1) / steps }
    guard sum.array == vector.map({ $0 * Float(lanes) }) else {
      throw TrainingError(.fault, "the sum over \(lanes) lanes is not \(lanes) times a lane's")
    }
    result.seconds.sort()
    result.isShared = crew.sharesVectors
    result.coordinator = traffic[0]
    if let regions, let writtenBefore {
      let written = zip(regions, writtenBefore).map { ($0.bytesWritten - $1) / steps }
      (result.coordinatorShared, result.workersShared) = (written[0], Array(written[1...]))
    } else {
      result.workersShared = meters.map { _ in 0 }
    }
    result.workers = Array(traffic[1...])
    return result
  }

  /// Mapped anew, as in another process.
  private static func memory(_ memory: CoordinatorMemory) throws -> WorkerMemory {
    WorkerMemory(
      parameters: try SharedVectors(
        inherited: dup(memory.parameters.descriptor), isWritten: false),
      partials: try SharedVectors(
        inherited: dup(memory.forWorker().descriptor), isWritten: true))
  }

  // MARK: Reporting

  private func report(_ exchange: Exchange, bytesPerSecond: Double) throws {
    let vectorBytes = parameters.count * MemoryLayout<Float>.stride
    let bound = 2 * Double(vectorBytes) / bytesPerSecond
    let coordinator = exchange.coordinator
    if json {
      try printJSON([
        "frames": frames, "keys": keys,
        "topology": exchange.isShared ? "sharded" : "star", "wire": wire.rawValue,
        "workers": workers,
        "lanes": lanes,
        "parameters": parameters.count, "steps": steps, "vectorBytes": vectorBytes,
        "medianSeconds": exchange.median, "fastestSeconds": exchange.seconds[0],
        "coordinatorBytesSent": coordinator.sent,
        "coordinatorBytesReceived": coordinator.received,
        "workerBytesSent": exchange.workers.map(\.sent),
        "workerBytesReceived": exchange.workers.map(\.received),
        "coordinatorBytesShared": exchange.coordinatorShared,
        "workerBytesShared": exchange.workersShared,
        "loopbackBytesPerSecond": bytesPerSecond, "lowerBoundSeconds": bound,
        "ratioToLowerBound": exchange.median / bound,
      ])
      return
    }
    print(
      String(
        format:
          "%@, %d workers, %d lanes, vectors of %.2f MB: %.2f ms (median of %d; fastest %.2f)",
        (exchange.isShared ? "sharded" : "star") as NSString, workers, lanes,
        Double(vectorBytes) / 1e6,
        1000 * exchange.median, steps, 1000 * exchange.seconds[0]))
    func line(_ name: String, _ traffic: Traffic, shared: Int) {
      print(
        String(
          format: "%@ sent %11d bytes, received %11d, put %11d in shared memory",
          name.padding(toLength: 12, withPad: " ", startingAt: 0) as NSString, traffic.sent,
          traffic.received, shared))
    }
    line("coordinator", coordinator, shared: exchange.coordinatorShared)
    for (number, (traffic, shared)) in zip(exchange.workers, exchange.workersShared).enumerated() {
      line("worker \(number + 1)", traffic, shared: shared)
    }
    print(
      String(
        format:
          "plain PUSH/PULL moves %.2f GB/s: %.2f times the %.2f ms of a vector out and one in",
        bytesPerSecond / 1e9, exchange.median / bound, 1000 * bound))
  }
}

/// A count of values, also in millions: `0.25M`.
struct VectorLength: ExpressibleByArgument, CustomStringConvertible {
  let count: Int

  init(count: Int) { self.count = count }

  init?(argument: String) {
    let millions = argument.hasSuffix("M")
    guard let number = Double(millions ? String(argument.dropLast()) : argument) else { return nil }
    let values = (millions ? 1e6 * number : number).rounded()
    guard values >= 1, values <= 1e8 else { return nil }
    count = Int(values)
  }

  var description: String { "\(count)" }
}

extension WireType: ExpressibleByArgument {}
extension TopologyChoice: ExpressibleByArgument {}

/// A worker whose gradients are there already, the same for every lane. It does not say how long it
/// took, so that lanes are not dealt anew and nobody is thought late.
private struct IdleWorker {
  let vector: [Float]
  let lanes: Int
  let wire: WireType
  let shares: Bool
  let memory: WorkerMemory?

  func serve(_ address: String, over transport: any Transport) throws {
    let endpoint = try WorkerEndpoint(
      connectingTo: address, over: transport,
      hello: WorkerLife.hello(threads: 1),
      settings: EndpointSettings(largestVector: vector.count), memory: memory)
    defer { endpoint.close() }
    let tree = LaneTree(lanes: lanes)
    let exchange =
      shares
      ? try PeerExchange(
        over: transport, for: endpoint, tree: tree, sumCount: vector.count,
        weightCount: vector.count) : nil
    defer { exchange?.close() }
    var reduction = Topology.makeWorkerSide(
      tree: tree, count: vector.count, wire: WireFormat(wire, narrowCount: vector.count),
      in: memory?.partials, exchange: exchange)
    let orders = WorkerOrders(endpoint, announce: { _ in })
    var weights = [Float](repeating: 0, count: vector.count)
    var hash: UInt64 = 0
    // Lanes whose vectors lie in shared memory, computed there, so to speak.
    var computed: Set<Int> = []
    while true {
      switch try orders.next() {
      case .welcome:
        if let exchange { try orders.send(.listening(exchange.address)) }
        try orders.send(.ready(proofHash: 0))
      case .parameters(let parameters):
        exchange?.wantNoWeights()
        let isShared = parameters.values.shared != nil
        hash = parameters.values.withSpan { values in
          isShared
            ? contentHash(values)
            : weights.withUnsafeMutableBufferPointer { copyAndHash(values, to: $0) }
        }
      case .compute(let order):
        reduction.begin(order, parametersHash: hash)
        for lane in order.lanes {
          let room = reduction.room(for: lane)
          if let room, computed.insert(lane).inserted { room.copy(vector.span) }
          try (room.map(FloatVector.init) ?? FloatVector(vector)).withSpan {
            (values) throws(ClusterError) in
            try reduction.add(values, lane: lane, send: orders.send)
          }
        }
        // The sum of several lanes is made over them.
        if order.lanes.count > 1 { computed = [] }
      case .plan(let plan):
        let reached = exchange?.follow(plan) ?? false
        try orders.send(.linked(version: plan.version, reached: reached))
      case .slice(let slice):
        exchange?.share(slice)
        orders.awaitParameters(of: slice.step)
      case .gather(let step): try reduction.gather(step: step, send: orders.send)
      case .bye, .refuse: return
      default: continue
      }
    }
  }
}

/// A thread with an end to wait for. What goes wrong on it is said; the coordinator then misses a worker.
private final class WorkerThread: Sendable {
  private let ended = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () throws -> Void) {
    let ended = ended
    Thread.detachNewThread {
      do { try body() } catch { Program.say("bench: a worker failed: \(error)") }
      ended.signal()
    }
  }

  func join() { ended.wait() }
}
