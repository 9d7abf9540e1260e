import Foundation
import FoundationXML
import Testing
import Training

@Suite struct ComparisonPageTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  static let tags = ["rock", "sad", "80s"]

  @discardableResult
  func run(
    _ name: String, network: Configuration.Network = .mlp, weights: Int = 1_000,
    fingerprint: String = "f1", seconds: Double = 0.5, ends: Bool = true,
    areas: [Double] = [0.9, 0.8, 0.7], _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> String {
    var run = ReportedRun(folder / name)
    run.configuration = Configuration(network: network)
    change(&run.configuration)
    run.train(
      steps: 40, perEpoch: 10, tags: Self.tags, areas: areas, seconds: seconds,
      fingerprint: fingerprint, weights: weights, ends: ends)
    try run.write()
    return run.path
  }

  func page(_ paths: [String]) throws -> (html: String, parsed: ParsedPage) {
    let html = try ComparisonPage(paths.map { try RunReading($0) }).page.html
    return (html, try ParsedPage(html))
  }

  @Test("runs on the same data share figures: over steps, against parameters and against time")
  func figures() throws {
    let paths = [
      try run("small", weights: 1_000, seconds: 0.25),
      try run("large", weights: 20_000, seconds: 1),
      try run("other", network: .rnn, weights: 5_000, areas: [0.95, 0.7, 0.6]) {
        $0.training.seed = 9
      },
    ]
    let (html, parsed) = try page(paths)
    #expect(parsed.counts["figure"] == 4)
    let words = parsed.words
    for expected in [
      "3 runs compared", "1 small mlp 0.1M 1,000 3 40 0.6400 0.7654 0.4321 2.5 s 10 s 64",
      "2 large mlp 0.1M 20,000 3 40 0.6400 0.7654 0.4321 10 s 40 s 16",
      "rock genre 0.900 0.900 0.950", "training.seed 0 0 9", "ROC-AUC against parameters",
      "ROC-AUC against training time",
    ] {
      #expect(words.contains(expected), "\(expected)")
    }
    #expect(html.contains("<b>0.950</b>") && !words.contains("were not trained on the same data"))
    #expect(parsed.references.isEmpty)
  }

  @Test("runs on other data, not at their end, or given twice are pointed out")
  func pointedOut() throws {
    let (a, b) = (try run("x/a"), try run("x/b", fingerprint: "f2", ends: false))
    let c = try run("y/a")
    let (_, parsed) = try page([a, b, c, a + "/", folder / "x/../x/a"])
    let words = parsed.words
    #expect(words.contains("3 runs compared"))
    #expect(words.contains("were not trained on the same data"))
    #expect(words.components(separatedBy: "was given more than once").count == 3)
    #expect(words.contains("Not at their end: x/b."))
    #expect(words.contains("1 x/a") && words.contains("3 y/a"))
    #expect(parsed.headings.contains { $0.hasPrefix("Data A") && $0.hasSuffix("2 runs") })
    #expect(parsed.headings.contains { $0.hasPrefix("Data B") && $0.hasSuffix("1 run") })
  }

  @Test("dozens of runs have signs of their own, and a page of bounded size")
  func many() throws {
    let names = (0..<40).map { "run-\($0)" }
    let paths = try names.enumerated().map { index, name in
      try run(
        name, network: Configuration.Network.allCases[index % 6], weights: 1_000 * (index + 1),
        seconds: 0.1 * Double(index + 1))
    }
    let (html, parsed) = try page(paths)
    #expect(html.utf8.count < 400_000)
    let glyphs = html.matches(of: /<svg class="glyph (r\d)"[^>]*>(<[^>]*>)<\/svg> \d+ run-/)
    #expect(Set(glyphs.map { "\($0.1)\($0.2)" }).count == 40)
    #expect(parsed.words.contains("40 run-39"))
  }

  @Test("runs that have nothing yet, or different settings only, are no obstacle")
  func bare() throws {
    var empty = ReportedRun(folder / "empty")
    try empty.write()
    let full = try run("full")
    let (_, parsed) = try page([empty.path, full])
    #expect(parsed.words.contains("On which store these were trained is not known"))
    empty.log = "rubbish"
    try empty.write()
    _ = try page([empty.path, empty.path])
  }
}
