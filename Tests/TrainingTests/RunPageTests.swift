import Foundation
import FoundationXML
import Testing
import Training

@Suite struct RunPageTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  static let tags = ["rock", "metal", "sad", "80s", "unheard-of"]
  static let areas = [0.912, 0.834, 0.756, 0.678, 0.551]

  func page(_ run: ReportedRun) throws -> String {
    try run.write()
    let page = try RunPage(RunReading(run.path)).page.html
    // A browser reads it as HTML; that it is also XML shows that everything was closed and escaped.
    _ = try ParsedPage(page)
    return page
  }

  @Test("the numbers on the page are the log's")
  func numbers() throws {
    var run = ReportedRun(folder / "run")
    run.configuration.training.seed = 77
    run.train(steps: 60, perEpoch: 10, tags: Self.tags, areas: Self.areas)
    run.confusions = confusions(step: 60)
    let parsed = try ParsedPage(try page(run))
    let words = parsed.words
    for expected in [
      "1,234 weights and biases", "5 tags", "1,600 clips to train on, 40 to validate, 30 to test",
      "8 lanes × 2 clips", "Tutti 9.8.7", "Best validation ROC-AUC 0.6600 at step 60, epoch 6",
      "Test ROC-AUC 0.7654 PR-AUC 0.4321", "Clips a second 32 median; 3.1 %",
      "5 s an epoch; 1:00:00 from start to end", "Steps 60 6 epochs", "seed 77",
      "rock 0.912 0.912", "unheard-of 0.551", "Genres · 2 tags, mean 0.873, 0.873",
      "rock / metal 0.700 0.600 0.800 9 8", "training.seed 77 0", "At their defaults",
    ] {
      #expect(words.contains(expected), "\(expected)")
    }
    #expect(parsed.headings.first == "run")
    for heading in [
      "Validations", "Tag by tag", "Confusions of related tags", "Settings", "At their defaults",
    ] {
      #expect(parsed.headings.contains(heading), "\(heading)")
    }
    #expect(!words.contains("goes on") && !words.contains("was stopped"))
  }

  /// Tags 0 and 1, and all others, which are told apart.
  private func confusions(step: Int) -> String {
    let rows = (0..<5).map { i in
      (0..<5).map { j in
        i == j ? "null" : i + j != 1 ? "0.99" : i == 0 ? "0.6" : "0.8"
      }.joined(separator: ",")
    }
    let clips = (0..<5).map { i in
      (0..<5).map { j in i == 0 ? "9" : j == 0 ? "8" : "7" }.joined(separator: ",")
    }
    let names = Self.tags.map { "\"\($0)\"" }.joined(separator: ",")
    return """
      {"split":"test","step":\(step),"tags":[\(names)],"clips":[[\(clips.joined(separator: "],["))]],\
      "rocAUC":[[\(rows.joined(separator: "],["))]]}
      """
  }

  @Test("the page needs nothing from elsewhere, runs nothing, and every drawing has a name")
  func selfContained() throws {
    var run = ReportedRun(folder / "run")
    run.train(steps: 60, perEpoch: 10, tags: Self.tags, areas: Self.areas)
    run.confusions = confusions(step: 60)
    let page = try page(run)
    let parsed = try ParsedPage(page)
    #expect(parsed.references.isEmpty)
    #expect(parsed.counts["script"] == nil && parsed.counts["link"] == nil)
    #expect(!page.contains("url(") && !page.contains("@import") && !page.contains("http"))
    #expect(parsed.counts["figure"] == 5 && parsed.counts["figcaption"] == 5)
    #expect(page.matches(of: /role="img"[^>]*><title>/).count == 5)
    #expect(page.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
    #expect(page.contains("@media print") && page.contains("prefers-color-scheme: dark"))
  }

  @Test("what comes from outside is text, whatever it says")
  func escaping() throws {
    let evil = "<script>alert(\"1\")</script>&amp;]]>\u{0}\u{1b}\u{ffff}'"
    var run = ReportedRun(folder / "<b>run & more")
    run.train(steps: 20, perEpoch: 10, tags: [evil, "b\"", "c", "d", "e"], areas: Self.areas)
    run.add(
      "crew", step: 5, ["event": .text("<i>death"), "text": .text("worker \(evil) is lost")])
    run.confusions = "{\"tags\":\"<script>\"}"
    let page = try page(run)
    #expect(!page.contains("<script") && !page.contains("<i>death"))
    let parsed = try ParsedPage(page)
    #expect(parsed.counts["script"] == nil)
    #expect(parsed.words.contains("<script>alert(\"1\")</script>&amp;]]>\u{fffd}\u{fffd}\u{fffd}'"))
    #expect(parsed.headings.first == "<b>run & more")
  }

  @Test("faults stand in a table with what they cost, and where they fell in the drawing")
  func faults() throws {
    var run = ReportedRun(folder / "run")
    run.train(steps: 100, perEpoch: 10, tags: Self.tags, areas: Self.areas)
    run.add("crew", step: 30, ["event": .text("death"), "text": .text("worker a:1 is lost")])
    run.add(
      "crew", step: 30,
      ["event": .text("reassignment"), "text": .text("lanes"), "lanes": .text("0-3")])
    run.add(
      "crew", step: 30,
      [
        "event": .text("recovery"), "text": .text("whole"), "lanes": .integer(4),
        "seconds": .number(1.25),
      ])
    run.add("crew", step: 70, ["event": .text("join"), "text": .text("worker b:2 is ready")])
    run.add("skipped", step: 40, ["epoch": .integer(3)])
    let page = try page(run)
    let words = try ParsedPage(page).words
    #expect(words.contains("Faults 2 listed below"))
    #expect(
      words.contains("Faults: 1 death, 1 reassignment. 1 recovery: 4 lanes computed again, 1.25 s"))
    #expect(words.contains("30 recovery whole 4 1.25"))
    #expect(words.contains("70 join worker b:2 is ready"))
    #expect(words.contains("1 step was left out") && words.contains("the first is step 40"))
    #expect(page.contains("<path class=\"fall\"") && words.contains("death …"))
  }

  @Test(
    "200,000 steps, as many validations and faults as they may have, make a page of the same size")
  func size() throws {
    var run = ReportedRun(folder / "run")
    var lines: [String] = []
    for step in 1...200_000 {
      lines.append(
        "{\"kind\":\"step\",\"step\":\(step),\"epoch\":\(step / 2_000),\"loss\":\(0.7 - Double(step % 977) * 1e-4),\"learningRate\":0.001,\"clipsPerSecond\":\(20 + step % 7)}"
      )
      guard step % 200 == 0 else { continue }
      lines.append(
        "{\"kind\":\"validation\",\"step\":\(step),\"epoch\":\(step / 2_000),\"loss\":0.5,\"rocAUC\":0.7,\"prAUC\":0.4}"
      )
      lines.append(
        "{\"kind\":\"crew\",\"step\":\(step),\"event\":\"death\",\"text\":\"\(String(repeating: "long ", count: 400))\"}"
      )
    }
    run.log = lines.joined(separator: "\n") + "\n"
    let page = try page(run)
    #expect(page.utf8.count < 250_000, "\(page.utf8.count) bytes")
    let words = try ParsedPage(page).words
    #expect(words.contains("60 of 1,000; metrics.jsonl has all"))
    #expect(words.contains("is the mean of 512 steps"))
    #expect(words.contains("of 1,000, spread over the run"))
    // The last step is on the page, and so is the greatest loss, in the band.
    #expect(words.contains("Steps 200,000"))
  }

  @Test("a log of an older build, torn at its end, gives what it has")
  func older() throws {
    var run = ReportedRun(folder / "run")
    run.log = """
      {"kind":"step","step":1,"epoch":0,"loss":0.7}
      {"kind":"step","step":2,"epoch":0,"loss":null}
      {"kind":"validation","step":2,"epoch":1,"loss":0.5,"rocAUC":0.625}
      {"kind":"end","step":2,"testROCAUC":0.6125,"testTagROCAUC":[0.5,null],"testTagPRAUC":[]}
      {"kind":"step","st
      """
    let words = try ParsedPage(try page(run)).words
    #expect(words.contains("Best validation ROC-AUC 0.6250"))
    #expect(words.contains("Test ROC-AUC 0.6125 PR-AUC –"))
    #expect(words.contains("tag 1 0.500 – tag 2 – –"))
    #expect(words.contains("Time in steps –"))
    #expect(words.contains("Not known: the run has no readable confusions.json"))
  }

  @Test("a run that is not at its end says so; so does one without a step")
  func unfinished() throws {
    var run = ReportedRun(folder / "run")
    #expect(try ParsedPage(try page(run)).words.contains("No step has been made yet"))
    try FileManager.default.removeItem(atPath: run.path + "/metrics.jsonl")
    let bare = try RunPage(RunReading(run.path)).page.html
    #expect(try ParsedPage(bare).words.contains("No step has been made yet"))

    run.train(steps: 25, perEpoch: 10, tags: Self.tags, areas: Self.areas, ends: false)
    let stopped = try ParsedPage(try page(run)).words
    #expect(stopped.contains("The run was stopped after step 25, before its end"))
    #expect(stopped.contains("On the validation split at step 20, the best so far"))
    #expect(stopped.contains("Test ROC-AUC – at the run's end"))
    #expect(stopped.contains("in epoch 3, at most 100 epochs"))

    let lock = try RunFolder.resume(run.path)
    #expect(
      try ParsedPage(try page(run)).words.contains(
        "The run goes on: this is what there was after step 25"))
    withExtendedLifetime(lock) {}
  }

  @Test(
    "numbers beyond all measure, and lines that no run writes, end nothing",
    arguments: [
      #"{"kind":"step","step":9223372036854775807,"epoch":9223372036854775807,"loss":1}"#,
      #"{"kind":"step","step":1,"epoch":0,"loss":1e308,"clipsPerSecond":-1e308,"learningRate":1e-320}"#,
      #"{"kind":"step","step":9007199254740991,"epoch":0,"loss":-1e308,"clipsPerSecond":1e308}"#,
      #"{"kind":"crew","step":9223372036854775807,"event":"death"}"#,
      #"{"kind":"crew","step":9007199254740991,"event":"recovery","lanes":9223372036854775807,"seconds":1e300}"#,
      #"{"kind":"validation","step":3,"epoch":0,"rocAUC":-7,"prAUC":1e99,"tagROCAUC":[5,-5,null],"tagPRAUC":[1]}"#,
      #"{"kind":"term","step":0,"stepsPerEpoch":-9223372036854775808,"time":"never","tags":["x"]}"#,
      #"{"kind":"end","step":5,"bestStep":-3,"testTagROCAUC":[1e300],"time":"2026-01-02T04:04:05Z"}"#,
      "[]", "\u{0}\u{0}", #"{"kind":"step"}"#, #"{"kind":7}"#, "\r\n",
    ])
  func rubbish(line: String) throws {
    var run = ReportedRun(folder / "run")
    run.train(steps: 20, perEpoch: 10, tags: Self.tags, areas: Self.areas, ends: false)
    run.log += line + "\n" + line + "\n"
    #expect(try ParsedPage(try page(run)).words.contains("Steps"))
    run.log = line + "\n"
    #expect(try ParsedPage(try page(run)).words.contains("Steps"))
  }

  @Test("settings of another version stand as they are")
  func otherSettings() throws {
    var run = ReportedRun(folder / "run")
    run.train(steps: 20, perEpoch: 10, tags: Self.tags, areas: Self.areas)
    try run.write()
    try run.put("model:\n  telepathy: <yes>\n", "config.yaml")
    let words = try ParsedPage(try RunPage(RunReading(run.path)).page.html).words
    #expect(words.contains("Written by another version") && words.contains("telepathy: <yes>"))
  }

  @Test("a folder without a run is refused, and so is the place of something else")
  func refusals() throws {
    #expect(throws: RunError.self) { try RunReading(folder / "nowhere") }
    #expect(throws: RunError.self) { try RunReading(folder.path) }
    var run = ReportedRun(folder / "run")
    run.train(steps: 20, perEpoch: 10, tags: Self.tags, areas: Self.areas)
    try run.write()
    let precious = run.path + "/metrics.jsonl"
    let error = #expect(throws: TrainingError.self) {
      try ReportRequest(runs: [run.path], out: precious).write()
    }
    #expect(error?.status == .badInput)
    #expect(try String(contentsOfFile: precious, encoding: .utf8) == run.log)
    let request = try ReportRequest(runs: [run.path], out: nil)
    try request.write()
    try request.write()
    #expect(request.out == run.path + "/report.html")
    #expect(request.summary == "20 steps, to the end")
    #expect(throws: FileError.self) {
      try ReportRequest(runs: [run.path], out: folder / "no/such/folder.html").write()
    }
  }
}
