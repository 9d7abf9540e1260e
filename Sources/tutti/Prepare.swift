import ArgumentParser
import Foundation
import Training

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compute features of labelled sound files into a store.",
    discussion: """
      tags.csv has the columns clip_id, path, split (train, validation or test), work (optional) and \
      tags, joined by |. Files that cannot be used are listed in STORE/quarantine.csv with the reason.
      """)

  @Option(help: ArgumentHelp("The list of clips.", valueName: "tags.csv"))
  var tags: String
  @Option(help: ArgumentHelp("Where the list's paths start (default: the list's folder).", valueName: "folder"))
  var audio: String?
  @Option(help: ArgumentHelp("The store to make.", valueName: "folder"))
  var out: String
  @Option(help: "Threads (default: one a core).")
  var threads: Int?
  @Flag(help: "Leave out clips whose file does not exist.")
  var skipMissing = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
  }

  func run() throws {
    Foundation.exit(Program.status {
      let list = URL(fileURLWithPath: tags)
      var preparation = Preparation(
        tags: list,
        audio: audio.map { URL(fileURLWithPath: $0) } ?? list.deletingLastPathComponent(),
        store: URL(fileURLWithPath: out))
      preparation.skipsMissing = skipMissing
      if let threads { preparation.threads = threads }
      let counter = Counter()
      let outcome = try preparation.run { counter.show("preparing", done: $0, of: $1) }
      counter.finish()
      print(StoreTable(outcome.store).text, terminator: "")
      if outcome.quarantined > 0 {
        Program.say(
          "\(outcome.quarantined) clips could not be used; \(out)/quarantine.csv says why")
      }
    })
  }
}
