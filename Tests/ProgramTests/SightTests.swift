import Foundation
import Testing

/// A coordinator that answers over HTTP.
@Suite("A run can be watched")
struct SightTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  /// A coordinator that waits for a worker, and where it is to be seen.
  private func waiting(_ body: (Program, UInt16) throws -> Void) throws {
    let arguments = material.training(
      run, "--bind", "tcp://127.0.0.1:0", "--await", "1", "--http", "0")
    try Program.start("coordinator", arguments) { coordinator in
      try coordinator.wait(for: "its port") { coordinator.errors.contains("waiting for 1 worker") }
      try body(coordinator, try Self.port(of: coordinator))
    }
  }

  private static func port(of coordinator: Program) throws -> UInt16 {
    let match = coordinator.errors.firstMatch(
      of: /showing this run at http:\/\/127\.0\.0\.1:(\d+)\n/)
    return try #require(match.flatMap { UInt16($0.1) }, "\(coordinator.errors)")
  }

  // MARK: Answers

  @Test("at every path, in the words and types of that path")
  func paths() throws {
    try waiting { coordinator, port in
      let health = try HTTPReply(port, "GET /healthz")
      #expect(health.status == 200 && health.body == "waiting\n")
      let metrics = try HTTPReply(port, "GET /metrics")
      #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      #expect(metrics.body.contains("\ntutti_state{state=\"waiting\"} 1\n"))
      let status = try HTTPReply(port, "GET /status?x")
      #expect(status.headers["content-type"] == "application/json")
      #expect(try status.json["state"] as? String == "waiting")
      let page = try HTTPReply(port, "GET /")
      #expect(page.headers["content-type"] == "text/html; charset=utf-8")
      #expect(page.body.hasSuffix("</html>\n"))

      let head = try HTTPReply(port, "HEAD /")
      #expect(head.status == 200 && head.body.isEmpty)
      #expect(head.headers["content-length"] == "\(page.body.utf8.count)")
      #expect(try HTTPReply(port, "GET /nothing").status == 404)
      let post = try HTTPReply(port, "POST /status", "Content-Length: 3", body: "abc")
      #expect(post.status == 405 && post.headers["allow"] == "GET, HEAD")
      #expect(try HTTPReply(port, "GET /healthz", version: "HTTP/1.0").status == 200)
      #expect(!coordinator.hasEnded)
    }
  }

  @Test("and closes at what is no request", arguments: Rubbish.allCases)
  func rubbish(_ rubbish: Rubbish) throws {
    try waiting { coordinator, port in
      let reply = try rubbish.send(to: port)
      // Who still talks when the door shuts may not hear why.
      #expect(reply.hasPrefix("HTTP/1.1 400 ") || rubbish.isLong && reply.isEmpty, "\(reply)")
      #expect(try HTTPReply(port, "GET /healthz").body == "waiting\n")
    }
  }

  enum Rubbish: CaseIterable {
    case noise, noVersion, endlessLine, endlessHeader, manyHeaders, badLength, zeroMQ

    private var bytes: Data {
      let mebibyte = String(repeating: "a", count: 1 << 20)
      return switch self {
      case .noise: Data((0..<256).map { UInt8(truncatingIfNeeded: $0 &* 37) })
      case .noVersion: Data("GET\r\n\r\n".utf8)
      case .endlessLine: Data("GET /\(mebibyte)".utf8)
      case .endlessHeader: Data("GET / HTTP/1.1\r\nX: \(mebibyte)".utf8)
      case .manyHeaders:
        Data(("GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 10_000)).utf8)
      case .badLength: Data("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".utf8)
      case .zeroMQ: RawConnection.greeting
      }
    }

    var isLong: Bool { bytes.count > 1024 }

    /// - Returns: the answer; the connection is closed after it
    /// - Throws: `Program.Failure` if it is not
    func send(to port: UInt16) throws -> String {
      let connection = try RawConnection(port: port)
      connection.send(bytes)
      var reply = Data()
      let deadline = ContinuousClock.now + .seconds(120)
      while !connection.isClosed {
        reply += connection.receive()
        guard ContinuousClock.now < deadline else {
          throw Program.Failure(description: "\(self) is still listened to")
        }
      }
      return String(decoding: reply, as: UTF8.self)
    }
  }

  // MARK: The run

  @Test("a port in use ends it before anything is made", arguments: [false, true])
  func portInUse(resumes: Bool) throws {
    let holder = PortHolder()
    if resumes { try Files.copy(material.reference.run, to: run) }
    let arguments =
      (resumes ? material.resuming(run) : material.training(run))
      + ["--workers", "1", "--http", "\(holder.port)"]
    let ending = try withExtendedLifetime(holder) { try Program.run("coordinator", arguments) }
    #expect(ending.code == 69)
    #expect(ending.lastError.contains("http://127.0.0.1:\(holder.port)"), "\(ending.errors)")
    #expect(ending.lastError.contains("Address already in use; give --http another port"))
    #expect(Files.exists(run) == resumes)
    if resumes {
      #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    }
  }

  @Test("figures, workers and faults are those of the run")
  func figures() throws {
    let arguments = material.training(
      run, "--workers", "2", "--threads", "1", "--http", "0", "--set", "training.epochs=400",
      "--set", "training.patience=400")
    try Program.start("coordinator", arguments) { coordinator in
      try coordinator.wait(for: "steps") { try metrics(run, "validation").count >= 2 }
      let port = try Self.port(of: coordinator)
      let status = try HTTPReply(port, "GET /status").json
      #expect(status["run"] as? String == "run" && status["network"] as? String == "crnn")
      #expect((status["step"] as? Int ?? 0) >= 14)
      #expect(status["stepsPlanned"] as? Int == 2800)
      #expect((status["tags"] as? [[String: Any]])?.count == 4)
      let workers = try #require(status["workers"] as? [[String: Any]])
      #expect(workers.compactMap { $0["lanes"] as? Int }.reduce(0, +) == Material.lanes)
      #expect(
        Set(workers.compactMap { $0["process"] as? Int }.map(pid_t.init))
          == Set(coordinator.children))
      let step = try #require(
        try HTTPReply(port, "GET /metrics").body.firstMatch(of: /\ntutti_step (\d+)\n/))
      #expect(try #require(Int(step.1)) >= 14)

      // A worker has nothing of the coordinator's that it was not given: no port, no visitor.
      let victim = try #require(coordinator.children.first)
      #expect(Self.sockets(of: victim).isDisjoint(with: Self.sockets(of: coordinator.processID)))
      kill(victim, SIGKILL)
      try coordinator.wait(for: "its loss to show") {
        try HTTPReply(port, "GET /metrics").body.contains("tutti_faults_total{kind=\"death\"} 1\n")
      }
      let events = try #require(
        try HTTPReply(port, "GET /status").json["events"] as? [[String: Any]])
      // Its end and the end of its connection are both news; what is heard first is told.
      #expect(
        events.contains { event in
          let text = event["text"] as? String ?? ""
          return text.contains("was killed by signal 9") || text.contains("is lost: ")
        })
      try coordinator.wait(for: "what was sent to be counted") {
        let sent = try HTTPReply(port, "GET /status").json["sentBytes"] as? Int ?? 0
        return sent > 0
      }
      coordinator.signal(SIGTERM)
      #expect(try coordinator.wait().code == 130)
    }
  }

  private static func sockets(of process: pid_t) -> Set<String> {
    let folder = "/proc/\(process)/fd"
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return Set(
      files.compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
      }
      .filter { $0.hasPrefix("socket:") })
  }

  // MARK: Crowds

  @Test("a thousand slow visitors take few descriptors and keep nobody out")
  func thousand() throws {
    try waiting { coordinator, port in
      let beforehand = Self.sockets(of: coordinator.processID).count
      var slow: [RawConnection] = []
      for number in 0..<1000 {
        let connection = try RawConnection(port: port)
        connection.send(Data("GET /status HTTP/1.1\r\nX-Slow: \(number)".utf8))
        slow.append(connection)
        if number % 100 == 99 {
          #expect(try HTTPReply(port, "GET /healthz").body == "waiting\n")
        }
      }
      try coordinator.wait(for: "the first to be shown out") { slow[0].isClosed }
      #expect(Self.sockets(of: coordinator.processID).count <= beforehand + 257)
      // The one who came last is still there, and gets what it asks for.
      slow[999].send(Data("\r\nConnection: close\r\n\r\n".utf8))
      #expect(try HTTPReply(slow[999]).status == 200)
    }
  }

  @Test("a run leaves the same bytes, whoever looks at it and how")
  func hammered() throws {
    let long = ["--set", "training.epochs=12", "--set", "training.patience=99"]
    let whole = folder / "whole"
    let undisturbed = try Program.run(
      "coordinator", material.training(whole, "--workers", "2", "--threads", "1") + long)
    #expect(undisturbed.code == 0, "\(undisturbed.errors)")
    let arguments =
      material.training(run, "--workers", "2", "--threads", "1", "--http", "0") + long
    try Program.start("coordinator", arguments) { coordinator in
      try coordinator.wait(for: "its port") { coordinator.errors.contains("showing this run at") }
      let port = try Self.port(of: coordinator)
      var answers = 0
      var turn = 0
      while !coordinator.hasEnded {
        let slow = (0..<20).compactMap { _ in try? RawConnection(port: port) }
        for path in ["/", "/status", "/metrics", "/healthz", "/nothing"] {
          if let reply = try? HTTPReply(port, "GET \(path)"), reply.status == 200 { answers += 1 }
        }
        let rubbish = Rubbish.allCases[turn % Rubbish.allCases.count]
        _ = withExtendedLifetime(slow) { try? rubbish.send(to: port) }
        turn += 1
      }
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(answers > 0)
    }
    #expect(try digest(run + "/last.safetensors") == digest(whole + "/last.safetensors"))
  }
}

/// What a server says to one request.
struct HTTPReply {
  let status: Int
  /// Names in lower case.
  let headers: [String: String]
  let body: String

  /// Asks at a port of this machine: `GET /path`.
  init(
    _ port: UInt16, _ request: String, _ header: String? = nil, body: String = "",
    version: String = "HTTP/1.1"
  ) throws {
    let connection = try RawConnection(port: port)
    let lines =
      ["\(request) \(version)", "Host: here", "Connection: close"] + [header].compactMap(\.self)
    connection.send(Data((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
    try self.init(connection)
  }

  /// Reads until the other side hangs up.
  init(_ connection: RawConnection) throws {
    var bytes = Data()
    let deadline = ContinuousClock.now + .seconds(120)
    while !connection.isClosed, ContinuousClock.now < deadline { bytes += connection.receive() }
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let lines = parts[0].split(separator: "\r\n")
    guard parts.count == 2, let first = lines.first,
      let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { throw Program.Failure(description: "no answer but: \(text.prefix(200))") }
    self.status = status
    headers = Dictionary(
      lines.dropFirst().compactMap { line in
        line.firstIndex(of: ":").map {
          (
            line[..<$0].lowercased(),
            line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces)
          )
        }
      }, uniquingKeysWith: { $0 + ", " + $1 })
    body = String(parts[1])
  }

  var json: [String: Any] {
    get throws {
      try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any] ?? [:]
    }
  }
}
