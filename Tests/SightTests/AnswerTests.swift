import Foundation
import Sight
import Testing
import Training

@Suite("What is answered")
struct AnswerTests {
  /// A name that wants to be more than a name.
  static let mean = "</script><b>\"\\\n{}=\u{1F3B5}"

  @Test(
    "metrics are Prometheus's text, whatever is known",
    arguments: ["nothing", "a busy run", "a mean name", "a run that diverges"])
  func metrics(of what: String) throws {
    var view = what == "nothing" ? Samples.nothing : Samples.busy()
    if what == "a mean name" { view = Samples.busy(name: Self.mean) }
    if what == "a run that diverges" {
      view.append(
        StepReport(step: 50, epoch: 1, loss: .nan, learningRate: 0, gradientNorm: .infinity),
        reaching: view.position, clips: 8, seconds: .nan, dataWaitShare: nil)
    }
    let answer = Answer(to: "GET", "/metrics", seeing: view)
    #expect(answer.type == "text/plain; version=0.0.4; charset=utf-8")
    let text = try PrometheusText(answer.body)
    #expect(text.families.values.allSatisfy { $0.type != nil })
    #expect(text.families.keys.allSatisfy { $0.hasPrefix("tutti_") })
    #expect(text["tutti_build_info", "version", Build.version] == 1)
    guard what != "nothing" else {
      #expect(text["tutti_loss"] == nil && text["tutti_state", "state", "starting"] == 1)
      return
    }
    let name = what == "a mean name" ? Self.mean : "run"
    #expect(text["tutti_run_info", "run", name] == 1)
    #expect(text["tutti_state", "state", "training"] == 1)
    #expect(text.families["tutti_state"]?.samples.map(\.value).reduce(0, +) == 1)
    if what == "a run that diverges" {
      #expect(text["tutti_loss"]?.isNaN == true && text["tutti_gradient_norm"] == .infinity)
      return
    }
    #expect(text["tutti_step"] == 50 && text["tutti_steps_planned"] == 200)
    #expect(text["tutti_loss"] == 0.02 && text["tutti_learning_rate"] == 1e-3)
    #expect(text["tutti_validation_roc_auc"] == 0.875)
    #expect(text["tutti_best_validation_roc_auc"] == 0.875)
    #expect(text["tutti_clips_per_second"] == 32 && text["tutti_seconds_per_step"] == 0.25)
    #expect(text["tutti_data_wait_share"] == 0.125)
    for state in ["joining", "working", "spare", "leaving"] {
      #expect(text["tutti_workers", "state", state] == 1)
    }
    #expect(text["tutti_faults_total", "kind", "death"] == 1)
    #expect(text["tutti_faults_total", "kind", "notFinite"] == 0)
    #expect(text["tutti_faults_total", "kind", "recovery"] == nil)
    #expect(text["tutti_sent_bytes_total"] == 1_000_000)
  }

  /// What the page reads.
  struct Status: Decodable {
    struct Curve: Decodable {
      let step: [Int]
      let mean, least, greatest: [Double]
      let valuesInPoint: Int
    }
    struct Worker: Decodable {
      let host, state: String
      let firstLane, lanes: Int
      let clipsPerSecond: Double?
    }
    struct Tag: Decodable {
      let name: String
      let rocAUC: Double?
    }
    struct Event: Decodable {
      let time, kind, text: String
      let isFault: Bool
    }
    let state: String
    let run: String?
    let step: Int
    let loss: Double?
    let curves: [String: Curve]
    let workers: [Worker]
    let tags: [Tag]
    let events: [Event]
  }

  private func status(_ view: RunView) throws -> Status {
    let answer = Answer(to: "GET", "/status", seeing: view)
    #expect(answer.type == "application/json")
    return try JSONDecoder().decode(Status.self, from: Data(answer.body.utf8))
  }

  @Test("the status has workers, tags, curves and events")
  func status() throws {
    #expect(try status(Samples.nothing).state == "starting")
    let busy = try status(Samples.busy(name: Self.mean, host: Self.mean))
    #expect(busy.run == Self.mean && busy.state == "training" && busy.step == 50)
    #expect(busy.workers.map(\.state) == ["working", "spare", "leaving", "joining"])
    #expect(busy.workers[0].host == Self.mean && busy.workers[0].lanes == 1)
    #expect(busy.workers[0].clipsPerSecond == 4)
    #expect(busy.tags.map(\.rocAUC) == [1, nil])
    #expect(busy.curves["loss"]?.step == Array(1...50))
    #expect(busy.curves["rocAUC"]?.mean == [0.875])
    #expect(busy.curves["validationLoss"]?.step == [1, 50])
    #expect(busy.events.map(\.kind) == ["recovery", "death"])
    #expect(busy.events.map(\.isFault) == [false, true])
  }

  @Test("numbers that JSON does not have are left out")
  func notFinite() throws {
    var view = Samples.busy()
    view.append(
      StepReport(step: 50, epoch: 1, loss: .nan, learningRate: 0, gradientNorm: .infinity),
      reaching: view.position, clips: 8, seconds: .nan, dataWaitShare: nil)
    #expect(try status(view).loss == nil)
  }

  @Test("a million steps are as long as a thousand")
  func longRun() throws {
    let long = Answer(to: "GET", "/status", seeing: Samples.busy(steps: 1_000_000))
    #expect(long.body.utf8.count < 150_000, "\(long.body.utf8.count) bytes")
    let curve = try #require(try status(Samples.busy(steps: 1_000_000)).curves["loss"])
    #expect(curve.step.count <= 600 && curve.step.last == 1_000_000)
    #expect(curve.valuesInPoint == 2048)
  }

  @Test(
    "what is not there is 404, what cannot be done is 405",
    arguments: [
      ("GET", "/", 200), ("HEAD", "/metrics", 200), ("GET", "/status?x=1", 200),
      ("GET", "/healthz#x", 200), ("GET", "/nothing", 404), ("GET", "/metrics/", 404),
      ("GET", "", 404), ("GET", "//", 404), ("GET", "/../etc/passwd", 404), ("POST", "/", 405),
      ("DELETE", "/status", 405), ("get", "/", 405), ("POST", "/nothing", 404),
    ])
  func statuses(method: String, target: String, status: Int) {
    let answer = Answer(to: method, target, seeing: Samples.busy())
    #expect(answer.status == status)
    #expect(!answer.body.isEmpty)
    #expect((answer.headers["Allow"] != nil) == (status == 405))
  }

  @Test("health is a word, and 503 when the loop hangs")
  func health() {
    #expect(Answer(to: "GET", "/healthz", seeing: Samples.busy()).body == "training\n")
    var view = Samples.busy()
    view.sleep(false, at: .now - RunView.longestActivity - .seconds(60))
    let answer = Answer(to: "GET", "/healthz", seeing: view)
    #expect(answer.status == 503 && answer.body.hasPrefix("stuck: training"))
  }

  @Test("the page needs nothing from elsewhere, and takes no text for HTML")
  func page() throws {
    let answer = Answer(to: "GET", "/", seeing: Samples.nothing)
    #expect(answer.type == "text/html; charset=utf-8")
    #expect(answer.headers["Content-Security-Policy"]?.contains("default-src 'none'") == true)
    let addresses = answer.body.matches(of: /https?:[^"'\s]*/).map { String($0.0) }
    #expect(addresses == ["http://www.w3.org/2000/svg"])
    for word in [
      "src=", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
    ] {
      #expect(!answer.body.contains(word))
    }
  }
}

@Suite("Where to listen")
struct HTTPAddressTests {
  @Test(
    "PORT, HOST:PORT, [HOST]:PORT",
    arguments: [
      ("8080", "http://127.0.0.1:8080", true), ("0", "http://127.0.0.1:0", true),
      ("localhost:80", "http://localhost:80", true), ("0.0.0.0:80", "http://0.0.0.0:80", false),
      ("[::1]:80", "http://[::1]:80", true), ("[::]:80", "http://[::]:80", false),
      ("127.0.0.1.example.org:80", "http://127.0.0.1.example.org:80", false),
    ])
  func addresses(text: String, description: String, isLocal: Bool) throws {
    let address = try #require(HTTPAddress(text))
    #expect(address.description == description)
    #expect(address.isLocal == isLocal)
  }

  @Test(
    "and nothing else",
    arguments: [
      "", ":", ":80", "host:", "65536", "-1", "+80", "80a", "host:80:90", "::1", "a b:80",
      "http://host:80", "host/x:80", "[]:80", "٣",
    ])
  func others(text: String) { #expect(HTTPAddress(text) == nil) }
}
