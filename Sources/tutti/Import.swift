import ArgumentParser
import Training

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model of weights that another program wrote.",
    discussion: """
      Tensors have PyTorch's names (conv1.weight, bn1.running_mean, gru1.weight_ih_l0, …), or their \
      GRU's gates stand apart (gru1.w_r, gru1.u_z, gru1.b_h, …); --map gives other names. \
      `tutti inspect CONFIG` lists the layers, and `tutti inspect MODEL` a model's tensors.
      """)

  @Option(help: ArgumentHelp("The weights.", valueName: "safetensors"))
  var weights: String
  @Option(help: ArgumentHelp("The network they belong to.", valueName: "yaml"))
  var config: String
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Override a setting of the configuration.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(help: ArgumentHelp("The model file to write.", valueName: "file"))
  var out: String
  @Option(
    help: ArgumentHelp(
      "The tags in the output's order, one a line (default: the list in the weights' metadata).",
      valueName: "file"))
  var tags: String?
  @Option(
    help: ArgumentHelp(
      "Names of tensors as YAML, theirs: ours; null leaves one out.", valueName: "yaml"))
  var map: String?

  func run() throws {
    Program.run {
      let configuration = try Configuration(path: config, overrides: overrides)
      let model = try TaggingModel(
        importing: weights, configuration: configuration, tags: tags, map: map)
      if configuration.loss.kind == .auto {
        Program.say(
          "loss.kind auto is binary here, where no store decides: any number of tags a clip; for "
            + "exactly one, --set loss.kind=softmax")
      }
      try model.write(to: out)
      print(
        "\(out): \(model.network.name), \(model.tags.count) tags, "
          + "\(model.network.parameterCount) parameters")
    }
  }
}
