import Cluster
import Foundation
import Synchronization
import Testing

/// Who may come in with keys, who may not, and that both sides learn why.
@Suite struct TrustTests {
  let keys: KeysFolder
  let coordinatorKeys: Keys
  let workerKeys: Keys

  init() throws {
    keys = try KeysFolder()
    coordinatorKeys = try keys.folder.coordinatorKeys()
    workerKeys = try keys.host.workerKeys()
  }

  func listen(
    _ keys: Keys?, settings: EndpointSettings = EndpointSettings()
  ) throws -> CoordinatorEndpoint {
    try CoordinatorEndpoint(
      listeningAt: "tcp://127.0.0.1:0", over: ZeroMQTransport(keys: keys), run: .random(), term: 1,
      settings: settings)
  }

  func connect(_ keys: Keys?, to address: String) throws -> WorkerEndpoint {
    try WorkerEndpoint(
      connectingTo: address, over: ZeroMQTransport(keys: keys), hello: someHello,
      timeout: .seconds(60))
  }

  /// What both sides say when a worker cannot come in.
  ///
  /// - Parameter name: of the coordinator's problem; others, such as a hang-up on the way, may come before
  func refusal(
    of worker: Keys?, at coordinator: CoordinatorEndpoint, _ name: String
  ) throws -> (workers: ClusterError, coordinators: AccessProblem) {
    let error = #expect(throws: ClusterError.self) {
      try connect(worker, to: coordinator.address)
    }
    let problem = try coordinator.expect { event -> AccessProblem? in
      if case .joined = event { Issue.record("it came in") }
      guard case .turnedAway(let problem, _) = event, problem.name == name else { return nil }
      return problem
    }
    return (try #require(error), problem)
  }

  @Test(
    "a worker with an allowed key comes in under its name, and vectors of any length pass",
    arguments: [4, 600_000])
  func rightKey(count: Int) throws {
    let coordinator = try listen(
      coordinatorKeys, settings: EndpointSettings(largestVector: count))
    let worker = try connect(workerKeys, to: coordinator.address)
    let (peer, hello) = try coordinator.expect { event in
      if case .joined(let peer, let hello) = event { (peer, hello) } else { nil }
    }
    #expect(hello.key == KnownKey(workerKeys.own.publicKey, name: "oboe"))
    #expect(hello.host == someHello.host)
    try worker.expect(largestVector: count)
    // When this has come, the worker's side knows how long vectors may be.
    try worker.send(.drain)
    #expect(try coordinator.expectMessage() == .drain)
    let values = FloatVector((0..<count).map(Float.init))
    let weights = Message.parameters(Parameters(step: 1, values: values))
    try coordinator.send(weights, to: peer)
    #expect(try worker.expectMessage() == weights)
    let sum = Message.partial(Partial(step: 1, node: 0..<1, values: values, parametersHash: 1))
    try worker.send(sum)
    #expect(try coordinator.expectMessage() == sum)
    #expect(coordinator.turnedAway == 0)
  }

  /// What the owners of a plan's slices answer when they are to follow it, all at once.
  func follow(_ owners: [Plan.Owner], _ exchanges: [PeerExchange]) -> [Bool] {
    let reached = Mutex([Bool](repeating: false, count: exchanges.count))
    let group = DispatchGroup()
    for (index, exchange) in exchanges.enumerated() {
      group.enter()
      // Each waits for the others, on a thread of its own.
      Thread.detachNewThread {
        let all = exchange.follow(Plan(version: 1, index: index, owners: owners))
        reached.withLock { $0[index] = all }
        group.leave()
      }
    }
    group.wait()
    return reached.withLock(\.self)
  }

  @Test("workers that share vectors let in just the owners of their plan, each with its key")
  func owners() throws {
    let settings = EndpointSettings(largestVector: 4)
    let coordinator = try listen(coordinatorKeys, settings: settings)
    let workers = try ["oboe", "flute", "viola"].map { name in
      let line = try coordinatorKeys.makeCredentials(for: name)
      return try #require(Keys(credentials: line, from: "a test"))
    }
    let exchanges = try workers.map { keys in
      try PeerExchange(
        over: ZeroMQTransport(keys: keys), for: try connect(keys, to: coordinator.address),
        tree: LaneTree(lanes: 3), sumCount: 4, weightCount: 4)
    }
    defer { for exchange in exchanges { exchange.close() } }
    let owners = zip(exchanges, workers).map { Plan.Owner($0.address, key: $1.own.publicKey) }
    #expect(follow(owners, exchanges) == [true, true, true])

    let address = exchanges[0].address
    let stranger = Keys(own: try KeyPair.random(), from: "nowhere")
    for keys in [nil, stranger.connecting(to: workers[0].own.publicKey, from: "the plan")] {
      let error = #expect(throws: ClusterError.self) { try connect(keys, to: address) }
      #expect(error?.code == .refused)
    }
    // Whom the plan leaves out is not let in, and a plan is not followed without keys or with wrong ones.
    #expect(follow(Array(owners[..<2]), Array(exchanges[..<2])) == [true, true])
    let viola = workers[2].connecting(to: workers[0].own.publicKey, from: "the plan")
    #expect(throws: ClusterError.self) { try connect(viola, to: address) }
    var mistaken = Array(owners[..<2])
    mistaken[1].key = nil
    #expect(follow(mistaken, Array(exchanges[..<1])) == [false])
    mistaken[1].key = workers[2].own.publicKey
    #expect(follow(mistaken, Array(exchanges[..<1])) == [false])
  }

  @Test("a key that nobody knows is refused, with its fingerprint on both sides")
  func unknownKey() throws {
    let stranger = try KeysFolder()
    let other = try stranger.host.workerKeys().connecting(
      to: coordinatorKeys.own.publicKey, from: "x")
    let coordinator = try listen(coordinatorKeys)
    let (error, problem) = try refusal(of: other, at: coordinator, "unknown key")
    #expect(error.code == .refused)
    #expect(error.detail.contains(other.own.publicKey.fingerprint))
    #expect(error.detail.contains(stranger.host.workerSecret))
    #expect(
      problem
        == .unknownKey(
          other.own.publicKey, address: "127.0.0.1", folder: keys.folder.allowed))
    #expect("\(problem)".contains(keys.folder.allowed))
  }

  @Test("a worker with another coordinator's key is refused, and both say so")
  func otherServer() throws {
    let other = try KeysFolder()
    let confused = workerKeys.connecting(
      to: try other.host.workerKeys().server!, from: "the wrong file")
    let coordinator = try listen(coordinatorKeys)
    let (error, problem) = try refusal(of: confused, at: coordinator, "wrong coordinator key")
    #expect(error.detail.contains("the wrong file"))
    #expect(error.detail.contains(confused.server!.fingerprint))
    // Where he was is not known any more if he has hung up by then.
    let own = coordinatorKeys.own.publicKey
    #expect(["127.0.0.1", nil].contains { problem == .otherServer(address: $0, own: own) })
  }

  @Test("a worker without keys is told to bring some")
  func withoutKeys() throws {
    let (error, _) = try refusal(of: nil, at: try listen(coordinatorKeys), "no keys")
    #expect(error.detail.contains("start this worker with --keys"), "\(error)")
    #expect(error.code == .refused)
  }

  @Test("a worker with keys does not talk to a coordinator without")
  func unwantedKeys() throws {
    let (error, _) = try refusal(of: workerKeys, at: try listen(nil), "unwanted keys")
    #expect(error.detail.contains("start the coordinator with --keys"), "\(error)")
    #expect(error.code == .refused)
  }

  @Test("a key that is removed sends its worker away, and one that is added lets it in again")
  func revoked() throws {
    let coordinator = try listen(coordinatorKeys)
    let worker = try connect(workerKeys, to: coordinator.address)
    let text = try keys.text(of: keys.permit)
    try FileManager.default.removeItem(atPath: keys.permit)
    #expect(try coordinator.expectLoss().1 == .noLongerAllowed)
    guard case .refused(_, let words) = try worker.expectLoss() else {
      Issue.record("the worker was not told")
      return
    }
    #expect(words.contains("no longer allowed"))
    let (error, problem) = try refusal(of: workerKeys, at: coordinator, "unknown key")
    #expect(error.code == .refused)
    #expect(problem.key == workerKeys.own.publicKey)
    _ = try keys.write(text, to: "allowed/horn.public", mode: 0o644)
    // What the coordinator has looked at within 100 ms it does not look at again.
    Thread.sleep(forTimeInterval: 0.2)
    let again = try connect(workerKeys, to: coordinator.address)
    let name = try coordinator.expect { event in
      if case .joined(_, let hello) = event { hello.key?.name } else { nil }
    }
    #expect(name == "horn")
    again.close()
  }

  @Test("a file in the list that cannot be read is told of once, and the others count")
  func unreadable() throws {
    let coordinator = try listen(coordinatorKeys)
    _ = try keys.write("nonsense", to: "allowed/flute.public")
    let sentence = try coordinator.expect { event -> String? in
      if case .turnedAway(.keyFile(let sentence), _) = event { sentence } else { nil }
    }
    #expect(sentence.contains("flute.public"))
    let worker = try connect(workerKeys, to: coordinator.address)
    let next = try coordinator.nextEvent(timeout: .seconds(60))
    guard case .joined = next else {
      Issue.record("\(String(describing: next))")
      return
    }
    worker.close()
  }

  @Test("a recorded connection that is played again is refused")
  func replayedConnection() throws {
    let coordinator = try listen(coordinatorKeys)
    let port = try #require(UInt16(coordinator.address.split(separator: ":").last!))
    let relay = TCPRelay(to: port)
    let worker = try connect(workerKeys, to: "tcp://127.0.0.1:\(relay.port)")
    try worker.send(.drain)
    #expect(try coordinator.expectMessage() == .drain)
    let record = relay.recorded
    #expect(record.joined().count > 64 + 200)
    let thief = RawConnection(port: port)
    defer { withExtendedLifetime(thief) {} }
    // As the worker did, each piece after an answer: greeting, hello, proof of the key, messages.
    for piece in record {
      thief.send(piece)
      Thread.sleep(forTimeInterval: 0.05)
    }
    let problem = try coordinator.expect { event -> AccessProblem? in
      if case .joined = event { Issue.record("the record came in") }
      if case .message = event { Issue.record("a message was heard twice") }
      return if case .turnedAway(let problem, _) = event { problem } else { nil }
    }
    // Its proof is sealed for a handshake that is over; out of turn, it is nonsense.
    #expect(["wrong coordinator key", "other protocol"].contains(problem.name), "\(problem)")
    worker.close()
  }

  @Test("a message that is repeated on its way is not heard again, and its connection is given up")
  func replayedMessage() throws {
    let coordinator = try listen(coordinatorKeys)
    let relay = TCPRelay(to: try #require(UInt16(coordinator.address.split(separator: ":").last!)))
    let worker = try connect(workerKeys, to: "tcp://127.0.0.1:\(relay.port)")
    relay.repeatAll()
    try worker.send(.ready(proofHash: 7))
    // libzmq does not read on after a message that it has read before.
    _ = try coordinator.expectLoss()
    _ = try worker.expectLoss()
    #expect(coordinator.defects.total == 0)
    worker.close()
  }

  @Test("what strangers do is told the first, the tenth and the hundredth time")
  func counts() throws {
    let coordinator = try listen(coordinatorKeys)
    let port = try #require(UInt16(coordinator.address.split(separator: ":").last!))
    for _ in 0..<150 { _ = RawConnection(port: port) }
    var counts: [Int] = []
    while counts.last != 100 {
      counts.append(
        try coordinator.expect { event in
          if case .turnedAway(.leftEarly, let count) = event { count } else { nil }
        })
    }
    #expect(counts == [1, 10, 100])
    let worker = try connect(workerKeys, to: coordinator.address)
    worker.close()
  }

  @Test("who keeps sending nonsense is given up and not heard any more", arguments: Wire.allCases)
  func nonsense(wire: Wire) throws {
    var settings = EndpointSettings(largestVector: 2)
    settings.maximumDefects = 5
    let stage = try Stage(wire, settings: settings)
    let link = try stage.transport.connect(to: stage.coordinator.address)
    defer { link.close(linger: .zero) }
    func say(_ bytes: [UInt8]) {
      while link.send(bytes) != .sent { Thread.sleep(forTimeInterval: 0.001) }
    }
    say(frame(.hello(someHello)))
    for _ in 0..<20 { say([1, 2, 3]) }
    #expect(try stage.coordinator.expectLoss().1 == .misbehaved(5))
    say(frame(.drain, run: stage.run, term: 1, sequence: 2))
    let (worker, _) = try stage.join(EndpointSettings())
    try worker.send(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)
    #expect(stage.coordinator.defects.total == 5)
  }

  @Test("workers can talk to each other with the keys that they have")
  func peers() throws {
    let (first, second) = (try KeyPair.random(), try KeyPair.random())
    let others = AllowList()
    let owner = Keys(own: first, from: "first", admitting: others)
    let visitor = Keys(own: second, from: "second").connecting(
      to: first.publicKey, from: "the coordinator's list")
    let listener = try listen(owner)
    let (error, problem) = try refusal(of: visitor, at: listener, "unknown key")
    #expect(error.code == .refused)
    #expect(problem == .unknownKey(second.publicKey, address: "127.0.0.1", folder: nil))
    others.allow(second.publicKey, as: "second")
    let link = try connect(visitor, to: listener.address)
    #expect(
      try listener.expect { event in
        if case .joined(_, let hello) = event { hello.key?.name } else { nil }
      } == "second")
    others.revoke(second.publicKey)
    #expect(try listener.expectLoss().1 == .noLongerAllowed)
    link.close()
  }
}
