import Cluster
import Testing

@Suite struct LinkTests {
  @Test("a message stays whole while it is answered", arguments: Wire.allCases)
  func answerWhileReading(wire: Wire) throws {
    let (transport, address) = wire.make()
    let server = try transport.listen(at: address)
    let client = try transport.connect(to: server.address)
    defer {
      client.close(linger: .zero)
      server.close(linger: .zero)
    }
    let question = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let answer = [UInt8](repeating: 0xEE, count: 5000)
    #expect(client.send(question) == .sent)
    var seen: [UInt8] = []
    while seen.isEmpty {
      server.wait(forMessages: true, until: .now + .seconds(60))
      _ = server.receive { peer, bytes in
        for _ in 0..<3 {
          let delivery = server.send(to: peer, byteCount: answer.count) {
            $0.copyBytes(from: answer)
          }
          #expect(delivery == .sent)
        }
        seen = bytes.withUnsafeBytes { Array($0) }
      }
    }
    #expect(seen == question)
  }

  @Test("a peer that never was is unreachable", arguments: Wire.allCases)
  func unreachable(wire: Wire) throws {
    let (transport, address) = wire.make()
    let server = try transport.listen(at: address)
    defer { server.close(linger: .zero) }
    var isWritten = false
    #expect(server.send(to: .random(), byteCount: 1) { _ in isWritten = true } == .unreachable)
    #expect(!isWritten)
  }
}
