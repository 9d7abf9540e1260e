import ArgumentParser
import Audio
import Dataset
import Foundation
import Training

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compute features of labelled sound files into a store.",
    discussion: """
      tags.csv has the columns clip_id, path, split (train, validation or test), work (optional) and \
      tags, joined by |. Files that cannot be used are listed in STORE/quarantine.csv with the reason.

      Interrupted, it goes on where it was when the same command is given again; once the store is \
      finished, the same command changes nothing, and another one is refused. Several machines \
      prepare a part each, which are then joined:

        tutti prepare --tags tags.csv --out part-1 --shard 1/2
        tutti prepare --tags tags.csv --out part-2 --shard 2/2
        tutti prepare --join part-1 part-2 --out STORE

      Parts that lie on the store's file system become links to the same files; they may be removed \
      once the store is made.
      """)

  @OptionGroup(title: "Data set") var importing: ImportOptions
  @Option(help: ArgumentHelp("The store to make.", valueName: "folder"))
  var out: String?
  @Option(
    help: ArgumentHelp("Features as this configuration asks for them.", valueName: "yaml"))
  var config: String?
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "A setting of the features, such as features.durationSeconds=60.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(
    help: ArgumentHelp("Prepare one part of several, such as 3/16.", valueName: "number/parts"))
  var shard: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Make one store of all parts, instead of --tags.", valueName: "part"))
  var join: [String] = []
  @Flag(help: "Start anew instead of going on with what an interruption has left.")
  var restart = false
  @Option(help: "Threads (default: one a core).")
  var threads: Int?
  @Option(help: "Clips of a block file, the least that an interruption undoes.")
  var clipsPerBlock = 64

  func run() throws {
    // Not in `validate()`, which would speak before the parser does of a misspelt option.
    if join.isEmpty, let missing = importing.missingLists { Self.refuse(missing) }
    if out == nil && !importing.dryRun { Self.refuse("give the folder of the store with --out") }
    Program.run {
      let counter = Counter(unit: "files")
      let interruption = Interruption {}
      if !join.isEmpty {
        try finish(join(counter, interruption))
      } else {
        let imported = try importing.imported()
        if importing.dryRun {
          print(imported.report.lines.joined(separator: "\n"))
          return try imported.manifest.requireSplits()
        }
        // The store that is made says what clips its tags have.
        Program.say(imported.report.summary.joined(separator: "\n"))
        try finish(prepare(imported, counter, interruption))
      }
    }
  }

  private var store: URL { URL(fileURLWithPath: out ?? "") }
  private var part: Shard? { shard.flatMap(Shard.init) }

  private func prepare(
    _ imported: Imported, _ counter: Counter, _ interruption: Interruption
  ) throws -> Preparation.Outcome {
    var preparation = Preparation(
      manifest: imported.manifest, tags: imported.tags, audio: imported.audio, store: store)
    preparation.settings = try FeatureSettings(configuration().features)
    preparation.shard = part
    preparation.clipsPerBlock = clipsPerBlock
    preparation.strictness = importing.strict ? .strict : importing.skipBad ? .lenient : .usual
    preparation.restarts = restart
    preparation.interruption = { interruption.signalName }
    preparation.note = { counter.note($0) }
    if let threads { preparation.threads = threads }
    defer { counter.finish() }
    return try preparation.run { counter.show($0, done: $1, of: $2) }
  }

  private func configuration() throws -> Configuration {
    guard let config else { return try Configuration(overrides: overrides) }
    return try Configuration(path: config, overrides: overrides)
  }

  private func join(
    _ counter: Counter, _ interruption: Interruption
  ) throws -> Preparation.Outcome {
    var joining = Joining(parts: join.map { URL(fileURLWithPath: $0) }, store: store)
    joining.restarts = restart
    joining.interruption = { interruption.signalName }
    if let threads { joining.threads = threads }
    defer { counter.finish() }
    return try joining.run { counter.show($0, done: $1, of: $2) }
  }

  private func finish(_ outcome: Preparation.Outcome) {
    if let store = outcome.store {
      print(StoreTable(store).text, terminator: "")
    } else if let part {
      print(
        "\(part) in \(store.path), \(outcome.clips) clips; once all \(part.count) are there: "
          + "tutti prepare --join PART… --out STORE")
    }
    if let summary = outcome.quarantineSummary {
      Program.say("\(summary); \(store.path)/quarantine.csv says why")
    }
  }

  func validate() throws {
    if !join.isEmpty,
      importing.areGiven || importing.audio != nil || importing.strict || importing.skipBad
        || importing.dryRun || shard != nil || config != nil || !overrides.isEmpty
    {
      throw ValidationError(
        "--join takes parts as they are: the data set, --audio, --config, --set, --shard, --strict, "
          + "--skip-bad and --dry-run go with their preparation")
    }
    if let other = overrides.first(where: { !$0.hasPrefix("features.") }) {
      throw ValidationError("--set takes settings of the features here, not \(other)")
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
