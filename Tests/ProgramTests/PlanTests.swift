import Foundation
import Testing

/// `tutti plan` as a person uses it. Nothing here looks at a time.
@Suite("Planning")
struct PlanTests {
  private static let job = [
    "plan", "--set", "model.network=mlp", "--set", "model.widths=[8, 8]", "--set",
    "training.lanes=16", "--threads", "1", "--config",
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path + "/configs/mlp.yaml",
  ]

  @Test("rates measured once make plans for any cluster, the same each time")
  func rates() throws {
    let folder = try TemporaryFolder()
    let measured = try Program.run("tutti", Self.job + ["--json"])
    try #require(measured.code == 0, "\(measured.errors)")
    try Data(measured.output.utf8).write(to: URL(fileURLWithPath: folder / "rates.json"))
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(measured.output.utf8)) as? [String: Any])
    #expect((object["secondsPerStep"] as? Double).map { $0 > 0 } == true)
    #expect((object["curve"] as? [Any])?.count == 3)
    let plan =
      Self.job + [
        "--rates", folder / "rates.json", "--workers", "64", "--bandwidth", "10Gbit", "--latency",
        "100us",
      ]
    let endings = try (0..<2).map { _ in try Program.run("tutti", plan) }
    #expect(endings.allSatisfy { $0.code == 0 && $0.errors.isEmpty })
    #expect(endings[0].output == endings[1].output)
    #expect(endings[0].output.contains("64 workers over 10 Gbit/s"))
    #expect(endings[0].output.contains("beyond 16 (here): lanes"))

    let store = try Program.run(
      "tutti", Self.job + ["--rates", folder / "rates.json", "--data", try Material.get().store])
    #expect(store.code == 65)
    #expect(store.lastError.contains("are of another job"))
  }

  @Test(
    "nonsense is refused as such",
    arguments: [
      ["--workers", "0"], ["--workers", "many"], ["--bandwidth", "10"], ["--bandwidth", "10GB"],
      ["--latency", "1ms"], ["--bandwidth", "1Gbit", "--latency", "1"], ["--one-machine"],
      ["--workers-per-host", "4"], ["--clips", "0"], ["--data", "store", "--clips", "5"],
      ["--threads", "0"], ["--validation", "\(Int.max)"], ["--tags", "\(Int.max)"],
    ])
  func refusals(arguments: [String]) throws {
    let ending = try Program.run("tutti", ["plan"] + arguments)
    #expect(ending.code == 64)
    #expect(ending.errors.hasPrefix("Error: "))
    #expect(ending.output.isEmpty)
  }

  @Test(
    "what is no rates, no configuration or no store is bad input",
    arguments: [
      ["--rates", "/nowhere"], ["--rates", #filePath], ["--config", "/nowhere"],
      ["--data", "/nowhere"], ["--set", "model.wide=1"],
    ])
  func badInput(arguments: [String]) throws {
    let ending = try Program.run("tutti", ["plan"] + arguments)
    #expect(ending.code == 65)
    #expect(ending.lastError.hasPrefix("tutti: "))
    #expect(ending.output.isEmpty)
  }
}
