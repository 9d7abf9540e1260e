import Cluster
import Foundation
import Testing

@Suite(.serialized) struct AddressTests {
  static func listen(_ address: String) throws -> CoordinatorEndpoint {
    try CoordinatorEndpoint(
      listeningAt: address, run: .random(), term: 1, settings: EndpointSettings())
  }

  @Test(
    "an endpoint that is free is bound, and says where",
    arguments: [
      "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "tcp://*:0", "tcp://*:*", "tcp://localhost:0",
    ])
  func ephemeral(address: String) throws {
    let endpoint = try Self.listen(address)
    let port = try #require(endpoint.address.split(separator: ":").last.flatMap { Int($0) })
    #expect(port > 0)
    let worker = try WorkerEndpoint(connectingTo: "tcp://localhost:\(port)", hello: someHello)
    worker.close()
  }

  @Test("a local socket does as well")
  func local() throws {
    let path = "/tmp/tutti-test-\(UInt64.random(in: 0 ... .max)).socket"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let endpoint = try Self.listen("ipc://\(path)")
    #expect(endpoint.address == "ipc://\(path)")
    let worker = try WorkerEndpoint(connectingTo: endpoint.address, hello: someHello)
    worker.close()
  }

  @Test("a port in use is a clear error, on both wires", arguments: Wire.allCases)
  func inUse(wire: Wire) throws {
    let stage = try Stage(wire, settings: EndpointSettings())
    let error = #expect(throws: ClusterError.self) {
      try CoordinatorEndpoint(
        listeningAt: stage.coordinator.address, over: stage.transport, run: .random(), term: 1,
        settings: EndpointSettings())
    }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains("in use") == true)
    #expect(error?.description.contains(stage.coordinator.address) == true)
  }

  @Test(
    "what cannot be listened at is refused with the reason",
    arguments: [
      ("", "HOST:PORT"), ("5700", "HOST:PORT"), ("tcp://", "HOST:PORT"),
      ("tcp://127.0.0.1", "HOST:PORT"), ("udp://127.0.0.1:1", "HOST:PORT"),
      ("tcp://:5700", "HOST:PORT"), ("tcp://127.0.0.1:", "port"), ("tcp://127.0.0.1:-1", "port"),
      ("tcp://127.0.0.1:65536", "port"), ("tcp://127.0.0.1:http", "port"),
      ("tcp://no.such.host.invalid:5700", "no.such.host.invalid"),
      ("tcp://192.0.2.1:5700", "no such address"), ("ipc://", "path"),
      ("ipc:///no/such/folder/x", "No such file"),
    ])
  func malformed(address: String, reason: String) {
    let error = #expect(throws: ClusterError.self) { try Self.listen(address) }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test(
    "what cannot be connected to is refused with the reason",
    arguments: [
      ("tcp://127.0.0.1:0", "port"), ("tcp://*:5700", "host"), ("inproc://x", "HOST:PORT"),
      ("tcp://no.such.host.invalid:5700", "no.such.host.invalid"), ("nonsense", "HOST:PORT"),
    ])
  func unreachable(address: String, reason: String) {
    let error = #expect(throws: ClusterError.self) {
      try WorkerEndpoint(connectingTo: address, hello: someHello)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }
}
