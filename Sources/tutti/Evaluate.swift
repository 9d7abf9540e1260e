import ArgumentParser
import Dataset
import Foundation
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Judge a model on a split of a store: ROC-AUC and PR-AUC, overall and per tag.")

  @Option(
    help: ArgumentHelp("A model, a checkpoint, or a run's folder (its best).", valueName: "model"))
  var model: String
  @Option(help: ArgumentHelp("The store.", valueName: "folder"))
  var data: String
  @Option(help: "train, validation or test.")
  var split = "test"
  @Option(help: "Threads (default: one a core).")
  var threads: Int?
  @Flag(help: "Also say which tags are taken for each other (see tutti report).")
  var confusions = false
  @Flag(help: "One JSON object instead of a table.")
  var json = false

  func validate() throws {
    guard Split(rawValue: split) != nil else {
      throw ValidationError("--split is train, validation or test, not \(split)")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
  }

  func run() throws {
    Program.run {
      let evaluation = try Evaluation(
        model: model, store: URL(fileURLWithPath: data), split: Split(rawValue: split) ?? .test,
        threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
        withConfusions: confusions)
      print(json ? try evaluation.json() : evaluation.table)
    }
  }
}
