import ArgumentParser
import Foundation
import Training

/// The tools around training.
@main struct Tutti: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tutti",
    abstract: "Prepare data, look at models and stores, judge them, tag sounds, make keys.",
    version: Build.description,
    subcommands: [
      Synthesize.self, Prepare.self, Inspect.self, Evaluate.self, Tag.self, Export.self,
      Import.self, MakePlan.self, Keygen.self, Report.self,
    ])
}

extension ParsableCommand {
  /// Ends the program because of wrong usage that shows only in `run()`, in the words in which the
  /// parser would: an error thrown there would get the usage of all of `tutti`.
  static func refuse(_ sentence: String) -> Never {
    Program.say(
      "Error: \(sentence)\nUsage: \(Tutti.usageString(for: self))\n"
        + "  See 'tutti \(_commandName) --help' for more information.")
    Foundation.exit(ExitStatus.usage.rawValue)
  }
}
