import Cluster
import Foundation
import Testing

/// Workers that connect by themselves, and others that should not have.
@Suite("At the coordinator's port")
struct NetworkTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String
  let port = RawConnection.freePort()
  var address: String { "tcp://127.0.0.1:\(port)" }

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  /// What a stranger may say before and after the handshake of ZeroMQ.
  enum Rubbish: CaseIterable {
    case nothing, http, noise, halfGreeting, greetingAndNoise, greetingAndHugeCommand
    case hugeFrame, emptyFrame, noiseFrame, twoParts, otherVersion, hugeChunk, damagedFrame

    func say(at port: UInt16) throws {
      let connection = try RawConnection(port: port)
      switch self {
      case .nothing: break
      case .http: connection.send(Data("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      case .noise: connection.send(Self.noise(5000))
      case .halfGreeting: connection.send(RawConnection.greeting.prefix(20))
      case .greetingAndNoise: connection.send(RawConnection.greeting + Self.noise(500))
      case .greetingAndHugeCommand:
        connection.send(RawConnection.greeting + [6] + Self.hugeSize + Self.noise(100))
      case .hugeFrame:
        connection.shakeHands()
        connection.send([2] + Self.hugeSize + Self.noise(100))
      case .emptyFrame: sendFrame(Data(), connection)
      case .noiseFrame: sendFrame(Self.noise(200), connection)
      case .twoParts:
        connection.shakeHands()
        connection.send(
          RawConnection.frame(Self.noise(9), moreFollow: true) + RawConnection.frame(Self.noise(9)))
      case .otherVersion: sendFrame(Self.header(version: 99), connection)
      case .hugeChunk: sendFrame(Self.header(chunkBytes: .max), connection)
      case .damagedFrame: sendFrame(Self.header(), connection)
      }
    }

    private func sendFrame(_ bytes: Data, _ connection: RawConnection) {
      connection.shakeHands()
      connection.send(RawConnection.frame(bytes))
      _ = connection.receive()
    }

    private static let hugeSize = Data([0x3F] + [UInt8](repeating: 0xFF, count: 7))

    private static func noise(_ count: Int) -> Data {
      var random = SystemRandomNumberGenerator()
      return Data((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// A frame's header with zeros for everything else, its checksum among them.
    private static func header(
      version: UInt16 = FrameHeader.protocolVersion, chunkBytes: UInt32 = 0
    ) -> Data {
      var header = Data("TUTI".utf8)
      header.append(integer: version)
      header += Data(count: 54)
      header.append(integer: chunkBytes)
      return header + Data(count: 24)
    }
  }

  @Test("rubbish is counted and changes nothing")
  func rubbish() throws {
    let training = material.training(
      run, "--workers", "1", "--bind", address, "--await", "1", "--threads", "1")
    try Program.start("coordinator", training) { coordinator in
      try coordinator.wait(for: "the local worker") { coordinator.errors.contains("(1 of 2)") }
      for rubbish in Rubbish.allCases { try rubbish.say(at: port) }
      try Program.start(
        "worker", ["--connect", address, "--data", material.store, "--threads", "1"]
      ) { worker in
        var said = 0
        while !coordinator.hasEnded {
          // In the moment of its end nobody listens any more.
          try? Rubbish.allCases[said % Rubbish.allCases.count].say(at: port)
          said += 1
        }
        let workersEnding = try worker.wait()
        #expect(workersEnding.code == 0, "\(workersEnding.errors)")
        #expect(said > 0)
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      let summary = try #require(
        ending.errors.split(separator: "\n").last { $0.contains("messages refused: ") })
      for defect in [
        "not a Tutti frame", "another protocol version", "wrong size", "wrong checksum",
        "not one part",
      ] {
        #expect(summary.contains(defect), "\(summary)")
        // Once each, however often it comes.
        let lines = ending.errors.split(separator: "\n").filter {
          $0.contains("refused a message from ") && $0.contains(": \(defect): ")
        }
        #expect(lines.count == 1, "\(ending.errors)")
      }
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("workers that connect by themselves leave the same bytes and end with the run")
  func remoteWorkers() throws {
    let worker = ["--connect", address, "--data", material.store, "--threads", "1"]
    // They may start before the coordinator.
    try Program.start("worker", worker) { first in
      try Program.start("worker", worker) { second in
        let ending = try Program.run(
          "coordinator", material.training(run, "--bind", address, "--await", "2"))
        #expect(ending.code == 0, "\(ending.errors)")
        for worker in [first, second] {
          let ending = try worker.wait()
          #expect(ending.code == 0)
          #expect(ending.errors.isEmpty)
        }
      }
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("a worker with another store is refused with both fingerprints, and the run waits on")
  func otherStore() throws {
    let other = try Refusal.Place(material: material, folder: folder).otherStore()
    try Program.start("coordinator", material.training(run, "--bind", address, "--await", "1")) {
      coordinator in
      let refused = try Program.run("worker", ["--connect", address, "--data", other])
      #expect(refused.code == 65)
      for store in [other, material.store] {
        #expect(
          refused.lastError.contains(try fingerprint(of: store).prefix(12)), "\(refused.errors)")
      }
      try coordinator.wait(for: "its words on that") {
        try coordinator.errors.contains("cannot go on")
          && coordinator.errors.contains(fingerprint(of: other).prefix(12))
      }
      let accepted = try Program.run("worker", ["--connect", address, "--data", material.store])
      #expect(accepted.code == 0, "\(accepted.errors)")
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("a worker that leaves before the run begins is replaced")
  func leavesEarly() throws {
    let worker = ["--connect", address, "--data", material.store, "--threads", "1"]
    try Program.start("coordinator", material.training(run, "--bind", address, "--await", "2")) {
      coordinator in
      try Program.start("worker", worker) { first in
        try coordinator.wait(for: "the first worker") { coordinator.errors.contains("(1 of 2)") }
        first.signal(SIGTERM)
        let ending = try first.wait()
        #expect(ending.code == 130)
        try coordinator.wait(for: "its words on that") {
          coordinator.errors.contains("has left the run")
        }
      }
      try Program.start("worker", worker) { second in
        let third = try Program.run("worker", worker)
        #expect(third.code == 0, "\(third.errors)")
        let ending = try second.wait()
        #expect(ending.code == 0, "\(ending.errors)")
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
    }
    #expect(try digest(run + "/last.safetensors") == material.reference.last)
  }

  @Test("a worker whose coordinator is killed looks for it, says so, and ends after --wait")
  func coordinatorKilled() throws {
    try Program.start("coordinator", material.training(run, "--bind", address, "--await", "1")) {
      coordinator in
      let worker = ["--connect", address, "--data", material.store, "--wait", "4"]
      try Program.start("worker", worker) { worker in
        try coordinator.wait(for: "a step") { try metrics(run, "step").count >= 2 }
        coordinator.signal(SIGKILL)
        let ending = try worker.wait()
        #expect(ending.code == 69)
        #expect(ending.errors.contains("the coordinator at \(address) is lost"))
        #expect(ending.lastError.contains("nobody answered"))
      }
    }
  }

  @Test("a worker without a coordinator gives up after --wait, and says where it looked")
  func nobodyThere() throws {
    let ending = try Program.run(
      "worker", ["--connect", address, "--data", material.store, "--wait", "1"])
    #expect(ending.code == 69)
    #expect(ending.lastError.contains(address))
    #expect(ending.lastError.contains("nobody answered"))
    #expect(ending.lastError.contains("(tried for 1"))
  }

  @Test("a worker at somebody else's port gives up")
  func somebodyElse() throws {
    let holder = PortHolder()
    let ending = try Program.run(
      "worker",
      ["--connect", "tcp://127.0.0.1:\(holder.port)", "--data", material.store, "--wait", "1"])
    #expect(ending.code == 69)
    #expect(ending.lastError.contains("\(holder.port)"))
  }

  @Test(
    "an address that cannot be is refused at once",
    arguments: ["127.0.0.1:5700", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "tcp://:5700"])
  func malformedAddress(address: String) throws {
    let ending = try Program.run(
      "worker", ["--connect", address, "--data", material.store])
    #expect(ending.code == 69)
    #expect(ending.lastError.contains(address))
    #expect(ending.lastError.contains("tcp://HOST:PORT"))
  }

  @Test("a port in use ends the coordinator, and its run can begin elsewhere")
  func portInUse() throws {
    let holder = PortHolder()
    let busy = "tcp://127.0.0.1:\(holder.port)"
    let ending = try Program.run(
      "coordinator", material.training(run, "--workers", "1", "--bind", busy, "--await", "1"))
    #expect(ending.code == 69)
    #expect(ending.lastError.contains(busy))
    #expect(ending.lastError.contains("in use"))
    #expect(!Files.exists(run))
  }

  private func fingerprint(of store: String) throws -> String {
    let object = try JSONSerialization.jsonObject(with: try Files.bytes(store + "/store.json"))
    return try #require((object as? [String: Any])?["fingerprint"] as? String)
  }
}
