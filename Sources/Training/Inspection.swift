import Dataset
import Foundation
import Kernels
import Models

/// What `tutti inspect` says of a configuration, a store, a run, a checkpoint or a model.
package struct Inspection {
  package let text: String

  /// - Parameters:
  ///   - tags: of the network that a configuration describes
  ///   - digestOnly: nothing but a checkpoint's digest
  package init(path: String, overrides: [String], tags: Int, digestOnly: Bool) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw TrainingError(.badInput, "there is no file or folder \(path)")
    }
    let isRun = FileManager.default.fileExists(atPath: path + "/config.yaml")
    let isCheckpoint =
      isRun || path.hasSuffix(".safetensors")
      || !isFolder.boolValue && (try? SafetensorsFile(path: path)) != nil
    guard overrides.isEmpty || !isCheckpoint && !isFolder.boolValue else {
      throw TrainingError(.usage, "--set goes with a configuration, and \(path) is none")
    }
    if isCheckpoint {
      let file = try SafetensorsFile(path: isRun ? path + "/last.safetensors" : path)
      if file.metadata["format"] == TaggingModel.format && !digestOnly {
        text = Self.describe(try TaggingModel(path: path))
        return
      }
      try file.verify()
      let checkpoint = try Checkpoint(file)
      text = digestOnly ? try checkpoint.digest() + "\n" : try Self.describe(checkpoint)
      return
    }
    guard !digestOnly else {
      throw TrainingError(.usage, "--digest goes with a checkpoint, and \(path) is none")
    }
    text =
      isFolder.boolValue
      ? StoreTable(try Store(URL(fileURLWithPath: path))).text
      : try Self.describe(Configuration(path: path, overrides: overrides), tags: tags)
  }

  private static func describe(_ configuration: Configuration, tags: Int) throws -> String {
    let network = try configuration.network(
      tags: tags, bands: 96, frames: configuration.augmentation.cropFrames ?? 1366)
    let clips = configuration.training.clipsPerLane
    let bytes = LaneComputer.memory(network, clips: clips, threads: 1)
    return layers(network)
      + totals(network)
      + "memory of a worker, one thread: \(MemoryBudget.text(bytes)) with \(clips) clips a lane\n"
  }

  private static func describe(_ model: TaggingModel) -> String {
    layers(model.network)
      + totals(model.network)
      + "network: \(model.network.name), \(model.tags.count) tags: "
      + model.tags.joined(separator: ", ") + "\n"
      + "features: "
      + (model.features.isEmpty
        ? "unknown" : model.features.map { "\($0.name) \($0.value)" }.joined(separator: ", "))
      + "\n"
  }

  private static func layers(_ network: Models.Network) -> String {
    let rows = network.layers.map { layer in
      [
        layer.name, layer.summary, layer.output.description,
        String(layer.parameters.reduce(0) { $0 + $1.shape.count }), String(layer.multiplyAdds),
      ]
    }
    return TextTable(
      ["layer", "what", "output", "parameters", "multiply-adds"],
      [["input", "", network.input.description, "0", "0"]] + rows
    ).text
  }

  private static func totals(_ network: Models.Network) -> String {
    "layers: \(network.layers.count)\n"
      + "weights and biases: \(network.weightsAndBiases)\n"
      + "parameters with batch normalization: \(network.parameterCount), "
      + "running statistics: \(network.weightCount - network.parameterCount)\n"
      + "multiply-adds per clip: \(network.multiplyAdds)\n"
  }

  private static func describe(_ checkpoint: Checkpoint) throws -> String {
    let position = checkpoint.position
    let best = checkpoint.stopping.best
    let rows = checkpoint.file.tensors.map {
      [$0.name, Shape($0.shape).description, $0.type.rawValue]
    }
    return TextTable(["tensor", "shape", "type"], rows).text
      + totals(try checkpoint.network())
      + "network: \(checkpoint.configuration.model.network.rawValue), \(checkpoint.tags.count) tags: "
      + checkpoint.tags.joined(separator: ", ") + "\n"
      + "step \(position.step), epoch \(position.epoch), step in epoch \(position.stepInEpoch)\n"
      + (checkpoint.history.last.map {
        "validation at step \($0.step): loss \(RunReport.figure($0.loss)), ROC-AUC "
          + "\(RunReport.figure($0.rocAUC)), PR-AUC \(RunReport.figure($0.prAUC))\n"
      } ?? "")
      + (best.map { "best ROC-AUC \(RunReport.figure($0.score)) at step \($0.step)\n" } ?? "")
      + "store: \(checkpoint.storeFingerprint)\n"
      + "digest: \(try checkpoint.digest())\n"
  }
}

/// A store's clips and tags, for people.
package struct StoreTable {
  package let text: String

  package init(_ store: Store) {
    let splits = Split.allCases
    let rows =
      [["clips"] + splits.map { String(store.clipCount(in: $0)) }]
      + store.tags.indices.map { tag in
        [store.tags[tag]] + splits.map { String(store.tagCounts(in: $0)[tag]) }
      }
    text =
      TextTable([""] + splits.map(\.rawValue), rows).text
      + "features: \(store.bands) bands × \(store.frames) frames; "
      + store.settings.map { "\($0.name) \($0.value)" }.joined(separator: ", ") + "\n"
      + store.warnings.map { "warning: \($0)\n" }.joined()
      + "fingerprint: \(store.fingerprint)\n"
  }
}
