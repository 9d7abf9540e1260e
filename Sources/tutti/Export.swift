import ArgumentParser
import Training

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model into a file of its own, to be used elsewhere.",
    discussion: """
      The file is safetensors, with tensors named as PyTorch names them, and has the configuration, \
      the tags and the feature settings as metadata: a checkpoint without what only training needs.
      """)

  @Argument(
    help: ArgumentHelp("A run's folder (its best model) or a checkpoint.", valueName: "run"))
  var source: String
  @Option(help: ArgumentHelp("The file to write.", valueName: "model"))
  var out: String

  func run() throws {
    Program.run {
      let model = try TaggingModel(path: source)
      try model.write(to: out)
      print(
        "\(out): \(model.network.name), \(model.tags.count) tags, "
          + "\(model.network.parameterCount) parameters")
    }
  }
}
