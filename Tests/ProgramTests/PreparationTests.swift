import Foundation
import Testing

/// Sixty short tones, one of them no sound at all, and the store that nothing has disturbed.
private struct Tones {
  static let shared = Result { try Tones() }

  let folder: TemporaryFolder
  /// Every file of the undisturbed store.
  let expected: [String: Data]
  static let clips = 60

  private init() throws {
    folder = try TemporaryFolder()
    var list = "clip_id,path,split,tags\n"
    for number in 0..<Self.clips {
      let samples = (0..<2_000 + 20 * number).map { index in
        Int16(9_000 * sin(0.03 * Double(number + 1) * Double(index)))
      }
      try Files.write(Material.wave(samples), to: folder / "\(number).wav")
      let split = number % 4 > 0 ? "train" : number % 8 > 0 ? "validation" : "test"
      list += "\(number),\(number).wav,\(split),\(number < 20 ? "low" : "high")\n"
    }
    try Files.write("no sound", to: folder / "17.wav")
    try Files.write(list, to: folder / "tags.csv")
    let ending = try Program.run(
      "tutti", Self.preparing(folder / "tags.csv", into: folder / "whole"))
    guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
    expected = try Files.contents(of: folder / "whole")
    atexit {
      try? FileManager.default.removeItem(atPath: (try? Tones.shared.get())?.folder.path ?? "")
    }
  }

  /// What prepares them into `store`.
  func preparing(_ store: String, _ more: String...) -> [String] {
    Self.preparing(folder / "tags.csv", into: store) + more
  }

  /// In blocks of four.
  private static func preparing(_ list: String, into store: String) -> [String] {
    ["prepare", "--tags", list, "--out", store, "--clips-per-block", "4"]
  }
}

@Suite("A preparation gives the same store")
struct PreparationTests {
  private let tones: Tones
  private let folder: TemporaryFolder
  private var store: String { folder / "store" }

  init() throws {
    tones = try Tones.shared.get()
    folder = try TemporaryFolder()
  }

  @Test("however many threads work", arguments: ["1", "2", "3"])
  func threads(_ threads: String) throws {
    let ending = try Program.run("tutti", tones.preparing(store, "--threads", threads))
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(ending.errors.contains("1 clip could not be used (1 undecodable); \(store)/quarantine"))
    #expect(try Files.contents(of: store) == tones.expected)
  }

  @Test("however often it is killed", arguments: 1...3)
  func kills(_ seed: UInt64) throws {
    var random = seed &* 0x9E37_79B9_7F4A_7C15
    for number in 0..<10 {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let microseconds = UInt32(random >> 33) % 60_000
      try Program.start("tutti", tones.preparing(store, "--threads", "\(1 + number % 2)")) {
        program in
        // From its first sign of life on, so that it does something before it is killed.
        try program.wait(for: "its begin", whileAlive: false) {
          program.hasEnded || program.errors.contains("preparing")
        }
        usleep(microseconds)
        program.signal(SIGKILL)
        _ = try program.wait()
      }
      if Files.exists(store + "/store.json") { try checkAndRemove() }
    }
    let ending = try Program.run("tutti", tones.preparing(store))
    #expect(ending.code == 0, "\(ending.errors)")
    try checkAndRemove()
  }

  /// Compares the finished store, then makes room for another one.
  private func checkAndRemove() throws {
    // What a kill after the very last step may leave is tidied up by whoever comes next.
    if Files.exists(store + "/unfinished") {
      #expect(try Program.run("tutti", tones.preparing(store)).code == 0)
    }
    #expect(try Files.contents(of: store) == tones.expected)
    try FileManager.default.removeItem(atPath: store)
  }

  @Test("however often it is asked for, also after a kill just before the end")
  func again() throws {
    let first = try Program.run("tutti", tones.preparing(store))
    // The clips of each tag stand in the store's table alone.
    let lines = (first.output + first.errors).split(separator: "\n")
    for tag in ["low ", "high "] { #expect(lines.count { $0.hasPrefix(tag) } == 1) }
    for leftovers in [[], ["unfinished"], ["unfinished", "preparation.journal"]] {
      for name in leftovers { try Files.write("", to: store + "/" + name) }
      let again = try Program.run("tutti", tones.preparing(store))
      #expect(again.code == 0 && again.output == first.output, "\(again.errors)")
      #expect(again.errors.contains("already prepared: "))
      #expect(again.errors.contains("1 clip could not be used (1 undecodable)"))
      #expect(try Files.contents(of: store) == tones.expected)
    }
    for more in [["--clips-per-block", "8"], ["--set", "features.durationSeconds=2"]] {
      let other = try Program.run("tutti", tones.preparing(store) + more)
      #expect(other.code == 65)
      #expect(other.lastError.contains("a finished store is already there, and it is another"))
      #expect(try Files.contents(of: store) == tones.expected)
    }
    let restarted = try Program.run("tutti", tones.preparing(store, "--restart"))
    #expect(restarted.code == 65 && restarted.lastError.contains("remove it"))
  }

  @Test("in however many parts it is made", arguments: [1, 2, 5, 20])
  func parts(_ count: Int) throws {
    let parts = (1...count).map { folder / "part-\($0)" }
    for (index, part) in parts.enumerated() {
      let arguments = tones.preparing(part, "--shard", "\(index + 1)/\(count)")
      let ending = try Program.run("tutti", arguments)
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(ending.output.contains("part \(index + 1) of \(count)"))
    }
    if count > 1 {
      let incomplete = try Program.run(
        "tutti", ["prepare", "--join"] + parts.dropLast() + ["--out", store])
      #expect(incomplete.code == 65)
      #expect(incomplete.lastError.contains("missing: \(count)"))
    }
    let ending = try Program.run("tutti", ["prepare", "--out", store, "--join"] + parts)
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(ending.errors.contains("1 clip could not be used"))
    #expect(try Files.contents(of: store) == tones.expected)
  }

  @Test(
    "after a signal it says how to go on, and goes on", arguments: [SIGINT, SIGTERM, SIGHUP])
  func signals(_ signal: Int32) throws {
    let ending = try beforeItsEnd { program in
      try program.wait(for: "a block", whileAlive: false) {
        program.hasEnded || Files.exists(store + "/block-00001.f16")
      }
      program.signal(signal)
      let ending = try program.wait()
      return ending.code == 0 ? nil : ending
    }
    #expect(ending.code == 130)
    #expect(ending.lastError.contains("of 60 clips are done and kept in \(store)"))
    #expect(ending.lastError.contains("the same command goes on"))
    let other = try Program.run("tutti", tones.preparing(store, "--shard", "1/2"))
    #expect(other.code == 65)
    #expect(other.lastError.contains("part 1 of 2"))
    #expect(other.lastError.contains("--restart"))
    let going = try Program.run("tutti", tones.preparing(store))
    #expect(going.code == 0)
    #expect(going.errors.contains("going on: "))
    #expect(!going.errors.contains("going on: 0 of"))
    #expect(try Files.contents(of: store) == tones.expected)
  }

  /// Starts a preparation for `body`, and again when `body` says with nil that it was too late.
  @discardableResult
  private func beforeItsEnd(_ body: (Program) throws -> Program.Ending?) throws -> Program.Ending {
    for _ in 0..<20 {
      try? FileManager.default.removeItem(atPath: store)
      let ending = try Program.start("tutti", tones.preparing(store, "--threads", "1"), body)
      if let ending { return ending }
    }
    throw Program.Failure(description: "twenty preparations ended before they could be disturbed")
  }

  /// Whether somebody has locked a file: between its making and its locking there is a moment.
  private static func isHeld(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK
  }

  @Test("and a folder has one preparation at a time, which the dead do not hold")
  func oneAtATime() throws {
    try beforeItsEnd { first in
      try first.wait(for: "its mark", whileAlive: false) {
        first.hasEnded || Files.exists(store + "/unfinished")
      }
      guard try first.freeze(), Files.exists(store + "/unfinished"),
        !Files.exists(store + "/store.json"), Self.isHeld(store + "/unfinished")
      else { return nil }
      for arguments in [tones.preparing(store), tones.preparing(store, "--restart")] {
        let second = try Program.run("tutti", arguments)
        #expect(second.code == 69)
        #expect(second.lastError.contains("another program is preparing a store there"))
      }
      first.signal(SIGKILL)
      return try first.wait()
    }
    #expect(try Program.run("tutti", tones.preparing(store, "--restart")).code == 0)
    #expect(try Files.contents(of: store) == tones.expected)
  }

  @Test("after a full disk", .enabled(if: SmallDisk.canBeMade))
  func fullDisk() throws {
    let disk = try SmallDisk(kilobytes: 6_000)
    let store = disk.path + "/store"
    let ending = try Program.run("tutti", tones.preparing(store))
    #expect(ending.code == 69)
    #expect(ending.lastError.contains("No space left on device"))
    #expect(ending.lastError.contains("the same command goes on"))
    try disk.grow(kilobytes: 32_000)
    let going = try Program.run("tutti", tones.preparing(store))
    #expect(going.code == 0)
    #expect(going.errors.contains("going on: "))
    #expect(try Files.contents(of: store) == tones.expected)
  }

  @Test("parts on another disk are copied", .enabled(if: SmallDisk.canBeMade))
  func otherDisk() throws {
    let disk = try SmallDisk(kilobytes: 32_000)
    let parts = (1...2).map { disk.path + "/part-\($0)" }
    for (index, part) in parts.enumerated() {
      let arguments = tones.preparing(part, "--shard", "\(index + 1)/2")
      #expect(try Program.run("tutti", arguments).code == 0)
    }
    #expect(try Program.run("tutti", ["prepare", "--join"] + parts + ["--out", store]).code == 0)
    #expect(try Files.contents(of: store) == tones.expected)
  }

  @Test("or says at once what keeps it from it")
  func missingFiles() throws {
    var list = "clip_id,path,split,tags\n"
    for number in 0..<12 {
      list += "\(number),\(number % 3 == 1 ? "gone/" : "")\(number).wav,"
      list += "\(number < 6 ? "train" : "validation"),low\n"
    }
    try Files.write(list, to: folder / "tags.csv")
    let arguments = [
      "prepare", "--tags", folder / "tags.csv", "--audio", tones.folder.path, "--out", store,
    ]
    let refused = try Program.run("tutti", arguments)
    #expect(refused.code == 65)
    #expect(refused.lastError.contains("tags.csv, line 3: there is no file gone/1.wav"))
    #expect(refused.lastError.contains("nor 3 others: gone/4.wav (line 6), gone/7.wav (line 9)"))
    #expect(!Files.exists(store))
    let lenient = try Program.run("tutti", arguments + ["--skip-bad"])
    #expect(lenient.code == 0)
    #expect(lenient.errors.contains("4 clips could not be used (4 missing)"))
    let strict = try Program.run("tutti", tones.preparing(folder / "strict", "--strict"))
    #expect(strict.code == 65)
    #expect(strict.lastError.contains("tags.csv, line 19"))
    #expect(strict.lastError.contains("17.wav cannot be used: undecodable"))
  }

  @Test(
    "or says which arguments do not go together",
    arguments: [
      ["prepare", "--out", "x"], ["prepare", "--tags", "a"],
      ["prepare", "--join", "a", "--tags", "b", "--out", "x"],
      ["prepare", "--tags", "a", "--out", "x", "--shard", "17/16"],
      ["prepare", "--tags", "a", "--out", "x", "--shard", "one"],
      ["prepare", "--tags", "a", "--out", "x", "--strict", "--skip-bad"],
      ["prepare", "--tags", "a", "--out", "x", "--clips-per-block", "0"],
    ])
  func usage(_ arguments: [String]) throws {
    let ending = try Program.run("tutti", arguments)
    #expect(ending.code == 64)
    #expect(ending.errors.contains("\nUsage: tutti prepare <options>\n"), "\(ending.errors)")
    #expect(ending.errors.contains("See 'tutti prepare --help'"))
  }
}

extension Files {
  /// The bytes of every file in a folder, by name.
  fileprivate static func contents(of folder: String) throws -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: try names(in: folder).map { ($0, try bytes(folder + "/" + $0)) })
  }
}
