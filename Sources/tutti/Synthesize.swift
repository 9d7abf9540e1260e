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

  func validate() throws {
    guard clips <= 1_000_000 else {
      throw ValidationError("--clips must be at most 1000000, not \(clips)")
    }
  }

  func run() throws {
    Program.run {
      let counter = Counter()
      let total = clips
      try Synthesis.synthesize(
        into: out, clips: clips, seed: seed,
        threads: ProcessInfo.processInfo.activeProcessorCount
      ) { counter.show("synthesizing", done: $0, of: total) }
      counter.finish()
      print("\(clips) clips and tags.csv in \(out)")
    }
  }
}
