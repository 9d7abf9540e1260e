import Foundation
import Testing

/// What the programs say of configurations, stores, models and themselves.
@Suite("Inspecting and judging")
struct InspectionTests {
  private static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  @Test(
    "the published sizes have the published counts",
    arguments: [
      ("crnn", "0.1M", 96_710), ("crnn", "3M", 3_025_340), ("k1c2", "0.25M", 252_349),
      ("k2c1", "1M", 999_450), ("k2c2", "0.5M", 496_182), ("k2c2", "3M", 3_043_331),
    ])
  func counts(network: String, size: String, count: Int) throws {
    let ending = try Program.run(
      "tutti",
      ["inspect", Self.repository + "/configs/\(network).yaml", "--set", "model.size=\(size)"])
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(ending.output.split(separator: "\n").contains("weights and biases: \(count)"))
  }

  @Test("every configuration that comes with Tutti can be read")
  func configurations() throws {
    let names = try Files.names(in: Self.repository + "/configs").filter { $0.hasSuffix(".yaml") }
    #expect(names.count >= 6)
    for name in names {
      let ending = try Program.run("tutti", ["inspect", Self.repository + "/configs/" + name])
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(ending.output.contains("weights and biases: "))
    }
  }

  @Test("a store says its clips, tags and fingerprint")
  func store() throws {
    let ending = try Program.run("tutti", ["inspect", try Material.get().store])
    #expect(ending.code == 0)
    let rows = ending.output.split(separator: "\n").map { $0.split(separator: " ") }
    #expect(rows.contains(["clips", "28", "6", "6"]))
    for tag in ["low", "high", "noise", "even"] { #expect(rows.contains { $0.first == tag[...] }) }
    #expect(rows.last?.first == "fingerprint:")
  }

  @Test("a checkpoint and a run say where they stand, and their digest")
  func checkpoint() throws {
    let reference = try Material.get().reference
    for path in [reference.run, reference.run + "/last.safetensors"] {
      let ending = try Program.run("tutti", ["inspect", path])
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(ending.output.contains("step \(Material.steps), epoch \(Material.epochs)"))
      #expect(ending.output.contains("network: crnn, 4 tags: "))
      #expect(ending.output.hasSuffix("digest: \(reference.last)\n"))
    }
  }

  @Test("evaluating the best model repeats the run's own scores", arguments: ["1", "2"])
  func evaluation(threads: String) throws {
    let material = try Material.get()
    let end = try #require(try metrics(material.reference.run, "end").first)
    for (split, key) in [("test", "testROCAUC"), ("validation", "validationROCAUC")] {
      let ending = try Program.run(
        "tutti",
        [
          "evaluate", "--model", material.reference.run + "/best.safetensors", "--data",
          material.store, "--split", split, "--json", "--threads", threads,
        ])
      #expect(ending.code == 0, "\(ending.errors)")
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any])
      #expect(report["clips"] as? Int == 6)
      #expect(report["split"] as? String == split)
      #expect(report["rocAUC"] as? Double == end[key] as? Double)
      #expect((report["tags"] as? [[String: Any]])?.count == 4)
      if split == "test" {
        #expect(report["prAUC"] as? Double == end["testPRAUC"] as? Double)
      }
    }
  }

  @Test("the table of an evaluation names every tag")
  func table() throws {
    let material = try Material.get()
    let ending = try Program.run(
      "tutti",
      [
        "evaluate", "--model", material.reference.run + "/best.safetensors", "--data",
        material.store,
      ])
    #expect(ending.code == 0)
    for tag in ["low", "high", "noise", "even"] { #expect(ending.output.contains("\n" + tag)) }
    #expect(ending.output.contains("6 test clips: loss "))
  }

  @Test(
    "help and version",
    arguments: ["coordinator", "worker", "tutti"], ["--help", "--version"])
  func help(program: String, flag: String) throws {
    let ending = try Program.run(program, [flag])
    #expect(ending.code == 0)
    #expect(ending.errors.isEmpty)
    #expect(ending.output.contains(flag == "--help" ? "USAGE: \(program)" : "."))
  }

  @Test(
    "help of every tool",
    arguments: [
      "synthesize", "prepare", "inspect", "evaluate", "tag", "export", "import", "plan",
    ])
  func toolHelp(tool: String) throws {
    let ending = try Program.run("tutti", [tool, "--help"])
    #expect(ending.code == 0)
    #expect(ending.output.contains("USAGE: tutti \(tool)"))
  }
}
