import ArgumentParser
import Training

/// The tools around training.
@main struct Tutti: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tutti",
    abstract: "Prepare data, look at models and stores, judge them, tag sounds.",
    version: Build.description,
    subcommands: [
      Synthesize.self, Prepare.self, Inspect.self, Evaluate.self, Tag.self, Export.self,
      Import.self,
    ])
}
