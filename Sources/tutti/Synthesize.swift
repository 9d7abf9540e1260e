import ArgumentParser
import Foundation
import Synthesis
import Training

struct Synthesize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the embedded data set: tunes arranged, played and tagged by Tutti itself.")

  @Option(help: ArgumentHelp("Folder for the sound files and tags.csv.", valueName: "folder"))
  var out: String
  @Option(help: "How many clips.")
  var clips = EmbeddedDataset.clips
  @Option(help: "Another seed makes another data set.")
  var seed = EmbeddedDataset.seed

  func run() throws {
    Foundation.exit(Program.status {
      let counter = Counter()
      let total = clips
      try Corpus.synthesize(
        into: out, clips: clips, seed: seed,
        threads: ProcessInfo.processInfo.activeProcessorCount
      ) { counter.show("synthesizing", done: $0, of: total) }
      counter.finish()
      print("\(clips) clips and tags.csv in \(out)")
    })
  }
}
