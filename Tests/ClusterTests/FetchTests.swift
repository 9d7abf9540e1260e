import Cluster
import Testing

/// Bytes that workers fetch, beside the messages of training.
@Suite(.serialized) struct FetchTests {
  let settings = EndpointSettings(largestVector: 1000)

  @Test("pieces answer fetches, and stand in no order with messages", arguments: Wire.allCases)
  func pieces(wire: Wire) throws {
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(settings)
    let fetches = (0..<8).map {
      Fetch(ticket: UInt64($0), part: $0, offset: 100, count: 1 + $0, isAhead: $0 % 2 == 1)
    }
    for fetch in fetches { worker.fetch(fetch) }
    try worker.send(.ready(proofHash: 1))
    // Nobody has to take the messages before.
    for expected in fetches {
      let (sender, fetch) = try #require(try stage.coordinator.nextFetch(timeout: .seconds(60)))
      #expect(sender == peer && fetch == expected)
      let bytes = [UInt8](repeating: UInt8(fetch.part), count: fetch.count)
      try stage.coordinator.answer(
        fetch.part == 3
          ? Piece(ticket: 3, refusal: "no")
          : Piece(ticket: fetch.ticket, partBytes: 1000, bytes: bytes), to: peer)
    }
    try stage.coordinator.send(.drain, to: peer)
    for fetch in fetches {
      let piece = try #require(try worker.nextPiece(timeout: .seconds(60)))
      #expect(piece.ticket == fetch.ticket)
      #expect(piece.bytes.count == (fetch.part == 3 ? 0 : fetch.count))
      #expect(piece.refusal == (fetch.part == 3 ? "no" : ""))
    }
    #expect(try worker.expectMessage() == .drain)
    #expect(try stage.coordinator.expectMessage() == .ready(proofHash: 1))
    #expect(stage.coordinator.defects.total == 0 && worker.defects.total == 0)
  }

  @Test("a vector that waits goes before pieces that wait", arguments: Wire.allCases)
  func priority(wire: Wire) throws {
    let stage = try Stage(wire, settings: settings)
    let (worker, peer) = try stage.join(settings)
    for round in 0..<20 {
      let most = Fetch.mostBytes
      worker.fetch(Fetch(ticket: UInt64(round), part: 2, offset: 0, count: most))
      let (_, fetch) = try #require(try stage.coordinator.nextFetch(timeout: .seconds(60)))
      let bytes = [UInt8](repeating: 7, count: fetch.count)
      try stage.coordinator.answer(
        Piece(ticket: fetch.ticket, partBytes: most, bytes: bytes), to: peer)
      let vector = Message.slice(
        Slice(step: round, index: 0, values: FloatVector([1, 2, 3]), hash: 0))
      try worker.expect(largestVector: 1000)
      try stage.coordinator.send(vector, to: peer)
      #expect(try worker.expectMessage() == vector)
      #expect(try worker.nextPiece(timeout: .seconds(60))?.bytes == bytes)
    }
  }

  @Test("who fetches too much at once is told so, and it is counted")
  func tooMany() throws {
    let stage = try Stage(.inProcess, settings: settings)
    let (worker, peer) = try stage.join(settings)
    for ticket in 0...UInt64(Fetch.mostAtOnce) {
      worker.fetch(Fetch(ticket: ticket, part: 0, offset: 0, count: 1))
    }
    try stage.coordinator.expectRejection(.tooLarge)
    guard case .error(.tooLarge, _) = try worker.expectMessage() else {
      Issue.record("no word of it")
      return
    }
    // Once one is answered there is room for another.
    try stage.coordinator.answer(Piece(ticket: 0, partBytes: 1, bytes: [1]), to: peer)
    #expect(try worker.nextPiece(timeout: .seconds(60))?.ticket == 0)
    worker.fetch(Fetch(ticket: 99, part: 0, offset: 0, count: 1))
    var last: Fetch?
    while last?.ticket != 99 {
      last = try #require(try stage.coordinator.nextFetch(timeout: .seconds(60))).1
    }
    #expect(stage.coordinator.defects.total == 1)
  }

  @Test("a fetch of too much, or a piece that is longer than its part is refused")
  func senseless() {
    for count in [Fetch.mostBytes + 1, .max] {
      let parcel = Parcel(.fetch(Fetch(ticket: 1, part: 1, offset: 1, count: count)))
      #expect(throws: Defect.self) { try parcel.message() }
    }
    for (total, count) in [(1, 2), (1 << 30, Fetch.mostBytes + 1)] {
      let bytes = [UInt8](repeating: 1, count: count)
      let parcel = Parcel(.piece(Piece(ticket: 1, partBytes: total, bytes: bytes)))
      #expect(throws: Defect.self) { try parcel.message() }
    }
  }

  @Test("a stranger gets nothing", arguments: Wire.allCases)
  func stranger(wire: Wire) throws {
    let stage = try Stage(wire, settings: settings)
    let link = try stage.transport.connect(to: stage.coordinator.address)
    let fetch = frame(
      .fetch(Fetch(ticket: 1, part: 0, offset: 0, count: 1)), run: stage.run, term: 1)
    _ = link.send(fetch)
    try stage.coordinator.expectRejection(.notJoined)
    #expect(try stage.coordinator.nextFetch(timeout: .milliseconds(10)) == nil)
    link.close(linger: .zero)
  }

  @Test(
    "who waits for a piece is woken by a nudge, by a loss, and by the end", arguments: [0, 1, 2])
  func waiting(how: Int) throws {
    let stage = try Stage(.inProcess, settings: settings)
    let (worker, peer) = try stage.join(settings)
    switch how {
    case 0:
      worker.nudge()
      #expect(try worker.nextPiece() == nil)
    case 1:
      stage.coordinator.close()
      let error = #expect(throws: ClusterError.self) { try worker.nextPiece() }
      #expect(error?.code == .closed && error?.detail.contains("is lost") == true)
      #expect(throws: ClusterError.self) { try stage.coordinator.nextFetch() }
      #expect(throws: ClusterError.self) {
        try stage.coordinator.answer(Piece(ticket: 1, refusal: "no"), to: peer)
      }
    default:
      worker.close()
      let error = #expect(throws: ClusterError.self) { try worker.nextPiece() }
      #expect(error?.code == .closed)
    }
  }
}
