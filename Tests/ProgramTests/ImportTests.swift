import Foundation
import Testing

/// Weights of other programs, as a person brings them in.
@Suite("Importing")
struct ImportTests {
  let folder: TemporaryFolder
  private static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  init() throws { folder = try TemporaryFolder() }

  private func arguments(_ more: String...) throws -> [String] {
    try Files.write("rock\npop\njazz\nsoul\nfolk\nHip-Hop\n60s\n", to: folder / "tags.txt")
    return [
      "import", "--weights",
      Self.repository + "/Tests/TrainingTests/Goldens/import/pytorch.safetensors",
      "--config", Self.repository + "/configs/crnn.yaml", "--set",
      "model.widths=[3, 5, 4, 3, 5, 4]", "--out", folder / "model", "--tags", folder / "tags.txt",
    ] + more
  }

  @Test("a network by PyTorch becomes a model file that tags, and does not replace one")
  func pytorch() throws {
    let arguments = try arguments("--set", "model.reset=after")
    let ending = try Program.run("tutti", arguments)
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(ending.output == "\(folder / "model"): crnn, 7 tags, 1004 parameters\n")
    #expect(ending.errors.contains("loss.kind auto is binary here"))
    let tagged = try Program.run(
      "tutti",
      ["tag", "--model", folder / "model", try Material.get().corpus + "/clip0.wav", "--top", "7"])
    #expect(tagged.code == 0, "\(tagged.errors)")
    for tag in ["jazz", "Hip-Hop", "60s"] { #expect(tagged.output.contains("  \(tag)\n")) }
    let model = try Files.bytes(folder / "model")
    let again = try Program.run("tutti", arguments)
    #expect(again.code == 65)
    #expect(again.lastError.contains(folder / "model"))
    #expect(try Files.bytes(folder / "model") == model)
    try FileManager.default.removeItem(atPath: folder / "model")
    let binary = try Program.run("tutti", arguments + ["--set", "loss.kind=binary"])
    #expect(binary.code == 0 && binary.errors.isEmpty)
    #expect(try Files.bytes(folder / "model") == model)
  }

  @Test("what does not fit is listed, and nothing is written")
  func unfit() throws {
    let ending = try Program.run("tutti", try arguments())
    #expect(ending.code == 65)
    for name in ["gru1.bias_hh_l0 [15]", "gru2.bias_hh_l0 [12]"] {
      #expect(ending.errors.contains("\n  \(name) is left over"), "\(ending.errors)")
    }
    #expect(!Files.exists(folder / "model"))
  }

  @Test("weights that are none, and flags that are missing")
  func usage() throws {
    var arguments = try arguments()
    arguments[2] = Self.repository + "/configs/crnn.yaml"
    #expect(try Program.run("tutti", arguments).code == 65)
    let ending = try Program.run("tutti", ["import", "--weights", "weights.safetensors"])
    #expect(ending.code == 64)
    #expect(ending.errors.contains("--config"))
  }
}
