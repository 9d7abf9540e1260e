import Foundation
import Kernels
import Training

extension Target {
  /// A model file: what `tutti tag` loads.
  static let model = Target(
    name: "model", longest: 8192, words: safetensorsWords + configurationWords + modelWords,
    seeds: { [try modelFile()] },
    repair: withoutChecksum,
    read: { bytes in
      try Scratch.use { scratch in
        let path = try scratch.file("model.safetensors", bytes).path
        let model = try TaggingModel(path: path)
        expect(model.weights.count == model.network.weightCount, "\(model.weights.count) weights")
        // Who loaded a model can write it, and load it again.
        let copy = scratch.folder.appendingPathComponent("copy.safetensors").path
        try model.write(to: copy)
        let again = try TaggingModel(path: copy)
        expect(
          again.tags == model.tags && again.configuration.yaml == model.configuration.yaml
            && again.weights.buffer.map(\.bitPattern) == model.weights.buffer.map(\.bitPattern),
          "a model was read back as another")
      }
    })

  /// Weights of another program, as a `FolderInput`: `weights`, `map` and `tags`.
  static let weights = Target(
    name: "weights", longest: 8192,
    words: safetensorsWords + modelWords + [FolderInput.cut, "weights", "map", "tags", ": null\n"],
    seeds: {
      let file = withoutChecksum(try modelFile())
      let renamed = file.replacing(Array("dense1".utf8), with: Array("layer1".utf8))
      let names = "layer1.weight: dense1.weight\nlayer1.bias: dense1.bias\n"
      return [
        FolderInput("", texts: [], others: [("weights", file)]),
        FolderInput(
          "", texts: [("map", names), ("tags", "piano\r\nslow\n")], others: [("weights", renamed)]),
      ].map(\.bytes)
    },
    repair: { bytes in
      let input = FolderInput(bytes)
      let files = input.files.map {
        ($0.name, $0.name == "weights" ? withoutChecksum($0.bytes) : $0.bytes)
      }
      return FolderInput("", texts: [], others: files).bytes
    },
    read: { bytes in
      try Scratch.use { scratch in
        let input = FolderInput(bytes)
        try input.write(to: scratch)
        func path(_ name: String) -> String? {
          input.files.contains { $0.name == name }
            ? scratch.folder.appendingPathComponent(name).path : nil
        }
        guard let weights = path("weights") else { return }
        let model = try TaggingModel(
          importing: weights, configuration: try tiny.get(), tags: path("tags"),
          map: path("map"))
        expect(model.weights.buffer.allSatisfy(\.isFinite), "weights that are not numbers")
      }
    })

  /// Two bands and two frames into one unit and another.
  private static let tiny = Result {
    try Configuration(overrides: [
      "model.network=mlp", "model.widths=[1, 1]", "model.poolFrames=1", "loss.kind=binary",
      "features.sampleRateHz=8000", "features.durationSeconds=0.04", "features.windowLength=256",
      "features.hopLength=256", "features.melBands=2", "features.highestHz=4000",
    ])
  }

  private static func modelFile() throws -> [UInt8] {
    let configuration = try tiny.get()
    let features = [("sampleRateHz", "8000"), ("durationSeconds", "0.04")]
    let network = try configuration.network(tags: 2, bands: 2, frames: 2)
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: 1)
    let model = TaggingModel(
      network: network, weights: weights, tags: ["piano", "slow"], configuration: configuration,
      features: features.map { .init($0.0, $0.1) })
    return try Scratch.use { scratch in
      let url = scratch.folder.appendingPathComponent("seed.safetensors")
      try model.write(to: url.path)
      return Array(try Data(contentsOf: url))
    }
  }

  /// The file as another program would write it, with the right length of its header.
  private static func withoutChecksum(_ bytes: [UInt8]) -> [UInt8] {
    let parts = pieces(of: bytes, cutBy: "\"checksum\"")
    return withOwnLength(Array(parts.joined(separator: "\"checksun\"".utf8)))
  }
}

private let modelWords = [
  "tutti model 1", "input", "\\\"bands\\\":", "\\\"frames\\\":", "1048576", "features", "tags",
  "bn0.running_var", "dense1.weight", "dense1.bias", "output.weight", "fc.weight", "F16", "BF16",
]
