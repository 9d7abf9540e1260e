import ArgumentParser
import Foundation
import Training

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a configuration, a store, a checkpoint or a model holds.")

  @Argument(
    help: ArgumentHelp(
      "A configuration (.yaml), a store's or run's folder, a checkpoint, or a model.",
      valueName: "path"))
  var path: String
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Override a setting of the configuration.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(help: "Tags of the network, for a configuration.")
  var tags = 50
  @Flag(help: "Print only the digest of a checkpoint's state, one SHA-256.")
  var digest = false

  func validate() throws {
    guard (1...65_536).contains(tags) else {
      throw ValidationError("--tags must be from 1 to 65536, not \(tags)")
    }
  }

  func run() throws {
    Program.run {
      print(
        try Inspection(path: path, overrides: overrides, tags: tags, digestOnly: digest).text,
        terminator: "")
    }
  }
}
