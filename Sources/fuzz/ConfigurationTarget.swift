import Training

extension Target {
  /// A configuration, as a file or as a coordinator sends it.
  static let configuration = Target(
    name: "configuration", longest: 8192, words: configurationWords,
    seeds: {
      [
        "", "model:\n  network: crnn\n  size: 0.1M\ntraining: {lanes: 8, seed: 1}\n",
        "--- {model: {network: mlp, widths: [31, 31], dropout: {dense: 0.5}}}\n",
        "model.network: k2c2\nmodel.parameters: 420_000 # about\n\"training\":\n  epochs: !!int 3\n",
        "training:\n  validateEvery: 500 steps\n  clipNorm: ~\noptimizer:\n  learningRate: 1e-3\n"
          + "  schedule: cosine\nfeatures:\n  hopLength: 256\n",
        try Configuration(overrides: ["model.network=rnn"]).yaml,
      ].map { Array($0.utf8) }
    },
    read: { bytes in
      guard let yaml = String(validating: bytes, as: UTF8.self) else { return }
      let configuration = try Configuration(yaml: yaml, place: "run.yaml")
      let again = try Configuration(yaml: configuration.yaml, place: "resolved.yaml")
      expect(
        configuration.yaml == again.yaml && configuration.identity == again.identity,
        "a configuration was read back as another:\n\(again.yaml)")
    })
}

let configurationWords =
  Setting.all.map(\.key)
  + Setting.all.flatMap { $0.key.split(separator: ".").map { "\($0): " } }
  + Configuration.Network.allCases.map(\.rawValue)
  + [
    "---", "...", "&a ", "*a", "<<: ", "? ", "- ", "[", "]", "{", "}", "!!str ", "!<!>", "|\n",
    ">-\n",
    "%YAML 1.1\n", "\u{85}", "\u{2028}", "# ", "null", "500 steps", "1 epoch", "1e-300", "0x10",
    "9223372036854775807", "18446744073709551615",
  ]
