import Foundation
import Testing

/// `tutti tag` and `tutti export` as people use them.
@Suite("Tagging")
struct TagTests {
  let material: Material
  let folder: TemporaryFolder

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
  }

  private var model: String { material.reference.run }
  private func clip(_ number: Int) -> String { material.corpus + "/clip\(number).wav" }

  private func tag(_ arguments: String...) throws -> Program.Ending { try tag(arguments) }
  private func tag(_ arguments: [String]) throws -> Program.Ending {
    try Program.run("tutti", ["tag", "--model", model] + arguments)
  }

  /// A line of JSON.
  private struct Answer: Decodable, Equatable {
    struct Tag: Decodable, Equatable {
      let tag: String
      let probability: Double
    }
    struct Window: Decodable, Equatable {
      let start: Double
      let tags: [Tag]
    }
    let file: String
    let index: Int?
    let tags: [Tag]?
    let windows: [Window]?
    let error: String?
  }

  private func answers(_ ending: Program.Ending) throws -> [Answer] {
    #expect(ending.output.isEmpty || ending.output.hasSuffix("\n"))
    return try ending.output.split(separator: "\n").map {
      try JSONDecoder().decode(Answer.self, from: Data($0.utf8))
    }
  }

  /// A minute of a tone, a minute of noise, half a minute of a tone.
  private func longSound(_ name: String = "long.wav") throws -> String {
    let minute = 60 * Material.sampleRateHz
    let samples =
      Material.sound("low", 1, samples: minute) + Material.sound("noise", 2, samples: minute)
      + Material.sound("high", 3, samples: minute / 2)
    try Files.write(Material.wave(samples), to: folder / name)
    return folder / name
  }

  // MARK: What is said

  @Test("one object a line, in the order of the arguments, the most probable tag first")
  func json() throws {
    let clips = [3, 1, 2, 30, 0].map(clip)
    let ending = try tag(clips + ["--json"])
    #expect(ending.code == 0 && ending.errors.isEmpty, "\(ending.errors)")
    let answers = try answers(ending)
    #expect(answers.map(\.file) == clips)
    for answer in answers {
      let tags = try #require(answer.tags)
      #expect(tags.map(\.tag).sorted() == ["even", "high", "low", "noise"])
      #expect(tags.map(\.probability) == tags.map(\.probability).sorted(by: >))
      #expect(tags.allSatisfy { (0...1).contains($0.probability) })
      #expect(answer.windows == nil && answer.error == nil && answer.index == nil)
    }
    #expect(Set(answers.map { $0.tags?.first?.probability }).count == 5)

    let top = try self.answers(try tag(clips + ["--json", "--top", "2"]))
    #expect(top.map(\.tags) == answers.map { $0.tags.map { Array($0.prefix(2)) } })
    #expect(try self.answers(try tag(clips + ["--json", "--top", "99"])) == answers)
  }

  @Test("for people, a file with its tags below it")
  func plain() throws {
    let ending = try tag(clip(0), clip(1), "--top", "3")
    #expect(ending.code == 0 && ending.errors.isEmpty)
    let lines = ending.output.split(separator: "\n").map(String.init)
    #expect(lines.count == 8 && lines[0] == clip(0) && lines[4] == clip(1))
    let tagLine = #/ {2}[01]\.\d{3} {2}(low|high|noise|even)/#
    for line in lines[1...3] + lines[5...7] {
      #expect(line.wholeMatch(of: tagLine) != nil, "\(line)")
    }
    let windowLine = #/\n {2}at 58\.2 s: \w+ [01]\.\d{3}\n/#
    let windows = try tag(try longSound(), "--window", "29.12", "--top", "1").output
    #expect(windows.contains(windowLine), "\(windows)")
  }

  @Test("a store's features give what its sounds give")
  func features() throws {
    // The test split is the store's last: clips 34 to 39.
    let block = try Files.bytes(material.store + "/block-00000.f16")
    let size = 96 * 1366 * 2
    for (count, shape) in [(6, "(6, 96, 1366)"), (1, "(96, 1366)")] {
      var header = "{'descr': '<f2', 'fortran_order': False, 'shape': \(shape), }"
      header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
      let maps = block.dropFirst(34 * size).prefix(count * size)
      try Files.write(
        Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, 118, 0]) + Data(header.utf8) + maps,
        to: folder / "maps.npy")
      let features = try tag("--features", folder / "maps.npy", "--json")
      #expect(features.code == 0, "\(features.errors)")
      let expected = try answers(try tag((34..<(34 + count)).map(clip) + ["--json"]))
      let found = try answers(features)
      #expect(found.map(\.tags) == expected.map(\.tags))
      #expect(found.map(\.index) == (count == 1 ? [nil] : Array(0..<count)))
      #expect(found.allSatisfy { $0.file.hasSuffix("maps.npy") })
    }
  }

  @Test("windows have starts and tags, and the file has their mean")
  func windows() throws {
    let long = try longSound()
    let answer = try answers(try tag(long, clip(5), "--json", "--window", "29.12", "--hop", "10"))
    let windows = try #require(answer[0].windows)
    // 150 s: what is left after 120 + 29.12 s is less than a tenth of a window.
    #expect(windows.map(\.start) == Array(stride(from: 0.0, through: 120, by: 10)))
    for tag in ["low", "high", "noise", "even"] {
      func probability(_ tags: [Answer.Tag]?) -> Double? {
        tags?.first { $0.tag == tag }?.probability
      }
      let mean = windows.compactMap { probability($0.tags) }.reduce(0, +) / 13
      let found = try #require(probability(answer[0].tags))
      #expect(abs(found - mean) < 1e-6)
    }
    // A short file is one padded window, which is its middle.
    #expect(answer[1].windows?.map(\.start) == [0])
    #expect(answer[1].tags == (try answers(try tag(clip(5), "--json"))[0].tags))

    let apart = try answers(try tag(long, "--json", "--window", "20"))[0]
    #expect(apart.windows?.map(\.start) == [0, 20, 40, 60, 80, 100, 120, 130])
    let padded = try answers(try tag(long, "--json", "--hop", "29.12"))[0]
    #expect(padded.windows?.map(\.start) == [0, 29.12, 58.24, 87.36, 116.48, 120.88])
    // The 120,005th sample, at 10.00041… s.
    let odd = try tag(long, "--json", "--hop", "10.0004").output
    #expect(odd.contains(#"{"start": 10.0, "#) && odd.contains(#"{"start": 20.001, "#), "\(odd)")
  }

  @Test("the number of threads leaves no trace", arguments: ["1", "2", "3"])
  func threads(threads: String) throws {
    let inputs = [try longSound()] + (0..<12).map(clip) + [folder / "nowhere.wav"]
    let ending = try tag(inputs + ["--json", "--window", "15", "--threads", threads])
    let reference = try tag(inputs + ["--json", "--window", "15"])
    #expect(ending.code == 65 && reference.code == 65)
    #expect(ending.output == reference.output && ending.errors == reference.errors)
  }

  // MARK: Files

  @Test("broken files are reported and the rest goes on")
  func broken() throws {
    try Files.write("no sound", to: folder / "text.wav")
    try Files.write("", to: folder / "empty.wav")
    let cut = try longSound("cut.wav")
    try Files.truncate(cut, by: 1_000_000)
    let files = [
      folder / "nowhere.wav", clip(0), folder / "text.wav", folder / "empty.wav", clip(1), cut,
    ]
    let ending = try tag(files + ["--json"])
    #expect(ending.code == 65)
    let answers = try answers(ending)
    #expect(answers.map(\.file) == files)
    let good = try self.answers(try tag(clip(0), clip(1), "--json"))
    #expect([answers[1], answers[4]] == good)
    let errors = ending.errors.split(separator: "\n").map(String.init)
    #expect(errors.last == "tutti: 4 of 6 inputs could not be tagged")
    #expect(errors.dropLast() == [0, 2, 3, 5].map { files[$0] + ": " + (answers[$0].error ?? "") })
    #expect(answers.allSatisfy { $0.error?.contains(folder.path) != true })
    // For people only the good ones are on standard output.
    let plain = try tag(files)
    #expect(plain.code == 65 && plain.errors == ending.errors)
    #expect(plain.output == (try tag(clip(0), clip(1)).output))
  }

  @Test("a folder is all sound files below it, sorted")
  func folders() throws {
    let sounds = folder / "sounds"
    for name in ["b", "a", "none"] {
      try FileManager.default.createDirectory(
        atPath: sounds + "/" + name, withIntermediateDirectories: true)
    }
    try Files.copy(clip(0), to: sounds + "/b/1.WAV")
    try Files.copy(clip(1), to: sounds + "/a/2.wav")
    try Files.copy(clip(2), to: sounds + "/0.wav")
    try Files.write("notes", to: sounds + "/notes.txt")
    let ending = try tag(clip(3), sounds, sounds + "/none/", "--json")
    #expect(ending.code == 65)
    let answers = try answers(ending)
    #expect(
      answers.map(\.file) == [
        clip(3), sounds + "/0.wav", sounds + "/a/2.wav", sounds + "/b/1.WAV", sounds + "/none/",
      ])
    let clips = try self.answers(try tag([3, 2, 1, 0].map(clip) + ["--json"]))
    #expect(answers.dropLast().map(\.tags) == clips.map(\.tags))
    #expect(answers.last?.error?.hasPrefix("there are no sound files in this folder") == true)
  }

  @Test("Ctrl-C ends it between two windows", arguments: [SIGINT, SIGTERM])
  func interruption(signal: Int32) throws {
    let long = try longSound()
    try Program.start(
      "tutti", ["tag", "--model", model, folder / "nowhere.wav", clip(0), long, "--hop", "0.01"]
    ) { program in
      try program.wait(for: "the first file") { program.errors.contains("nowhere.wav: ") }
      program.signal(signal)
      let ending = try program.wait()
      #expect(ending.code == 130)
      #expect(ending.lastError.contains("of 3 inputs were tagged"), "\(ending.errors)")
    }
  }

  // MARK: Models

  @Test("an exported model is the run's best, without what only training needs")
  func export() throws {
    let exported = folder / "model.safetensors"
    for source in [model, model + "/best.safetensors"] {
      try? FileManager.default.removeItem(atPath: exported)
      let ending = try Program.run("tutti", ["export", source, "--out", exported])
      #expect(ending.code == 0 && ending.errors.isEmpty, "\(ending.errors)")
      #expect(ending.output.contains("crnn, 4 tags"))
    }
    let best = try Files.bytes(model + "/best.safetensors").count
    #expect(try Files.bytes(exported).count < best)
    let again = try Program.run("tutti", ["export", exported, "--out", folder / "again"])
    #expect(again.code == 0)
    #expect(try Files.bytes(folder / "again") == Files.bytes(exported))

    let files = [clip(0), clip(1), "--json"]
    let tagged = try Program.run("tutti", ["tag", "--model", exported] + files)
    #expect(tagged.output == (try tag(files).output))
    func evaluate(_ model: String) throws -> String {
      try Program.run("tutti", ["evaluate", "--model", model, "--data", material.store]).output
    }
    #expect(try evaluate(exported) == evaluate(model))

    let inspected = try Program.run("tutti", ["inspect", folder / "again"])
    #expect(inspected.code == 0 && inspected.output.contains("4 tags: even, high, low, noise"))
    #expect(inspected.output.contains("features: sampleRateHz 12000, "))
    for total in [
      "\nlayers: ", "\nweights and biases: ", "\nparameters with batch normalization: ",
    ] {
      #expect(inspected.output.contains(total))
      #expect(try Program.run("tutti", ["inspect", model]).output.contains(total))
    }
    let refused = try Program.run("tutti", ["export", model, "--out", exported])
    #expect(refused.code == 65 && refused.lastError.contains("already"))
  }

  private static let refusals: [(String, [String], Int32, String)] = [
    ("nothing to tag", ["--model", "RUN"], 64, "--features"),
    ("two things to tag", ["--model", "RUN", "a.wav", "--features", "a.npy"], 64, "not both"),
    ("windows of maps", ["--model", "RUN", "--features", "a.npy", "--hop", "1"], 64, "--hop"),
    ("no tags", ["--model", "RUN", "CLIP", "--top", "0"], 64, "--top"),
    ("no threads", ["--model", "RUN", "CLIP", "--threads", "0"], 64, "--threads"),
    ("no window", ["--model", "RUN", "CLIP", "--window", "0"], 64, "--window"),
    ("no number", ["--model", "RUN", "CLIP", "--window", "nan"], 64, "--window"),
    ("no hop", ["--model", "RUN", "CLIP", "--hop", "0"], 64, "--hop"),
    ("windows too long for the network", ["--model", "RUN", "CLIP", "--window", "40"], 64, "1440"),
    ("no model", ["--model", "FOLDER/nowhere", "CLIP"], 65, "nowhere"),
    ("a folder without a model", ["--model", "STORE", "CLIP"], 65, "best.safetensors"),
    ("a sound for a model", ["--model", "CLIP", "CLIP"], 65, "clip0.wav"),
    ("a sound for maps", ["--model", "RUN", "--features", "CLIP"], 65, "no .npy file"),
    ("no maps", ["--model", "RUN", "--features", "FOLDER/nowhere.npy"], 65, "nowhere.npy"),
  ]

  @Test("what cannot be done is refused in a sentence", arguments: refusals)
  func refusal(_ what: String, _ arguments: [String], _ code: Int32, _ words: String) throws {
    let places = [
      ("RUN", model), ("CLIP", clip(0)), ("FOLDER", folder.path), ("STORE", material.store),
    ]
    let filled = arguments.map { argument in
      places.reduce(argument) { $0.replacing($1.0, with: $1.1) }
    }
    let ending = try Program.run("tutti", ["tag"] + filled)
    #expect(ending.code == code, "\(ending.errors)")
    #expect(ending.output.isEmpty)
    #expect(ending.errors.contains(words), "\(ending.errors)")
  }

  @Test("a damaged model is not used")
  func damaged() throws {
    try Files.copy(model + "/best.safetensors", to: folder / "damaged")
    try Files.flipBit(of: folder / "damaged", at: -5)
    let ending = try Program.run("tutti", ["tag", "--model", folder / "damaged", clip(0)])
    #expect(ending.code == 65 && ending.lastError.contains("damaged"))
  }
}
