import Cluster
import Foundation
import Testing

@Suite(.serialized) struct EndpointTests {
  @Test("a worker joins, both sides talk, the worker leaves", arguments: Wire.allCases)
  func conversation(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 10)
    let stage = try Stage(wire, settings: settings, term: 3)
    let worker = try stage.connect(EndpointSettings())
    let (peer, hello) = try stage.coordinator.expect { event in
      if case .joined(let peer, let hello) = event { (peer, hello) } else { nil }
    }
    #expect(hello == someHello)
    #expect(worker.run == stage.run && worker.term == 3)

    let welcome = Welcome(configuration: "model: crnn", storeFingerprint: "f")
    try stage.coordinator.send(.welcome(welcome), to: peer)
    #expect(try worker.expectMessage() == .welcome(welcome))
    try worker.expect(largestVector: 10)
    try worker.send(.ready(proofHash: 1))
    #expect(try stage.coordinator.expectMessage() == .ready(proofHash: 1))

    let parameters = Message.parameters(Parameters(step: 0, values: [1, 2, 3]))
    try stage.coordinator.send(parameters, to: peer)
    #expect(try worker.expectMessage() == parameters)
    try worker.send(.bye)
    #expect(try stage.coordinator.expectMessage() == .bye)
    worker.close()
    let (lost, reason) = try stage.coordinator.expectLoss()
    #expect(lost == peer && reason == .disconnected)
    #expect(stage.coordinator.defects.total == 0)
  }

  @Test(
    "vectors of any size arrive whole, to many workers and back",
    arguments: Wire.allCases, [4, 1 << 10, 1 << 20])
  func chunks(wire: Wire, chunkBytes: Int) throws {
    var generator = Seeded(UInt64(chunkBytes))
    let perChunk = chunkBytes / 4
    let counts = [0, 1, perChunk - 1, perChunk, perChunk + 1, 3 * perChunk + 7].filter { $0 >= 0 }
    var settings = EndpointSettings(largestVector: counts.max()!)
    settings.chunkBytes = chunkBytes
    let stage = try Stage(wire, settings: settings)
    let workers = try (0..<3).map { _ in try stage.join(settings) }
    for (step, count) in counts.enumerated() {
      let values = roughVector(count, &generator)
      try stage.coordinator.send(
        .parameters(Parameters(step: step, values: FloatVector(values))), to: workers.map(\.1))
      for (worker, _) in workers {
        let received = try worker.expectMessage()
        #expect(received == .parameters(Parameters(step: step, values: FloatVector(values))))
        let scores = Message.scores(
          Scores(job: 1, clips: 0..<1, values: FloatVector(values), parametersHash: 0))
        try worker.send(scores)
        #expect(try stage.coordinator.expectMessage() == scores)
      }
    }
    #expect(stage.coordinator.defects.total == 0)
    for (worker, _) in workers { #expect(worker.defects.total == 0) }
  }

  @Test("heartbeats pass a vector that is on its way, and carry progress", arguments: Wire.allCases)
  func heartbeats(wire: Wire) throws {
    var settings = EndpointSettings(largestVector: 1 << 20)
    settings.chunkBytes = 1 << 12
    settings.heartbeat = .milliseconds(1)
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(settings)
    worker.report(Progress(step: 5, done: 3, total: 16))
    let values = [Float](repeating: 0.5, count: 1 << 20)
    for step in 0..<5 {
      let message = Message.partial(
        Partial(step: step, node: 0..<1, values: FloatVector(values), parametersHash: 0))
      try worker.send(message)
      #expect(try stage.coordinator.expectMessage() == message)
    }
    let deadline = ContinuousClock.now + .seconds(60)
    while stage.coordinator.progress(of: peer)?.done != 3, ContinuousClock.now < deadline {
      Thread.sleep(forTimeInterval: 0.005)
    }
    #expect(stage.coordinator.progress(of: peer) == Progress(step: 5, done: 3, total: 16))
    #expect(stage.coordinator.defects.total == 0)
  }

  @Test("what is larger than agreed is not sent", arguments: Wire.allCases)
  func tooLarge(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 4)
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(EndpointSettings())
    let vector = Message.scores(
      Scores(job: 0, clips: 0..<1, values: [1, 2, 3, 4, 5], parametersHash: 0))
    let text = Message.refuse(reason: String(repeating: "x", count: 1 << 20))
    for attempt in [
      { try stage.coordinator.send(vector, to: peer) }, { try worker.send(vector) },
      { try stage.coordinator.send(text, to: peer) },
    ] {
      let error = #expect(throws: ClusterError.self) { try attempt() }
      #expect(error?.code == .tooLarge)
    }
  }

  @Test(
    "a vector that the receiver did not agree to is refused and answered", arguments: Wire.allCases)
  func notAgreed(wire: Wire) throws {
    let stage = try Stage(wire, settings: EndpointSettings(largestVector: 2))
    let (worker, _) = try stage.join(EndpointSettings(largestVector: 100))
    try worker.send(
      .partial(
        Partial(
          step: 0, node: 0..<1, values: FloatVector([Float](repeating: 1, count: 100)),
          parametersHash: 0))
    )
    try stage.coordinator.expectRejection(.tooLarge)
    guard case .error(.tooLarge, _) = try worker.expectMessage() else {
      Issue.record("no error came")
      return
    }
    try worker.send(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)
  }

  @Test("a removed peer gets what was sent before, then is a stranger", arguments: Wire.allCases)
  func remove(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 2)
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(settings)
    try stage.coordinator.send(.refuse(reason: "other data"), to: peer)
    stage.coordinator.remove(peer)
    #expect(try worker.expectMessage() == .refuse(reason: "other data"))
    try worker.send(.drain)
    guard case .refused(.notJoined, _) = try worker.expectLoss() else {
      Issue.record("the worker was not told")
      return
    }
    // The loss stays, and sending says so.
    guard case .lost = try worker.receive(timeout: .zero) else {
      Issue.record("the loss was forgotten")
      return
    }
    #expect(throws: ClusterError.self) { try worker.send(.drain) }
    // What was on its way is nothing to tell.
    #expect(stage.coordinator.defects.total == 0)
  }

  @Test("no more peers than agreed are taken", arguments: Wire.allCases)
  func full(wire: Wire) throws {
    var settings = EndpointSettings(largestVector: 2)
    settings.maximumPeers = 1
    let stage = try Stage(wire, settings: settings)
    let (worker, _) = try stage.join(settings)
    let error = #expect(throws: ClusterError.self) { try stage.connect(settings) }
    #expect(error?.code == .unavailable)
    #expect(error?.detail.contains("too many peers") == true)
    try worker.send(.drain)
    #expect(try stage.coordinator.expectMessage() == .drain)
  }

  @Test("a silent worker is noticed", arguments: Wire.allCases)
  func silentWorker(wire: Wire) throws {
    var settings = EndpointSettings(largestVector: 2)
    settings.heartbeat = .milliseconds(20)
    settings.silence = .milliseconds(200)
    let stage = try Stage(wire, settings: settings)
    // A bare link: says hello and then nothing more, but stays connected.
    let link = try stage.transport.connect(to: stage.coordinator.address)
    defer { link.close(linger: .zero) }
    while link.send(frame(.hello(someHello))) != .sent {}
    let (_, reason) = try stage.coordinator.expectLoss()
    #expect(reason == .silent(settings.silence))
  }

  @Test("a silent coordinator is noticed", arguments: Wire.allCases)
  func silentCoordinator(wire: Wire) throws {
    let (transport, address) = wire.make()
    let link = try transport.listen(at: address)
    defer { link.close(linger: .zero) }
    var settings = EndpointSettings(largestVector: 2)
    settings.heartbeat = .milliseconds(20)
    settings.silence = .milliseconds(200)
    let (linkAddress, patience) = (link.address, settings)
    let joining = Guardian()
    let thread = Thread {
      let loss = try? WorkerEndpoint(
        connectingTo: linkAddress, over: transport, hello: someHello, settings: patience,
        timeout: .seconds(60)
      ).expectLoss()
      joining.finish(loss)
    }
    thread.start()
    // One frame, so that the worker is in, and then silence.
    var peer: PeerID?
    while peer == nil {
      link.wait(forMessages: true, until: .now + .seconds(60))
      _ = link.receive { from, _ in peer = from }
    }
    let beat = frame(.heartbeat(.none), run: .random(), term: 1)
    #expect(link.send(to: peer!, byteCount: beat.count) { $0.copyBytes(from: beat) } == .sent)
    #expect(joining.wait() == .silent(settings.silence))
  }

  @Test("a coordinator that closes is noticed at once", arguments: Wire.allCases)
  func closedCoordinator(wire: Wire) throws {
    var settings = EndpointSettings(largestVector: 2)
    settings.silence = .seconds(3600)
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(settings)
    try stage.coordinator.send(.bye, to: peer)
    stage.coordinator.close()
    #expect(try worker.expectMessage() == .bye)
    #expect(try worker.expectLoss() == .disconnected)
    #expect(throws: ClusterError.self) { try stage.coordinator.nextEvent() }
    #expect(throws: ClusterError.self) { try stage.coordinator.send(.bye, to: peer) }
  }

  @Test(
    "a peer that takes nothing is given up, and others do not wait for it", arguments: Wire.allCases
  )
  func backlog(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 1 << 20)
    let stage = try Stage(wire, settings: settings)
    let (reader, readerPeer) = try stage.join(settings)
    let link = try stage.transport.connect(to: stage.coordinator.address)
    defer { link.close(linger: .zero) }
    while link.send(frame(.hello(someHello))) != .sent {}
    let deafPeer = try stage.coordinator.expect { event in
      if case .joined(let peer, _) = event { peer } else { nil }
    }
    let values = [Float](repeating: 1, count: 1 << 20)
    var lost: PeerID?
    for step in 0..<200 where lost == nil {
      let message = Message.parameters(Parameters(step: step, values: FloatVector(values)))
      try stage.coordinator.send(message, to: [deafPeer, readerPeer])
      #expect(try reader.expectMessage() == message)
      if case .lost(let peer, let reason)? = try stage.coordinator.nextEvent(timeout: .zero) {
        lost = peer
        #expect(reason == .backlogged)
      }
    }
    #expect(lost == deafPeer)
  }

  @Test("a blocked wait is interrupted from another thread", arguments: Wire.allCases)
  func interrupt(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 2)
    let stage = try Stage(wire, settings: settings)
    let (worker, _) = try stage.join(settings)
    let coordinator = stage.coordinator
    Thread {
      coordinator.interrupt()
      worker.interrupt()
    }.start()
    #expect(try coordinator.expect { $0 == .interrupted ? true : nil })
    #expect(try worker.expect { $0 == .interrupted ? true : nil })
    #expect(try coordinator.nextEvent(timeout: .zero) == nil)
    try worker.send(.drain)
    #expect(try coordinator.expectMessage() == .drain)
  }

  @Test(
    "a send that waits is interrupted too, and ends when the coordinator is lost",
    arguments: Wire.allCases)
  func blockedSend(wire: Wire) throws {
    let (transport, address) = wire.make()
    let link = try transport.listen(at: address)
    var settings = EndpointSettings(largestVector: 1 << 20)
    settings.silence = .seconds(2)
    let (linkAddress, patience) = (link.address, settings)
    let (joined, ended) = (Guardian(), Guardian())
    let codes = Box<[ClusterError.Code]>()
    let worker = Box<WorkerEndpoint>()
    Thread {
      worker.value = try? WorkerEndpoint(
        connectingTo: linkAddress, over: transport, hello: someHello, settings: patience,
        timeout: .seconds(60))
      joined.finish(nil)
      let message = Message.scores(
        Scores(
          job: 0, clips: 0..<1, values: FloatVector([Float](repeating: 1, count: 1 << 20)),
          parametersHash: 0))
      codes.value = []
      while codes.value!.count < 2 {
        do throws(ClusterError) {
          try worker.value?.send(message)
        } catch {
          codes.value!.append(error.code)
        }
      }
      ended.finish(nil)
    }.start()
    // A coordinator that takes the hello, shows one sign of life and then nothing any more.
    var peer: PeerID?
    while peer == nil {
      link.wait(forMessages: true, until: .now + .seconds(60))
      _ = link.receive { from, _ in peer = from }
    }
    let beat = frame(.heartbeat(.none), run: .random(), term: 1)
    #expect(link.send(to: peer!, byteCount: beat.count) { $0.copyBytes(from: beat) } == .sent)
    _ = joined.wait()
    worker.value?.interrupt()
    _ = ended.wait()
    #expect(codes.value == [.interrupted, .closed])
    link.close(linger: .zero)
  }

  @Test(
    "a coordinator that comes back in a new term gets its worker back", arguments: Wire.allCases)
  func newTerm(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 2)
    let stage = try Stage(wire, settings: settings)
    let (worker, _) = try stage.join(settings)
    stage.coordinator.close()
    let second = try CoordinatorEndpoint(
      listeningAt: stage.coordinator.address, over: stage.transport, run: stage.run, term: 2,
      settings: settings)
    #expect(try worker.expectLoss() == .disconnected)
    let again = try stage.connect(settings)
    _ = try second.expect { if case .joined = $0 { true } else { nil } }
    #expect(again.run == stage.run && again.term == 2)
  }

  @Test("open, join, talk, close, fifty times", arguments: Wire.allCases)
  func repeatedClose(wire: Wire) throws {
    let settings = EndpointSettings(largestVector: 1 << 18)
    let values = [Float](repeating: 2, count: 1 << 18)
    for round in 0..<50 {
      let stage = try Stage(wire, settings: settings)
      let (worker, peer) = try stage.join(settings)
      // Close in the middle of things, in either order.
      try stage.coordinator.send(
        .parameters(Parameters(step: round, values: FloatVector(values))), to: peer)
      if round % 2 == 0 {
        worker.close()
        stage.coordinator.close()
      } else {
        stage.coordinator.close()
        worker.close()
      }
      worker.close()
    }
  }

  @Test("a worker without a coordinator says so after its time", arguments: Wire.allCases)
  func nobodyThere(wire: Wire) throws {
    let (transport, address) = wire.make()
    let link = try transport.listen(at: address)
    let free = link.address
    link.close(linger: .zero)
    let error = #expect(throws: ClusterError.self) {
      try WorkerEndpoint(
        connectingTo: free, over: transport, hello: someHello, timeout: .milliseconds(200))
    }
    #expect(error?.code == .unanswered)
    #expect(error?.detail.contains("nobody answered") == true)
  }

  @Test("a worker may start before its coordinator", arguments: Wire.allCases)
  func workerFirst(wire: Wire) throws {
    let (transport, address) = wire.make()
    let probe = try transport.listen(at: address)
    let free = probe.address
    probe.close(linger: .zero)
    let joined = Guardian()
    Thread {
      let worker = try? WorkerEndpoint(
        connectingTo: free, over: transport, hello: someHello, timeout: .seconds(60))
      joined.finish(try? worker?.expectLoss())
    }.start()
    Thread.sleep(forTimeInterval: 0.1)
    let coordinator = try CoordinatorEndpoint(
      listeningAt: free, over: transport, run: .random(), term: 1, settings: EndpointSettings())
    _ = try coordinator.expect { if case .joined = $0 { true } else { nil } }
    coordinator.close()
    #expect(joined.wait() == .disconnected)
  }
}

/// Carries a result from a thread to the test.
final class Guardian: @unchecked Sendable {
  private let done = DispatchSemaphore(value: 0)
  private var loss: LossReason?

  func finish(_ loss: LossReason?) {
    self.loss = loss
    done.signal()
  }

  func wait() -> LossReason? {
    done.wait()
    return loss
  }
}
