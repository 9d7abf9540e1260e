import Cluster
import Dataset
import Foundation
import Testing
import Training

/// Workers that have no store get the coordinator's, and nothing of that is visible in the result.
@Suite struct DeliveryTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
  }

  private func run(_ name: String) -> InProcessRun {
    InProcessRun(
      configuration: InProcessTrainingTests.configuration, store: folder / "store",
      folder: folder / name)
  }

  private func cache(_ name: String, limit: Int = 1 << 30) -> StoreCache {
    StoreCache(URL(fileURLWithPath: folder / name), limit: limit)
  }

  private func complete(_ run: InProcessRun) throws -> String {
    let result = try run.run()
    _ = try #require(result.outcome, "\(result.error?.description ?? "")\n\(result.said)")
    return result.said
  }

  private func openCopy(in cache: StoreCache) throws -> StoreCopy {
    try #require(StoreCopy.open(in: cache, fingerprint: store.fingerprint))
  }

  @Test("workers without a store leave the same bytes as those with one")
  func sameBytes() throws {
    let reference = run("reference")
    _ = try complete(reference)
    // One alone; three with caches of their own, and with one for all; going on with a copy; sharing slices.
    for (name, workers, caches, topology) in [
      ("alone", 1, ["a"], TopologyChoice.star), ("own", 3, ["b", "c", "d"], .star),
      ("shared", 3, ["e"], .star), ("again", 2, ["a", "b"], .star), ("sharded", 2, ["f"], .sharded),
    ] {
      var other = run(name)
      (other.workers, other.topology) = (workers, topology)
      other.caches = caches.map { cache($0) }
      let said = try complete(other)
      #expect(try other.bytes == reference.bytes, "\(name)")
      #expect(try other.log == reference.log)
      #expect(name == "again" || said.contains("has no store: it gets its clips from here"))
      #expect(said.contains("data from the coordinator: 40 clips"), "\(said)")
    }
    // One worker alone had all of it, and fetches nothing again.
    let copy = try openCopy(in: cache("a"))
    #expect((0..<store.clipCount).filter { !copy.holds($0) } == [])
    try Store(copy.folder).verify()
    var idle = run("idle")
    idle.caches = [cache("a")]
    #expect(!(try complete(idle)).contains("it gets its clips from here"))
  }

  @Test("a cache that is damaged, or has room for nothing, does not show in the result")
  func poorCaches() throws {
    let reference = run("reference")
    _ = try complete(reference)
    var first = run("first")
    first.caches = [cache("a")]
    _ = try complete(first)
    let block = try openCopy(in: cache("a")).folder.appendingPathComponent("block-00000.f16")
    var data = try Data(contentsOf: block)
    for offset in stride(from: 0, to: data.count, by: 3 * data.count / 40) { data[offset] ^= 1 }
    try data.write(to: block)
    var healing = run("healing")
    healing.caches = [cache("a")]
    #expect(try complete(healing).contains("it gets its clips from here"))
    #expect(try healing.bytes == reference.bytes)
    let copy = try openCopy(in: cache("a"))
    #expect((0..<store.clipCount).filter { !copy.holds($0) } == [])

    var poor = run("poor")
    poor.workers = 2
    poor.caches = [cache("b", limit: 1)]
    #expect(try complete(poor).contains("the cache is full: not all clips are kept"))
    #expect(try poor.bytes == reference.bytes)

    try Data().write(to: URL(fileURLWithPath: folder / "file"))
    var nowhere = run("nowhere")
    nowhere.caches = [cache("file")]
    #expect(try complete(nowhere).contains("nothing is kept"))
    #expect(try nowhere.bytes == reference.bytes)
  }

  /// A coordinator with a desk, and a worker that it knows.
  private final class Scene {
    let endpoint: CoordinatorEndpoint
    let desk: DataDesk?
    let worker: WorkerEndpoint
    let peer: PeerID

    init(_ store: Store, hasDesk: Bool = true) throws {
      let transport = InProcessTransport()
      endpoint = try CoordinatorEndpoint(
        listeningAt: "*", over: transport, run: .random(), term: 1, settings: EndpointSettings())
      desk = hasDesk ? try DataDesk(endpoint, store, rate: 1 << 30) : nil
      worker = try WorkerEndpoint(
        connectingTo: endpoint.address, over: transport, hello: WorkerLife.hello(threads: 1))
      guard case .joined(let peer, _) = try endpoint.nextEvent(timeout: .seconds(60)) else {
        throw CancellationError()
      }
      self.peer = peer
    }

    deinit {
      worker.close()
      endpoint.close()
    }
  }

  private func makeDelivery(_ scene: Scene) throws -> ClipDelivery {
    func whole(_ part: Int) throws -> Data {
      Data(try #require(try StoreParts(store).bytes(ofPart: part, from: 0, count: .max)).bytes)
    }
    let copy = try StoreCopy.begin(
      in: cache("a"), fingerprint: store.fingerprint, description: whole(StoreParts.description),
      table: whole(StoreParts.table))
    scene.desk?.admit(scene.peer)
    return ClipDelivery(copy, from: scene.worker) { _ in }
  }

  @Test("a clip that comes damaged ends the delivery with the reason, and with it whoever waits")
  func damagedStore() throws {
    let block = store.directory.appendingPathComponent("block-00000.f16")
    var data = try Data(contentsOf: block)
    data[0] ^= 1
    try data.write(to: block)
    let scene = try Scene(store)
    let delivery = try makeDelivery(scene)
    #expect(try delivery.bytes(ofClip: 1).count == 6 * 40 * 2)
    let error = #expect(throws: TrainingError.self) { try delivery.bytes(ofClip: 0) }
    #expect(error?.status == .badInput)
    #expect(error?.description.contains("its store is damaged there") == true)
    #expect(throws: TrainingError.self) { try delivery.bytes(ofClip: 2) }
    // What is here stays readable.
    #expect(try delivery.bytes(ofClip: 1).count == 6 * 40 * 2)
    delivery.stop()
  }

  @Test("whoever waits for a clip ends with the loss of the coordinator, or with the delivery")
  func ends() throws {
    for stops in [false, true] {
      let scene = try Scene(store)
      // Nobody answers: the worker is no member, and its fetches lie at a desk that is closed.
      let delivery = try makeDelivery(scene)
      scene.endpoint.remove(scene.peer)
      if stops { delivery.stop() } else { scene.endpoint.close() }
      let error = #expect(throws: ClusterError.self) { try delivery.bytes(ofClip: 0) }
      #expect(error?.code == .closed)
      delivery.stop()
    }
  }

  @Test("what somebody waits for is answered first, also if it was asked for ahead")
  func order() throws {
    let (one, other) = (PeerID.random(), PeerID.random())
    var queue = FetchQueue()
    func add(_ ticket: UInt64, _ peer: PeerID, part: Int, count: Int = 9, isAhead: Bool = true) {
      queue.add(
        Fetch(ticket: ticket, part: part, offset: 0, count: count, isAhead: isAhead), from: peer)
    }
    add(1, one, part: 7)
    add(2, one, part: 8)
    add(3, other, part: 8)
    add(4, one, part: 8)
    add(5, other, part: 9, isAhead: false)
    #expect(!queue.isAwaited(by: one) && queue.isAwaited(by: other))
    add(6, one, part: 8, count: 0, isAhead: false)
    #expect(queue.isAwaited(by: one))
    var tickets: [UInt64] = []
    while let (peer, fetch) = queue.next() {
      tickets.append(fetch.ticket)
      #expect(peer == ([3, 5].contains(fetch.ticket) ? other : one))
      #expect(fetch.isAhead == [1, 3].contains(fetch.ticket))
    }
    #expect(tickets == [5, 2, 4, 6, 1, 3])
    #expect(queue.isEmpty)
  }

  @Test("a clip that is on its way for later is raised when somebody waits for it")
  func raised() throws {
    let scene = try Scene(store, hasDesk: false)
    let delivery = try makeDelivery(scene)
    defer { delivery.stop() }
    let configuration = try InProcessTrainingTests.configuration.resolved(for: store)
    let schedule = configuration.schedule(for: store)
    delivery.follow(schedule, epoch: 0, step: 0, lanes: 0..<schedule.lanes)
    func next() throws -> Fetch {
      try #require(try scene.endpoint.nextFetch(timeout: .seconds(60))).1
    }
    func give(_ fetch: Fetch) throws {
      let found = try StoreParts(store).bytes(
        ofPart: fetch.part, from: fetch.offset, count: fetch.count)
      let (bytes, total) = try #require(found)
      try scene.endpoint.answer(
        Piece(ticket: fetch.ticket, partBytes: total, bytes: bytes), to: scene.peer)
    }
    // No more than half of what may be on its way.
    let ahead = try (0..<Fetch.mostAtOnce / 2).map { _ in try next() }
    #expect(ahead.allSatisfy { $0.isAhead && $0.count > 0 })

    let last = try #require(ahead.last)
    delivery.willNeed([last.part - StoreParts.clip(0)])
    let raise = try next()
    #expect((raise.part, raise.count, raise.isAhead) == (last.part, 0, false))
    // What was not asked for finds room.
    delivery.willNeed([store.clipCount - 1])
    let other = try next()
    #expect((other.part, other.isAhead) == (StoreParts.clip(store.clipCount - 1), false))

    #expect(!delivery.hasCome([last.part - StoreParts.clip(0)], within: .zero))
    for fetch in [last, raise, other] { try give(fetch) }
    #expect(
      delivery.hasCome([last.part - StoreParts.clip(0), store.clipCount - 1], within: .seconds(60)))
    #expect(try delivery.bytes(ofClip: store.clipCount - 1).count == 6 * 40 * 2)
  }

  @Test("the desk gives bytes to members alone, and only those that there are")
  func desk() throws {
    let scene = try Scene(store)
    let (desk, worker) = (try #require(scene.desk), scene.worker)
    func ask(_ part: Int, _ offset: Int = 0, _ count: Int = 10) throws -> Piece {
      worker.fetch(Fetch(ticket: 5, part: part, offset: offset, count: count))
      return try #require(try worker.nextPiece(timeout: .seconds(60)))
    }
    #expect(try ask(0).refusal == "it is not a member of the run")
    desk.admit(scene.peer)
    let clip = try StoreParts(store).bytes(ofPart: StoreParts.clip(3), from: 0, count: .max)
    let bytes = try #require(clip).bytes
    #expect(try ask(StoreParts.clip(3), 4).bytes == Array(bytes[4..<14]))
    #expect(try ask(StoreParts.clip(3), bytes.count - 4).bytes == Array(bytes.suffix(4)))
    #expect(try ask(StoreParts.clip(3)).partBytes == bytes.count)
    #expect(desk.givenBytes == 24 && desk.refused == 1)
    for (part, offset) in [(StoreParts.clip(store.clipCount), 0), (.max, 0), (1, .max)] {
      let piece = try ask(part, offset)
      #expect(piece.refusal.hasPrefix("there is no byte ") && piece.bytes.isEmpty)
    }
    #expect(desk.givenBytes == 24 && desk.refused == 4)
  }
}
