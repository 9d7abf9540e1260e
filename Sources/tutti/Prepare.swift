import ArgumentParser
import Dataset
import Foundation
import Training

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compute features of labelled sound files into a store.",
    discussion: """
      tags.csv has the columns clip_id, path, split (train, validation or test), work (optional) and \
      tags, joined by |. Files that cannot be used are listed in STORE/quarantine.csv with the reason.

      Interrupted, it goes on where it was when the same command is given again. Several machines \
      prepare a part each, which are then joined:

        tutti prepare --tags tags.csv --out part-1 --shard 1/2
        tutti prepare --tags tags.csv --out part-2 --shard 2/2
        tutti prepare --join part-1 part-2 --out STORE

      Parts that lie on the store's file system become links to the same files; they may be removed \
      once the store is made.
      """)

  @Option(help: ArgumentHelp("The list of clips.", valueName: "tags.csv"))
  var tags: String?
  @Option(
    help: ArgumentHelp(
      "Where the list's paths start (default: the list's folder).", valueName: "folder"))
  var audio: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Make one store of all parts, instead of --tags.", valueName: "part"))
  var join: [String] = []
  @Option(help: ArgumentHelp("The store to make.", valueName: "folder"))
  var out: String
  @Option(
    help: ArgumentHelp("Prepare one part of several, such as 3/16.", valueName: "number/parts"))
  var shard: String?
  @Flag(help: "Start anew instead of going on with what an interruption has left.")
  var restart = false
  @Option(help: "Threads (default: one a core).")
  var threads: Int?
  @Option(help: "Clips of a block file, the least that an interruption undoes.")
  var clipsPerBlock = 64
  @Flag(
    name: [.customLong("skip-bad"), .customLong("skip-missing")],
    help: "Leave out clips whose file does not exist, too.")
  var skipBad = false
  @Flag(help: "Stop at the first file that cannot be used.")
  var strict = false

  func run() throws {
    // Not in `validate()`, which would speak before the parser does of a misspelt --tags.
    if join.isEmpty, tags == nil {
      throw ValidationError("--tags names the list of clips, or --join the parts of a store")
    }
    Program.run {
      let counter = Counter(unit: "files")
      let interruption = Interruption {}
      let part = shard.flatMap(Shard.init)
      let outcome = try work(part, counter, interruption)
      if let store = outcome.store {
        print(StoreTable(store).text, terminator: "")
      } else if let part {
        print(
          "\(part) in \(out), \(outcome.clips) clips; once all \(part.count) are there: "
            + "tutti prepare --join PART… --out STORE")
      }
      if let summary = outcome.quarantineSummary {
        Program.say("\(summary); \(out)/quarantine.csv says why")
      }
    }
  }

  private func work(
    _ part: Shard?, _ counter: Counter, _ interruption: Interruption
  ) throws -> Preparation.Outcome {
    defer { counter.finish() }
    let store = URL(fileURLWithPath: out)
    if !join.isEmpty {
      var joining = Joining(parts: join.map { URL(fileURLWithPath: $0) }, store: store)
      joining.restarts = restart
      joining.interruption = { interruption.signalName }
      if let threads { joining.threads = threads }
      return try joining.run { counter.show($0, done: $1, of: $2) }
    }
    let (manifest, audio) = try clips()
    var preparation = Preparation(
      manifest: manifest, tags: manifest.tags, audio: audio, store: store)
    if let tags { preparation.list = tags }
    preparation.shard = part
    preparation.clipsPerBlock = clipsPerBlock
    preparation.strictness = strict ? .strict : skipBad ? .lenient : .usual
    preparation.restarts = restart
    preparation.interruption = { interruption.signalName }
    preparation.note = { counter.note($0) }
    if let threads { preparation.threads = threads }
    return try preparation.run { counter.show($0, done: $1, of: $2) }
  }

  /// The clips that the arguments name, and the folder where their paths start.
  private func clips() throws -> (Manifest, audio: URL) {
    let list = URL(fileURLWithPath: tags ?? "")
    guard FileManager.default.fileExists(atPath: list.path) else {
      throw TrainingError(.badInput, "there is no list of clips \(list.path); --tags names it")
    }
    return (
      try TagsFile(list).manifest,
      audio.map { URL(fileURLWithPath: $0) } ?? list.deletingLastPathComponent()
    )
  }

  func validate() throws {
    if !join.isEmpty, tags != nil || audio != nil || shard != nil || strict || skipBad {
      throw ValidationError(
        "--join takes parts as they are: --tags, --audio, --shard, --strict and --skip-bad go with "
          + "their preparation")
    }
    if strict, skipBad {
      throw ValidationError("--strict stops at what --skip-bad leaves out: give one of them")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    guard (1...1024).contains(clipsPerBlock) else {
      throw ValidationError("--clips-per-block must be from 1 to 1024, not \(clipsPerBlock)")
    }
    if let shard, Shard(shard) == nil {
      throw ValidationError(
        "--shard is a part's number and how many there are, such as 3/16, not \(shard)")
    }
  }
}
