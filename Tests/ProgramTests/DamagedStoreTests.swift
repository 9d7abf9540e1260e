import Foundation
import Testing

/// A store that is damaged after it was prepared trains nothing: the run stops before the damage
/// reaches the model, says where it is, and goes on once it is repaired.
@Suite("A damaged store")
struct DamagedStoreTests {
  struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let file: String
    let words: [String]
    /// How many steps are made before it is met; nil if the run does not begin.
    let steps: ClosedRange<Int>?
    /// The byte in which a bit is flipped.
    let place: @Sendable (Data) -> Int

    init(
      _ what: String, in file: String, says words: String..., after steps: ClosedRange<Int>?,
      at place: @escaping @Sendable (Data) -> Int
    ) {
      testDescription = what
      self.file = file
      self.words = words
      self.steps = steps
      self.place = place
    }

    /// A feature of a clip; the store has 28 to train on, 6 to validate with and 6 to test on.
    static func feature(ofClip number: Int, _ what: String, after steps: ClosedRange<Int>)
      -> Damage
    {
      Damage(
        what, in: "block-00000.f16", says: "clip \"\(ids[number])\" (number \(number))",
        "read block 0", after: steps
      ) { $0.count / 40 * number + 1000 }
    }

    /// The clips' ids in the order of the store.
    private static let ids: [String] = {
      var first = 0
      return Material.splits.flatMap { _, count in
        defer { first += count }
        return (first..<first + count).map(String.init).sorted()
      }
    }()
  }

  static let epoch = Material.steps / Material.epochs
  static let damages = [
    Damage.feature(ofClip: 5, "a bit of a training clip", after: 0...epoch - 1),
    Damage.feature(ofClip: 27, "a bit of another training clip", after: 0...epoch - 1),
    Damage.feature(ofClip: 30, "a bit of a validation clip", after: epoch...epoch),
    Damage.feature(ofClip: 39, "a bit of a test clip", after: Material.steps...Material.steps),
    Damage(
      "a bit of a record", in: "clips.table", says: "clip number 5", after: 0...0
    ) { _ in 64 + 5 * 40 + 9 },
    Damage(
      "a bit of the clip table's header", in: "clips.table", says: "clip table", after: nil
    ) { _ in 40 },
    Damage(
      "a bit of the description", in: "store.json", says: "fingerprint", after: nil
    ) { Data($0).firstRange(of: Data("\"frames\" : 1366".utf8))!.upperBound - 1 },
  ]

  @Test("stops the run by name, which goes on when repaired", arguments: damages, [1, 2])
  func flippedBit(_ damage: Damage, workers: Int) throws {
    let material = try Material.get()
    let folder = try TemporaryFolder()
    let (store, run) = (folder / "store", folder / "run")
    try Files.copy(material.store, to: store)
    let file = store + "/" + damage.file
    let place = damage.place(try Files.bytes(file))
    try Files.flipBit(of: file, at: place)
    // The kind is what the material's run finds out by reading every record, at the beginning.
    let training = [
      "--config", material.configuration, "--data", store, "--run", run, "--workers",
      "\(workers)", "--set", "loss.kind=binary",
    ]
    let ending = try Program.run("coordinator", training)
    #expect(ending.code == 65, "\(ending.errors)")
    for word in [file] + damage.words {
      #expect(ending.lastError.contains(word), "\(word) is not in: \(ending.errors)")
    }
    #expect(Files.exists(run) == (damage.steps != nil))
    #expect(ending.errors.contains("state saved after step ") == (damage.steps != nil))
    if let steps = damage.steps {
      #expect(steps.contains(try metrics(run, "step").count))
    }

    try Files.flipBit(of: file, at: place)
    let repaired = try Program.run(
      "coordinator",
      damage.steps == nil ? training : material.resuming(run, "--workers", "\(3 - workers)"))
    #expect(repaired.code == 0, "\(repaired.errors)")
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    #expect(try digest(run + "/best.safetensors") == material.reference.best)
  }
}
