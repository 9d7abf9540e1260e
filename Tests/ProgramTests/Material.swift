import Foundation

/// What the tests share, made once: forty short sounds, their store, a small configuration, and the
/// run that it makes when nothing disturbs it.
struct Material {
  private static let shared = Result { try Material() }

  /// - Throws: whatever kept it from being made, at every call
  static func get() throws -> Material { try shared.get() }

  let folder: String
  /// The folder with `tags.csv`.
  let corpus: String
  let store: String
  let configuration: String
  /// The undisturbed run, by one worker with one thread.
  let reference: Reference

  struct Reference {
    let run: String
    let last, best: String
    let lastBytes: Data
  }

  static let lanes = 4
  static let epochs = 4
  static let splits = [("train", 28), ("validation", 6), ("test", 6)]
  static let steps = epochs * 28 / lanes

  private init() throws {
    folder = try Self.sharedFolder()
    corpus = folder + "/corpus"
    store = folder + "/store"
    configuration = folder + "/tiny.yaml"
    try Self.writeCorpus(to: corpus)
    let prepared = try Program.run(
      "tutti", ["prepare", "--tags", corpus + "/tags.csv", "--out", store])
    guard prepared.code == 0 else { throw Program.Failure(description: prepared.errors) }
    try Files.write(
      """
      model:
        network: crnn
        widths: [4, 4, 4, 4, 4, 4]
      training:
        lanes: \(Self.lanes)
        clipsPerLane: 1
        epochs: \(Self.epochs)
        checkpointEvery: 3 steps

      """, to: configuration)
    let run = folder + "/reference"
    let trained = try Program.run(
      "coordinator",
      [
        "--config", configuration, "--data", store, "--run", run, "--workers", "1", "--threads",
        "1",
      ])
    guard trained.code == 0 else { throw Program.Failure(description: trained.errors) }
    reference = Reference(
      run: run, last: try digest(run + "/last.safetensors"),
      best: try digest(run + "/best.safetensors"),
      lastBytes: try Files.bytes(run + "/last.safetensors"))
  }

  /// The arguments of a new run in `run`.
  func training(_ run: String, _ more: String...) -> [String] {
    ["--config", configuration, "--data", store, "--run", run] + more
  }

  /// The arguments that go on with `run`, which knows its store.
  func resuming(_ run: String, _ more: String...) -> [String] { ["--resume", run] + more }

  /// Removed when the test process ends.
  private static func sharedFolder() throws -> String {
    let path = NSTemporaryDirectory() + "/tutti-programs-\(getpid())"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    atexit {
      try? FileManager.default.removeItem(
        atPath: NSTemporaryDirectory() + "/tutti-programs-\(getpid())")
    }
    return path
  }

  // MARK: The corpus

  static let sampleRateHz = 12_000

  /// Two to three seconds each of a low tone, a high tone, or noise, by turns.
  private static func writeCorpus(to folder: String) throws {
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    var list = "clip_id,path,split,tags\n"
    var number = 0
    for (split, count) in splits {
      for _ in 0..<count {
        let name = "clip\(number).wav"
        let tag = ["low", "high", "noise"][number % 3]
        try Files.write(wave(sound(tag, number)), to: folder + "/" + name)
        list += "\(number),\(name),\(split),\(tag)\(number % 2 == 0 ? "|even" : "")\n"
        number += 1
      }
    }
    try Files.write(list, to: folder + "/tags.csv")
  }

  private static func sound(_ tag: String, _ number: Int) -> [Int16] {
    sound(tag, number, samples: sampleRateHz * 2 + number * 300)
  }

  static func sound(_ tag: String, _ number: Int, samples: Int) -> [Int16] {
    let frequencyHz = (tag == "low" ? 220.0 : 1760.0) * (1 + Double(number) / 80)
    var random = UInt32(number) &* 2_654_435_761 | 1
    return (0..<samples).map { index in
      if tag != "noise" {
        let phase = 2 * Double.pi * frequencyHz * Double(index) / Double(sampleRateHz)
        return Int16(12_000 * sin(phase))
      }
      random ^= random << 13
      random ^= random >> 17
      random ^= random << 5
      return Int16(truncatingIfNeeded: random >> 18)
    }
  }

  /// A WAV file of one channel.
  static func wave(_ samples: [Int16]) -> Data {
    let data = samples.withUnsafeBytes { Data($0) }
    var wave = Data("RIFF".utf8)
    wave.append(integer: UInt32(36 + data.count))
    wave += Data("WAVEfmt ".utf8)
    wave.append(integer: UInt32(16))  // bytes of what follows here
    wave.append(integer: UInt16(1))  // integer samples
    wave.append(integer: UInt16(1))  // channels
    wave.append(integer: UInt32(sampleRateHz))
    wave.append(integer: UInt32(2 * sampleRateHz))  // bytes a second
    wave.append(integer: UInt16(2))  // bytes a frame
    wave.append(integer: UInt16(16))  // bits a sample
    wave += Data("data".utf8)
    wave.append(integer: UInt32(data.count))
    return wave + data
  }
}

/// What `tutti inspect --digest` says.
func digest(_ checkpoint: String) throws -> String {
  let ending = try Program.run("tutti", ["inspect", "--digest", checkpoint])
  guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
  return ending.output.trimmingCharacters(in: .whitespacesAndNewlines)
}

/// The lines of a run's `metrics.jsonl` that are of a kind: `step`, `validation`, `end`.
func metrics(_ run: String, _ kind: String) throws -> [[String: Any]] {
  guard let data = try? Files.bytes(run + "/metrics.jsonl") else { return [] }
  // A last line without its end is still being written.
  let whole = data.prefix(upTo: data.lastIndex(of: 10) ?? data.startIndex)
  return try whole.split(separator: 10)
    .compactMap { try JSONSerialization.jsonObject(with: $0) as? [String: Any] }
    .filter { $0["kind"] as? String == kind }
}

extension Data {
  /// Appends an integer, its lowest byte first.
  mutating func append(integer: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: integer.littleEndian) { append(contentsOf: $0) }
  }
}
