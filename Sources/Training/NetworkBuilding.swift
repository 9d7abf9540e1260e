import Audio
import Dataset
import Kernels
import Layers
import Models

/// From a configuration and a store to a network: the only place where their words meet.
extension Configuration {
  /// - Parameter frames: what the network takes of a clip
  /// - Throws: `NetworkError` if the network does not fit the store's clips
  package func network(tags: Int, bands: Int, frames: Int) throws(NetworkError) -> Models.Network {
    let widths: NetworkSettings.Widths =
      switch model.scale {
      case .size(let size): .size(size.rawValue)
      case .parameters(let count): .parameters(count)
      case .widths(let widths): .explicit(widths)
      }
    return try Architectures.network(
      NetworkSettings(
        network: model.network.rawValue, widths: widths, tags: tags, input: [1, bands, frames],
        pooling: model.pool == .average ? .average : .max,
        convolutionDropout: Float(model.dropout.convolution),
        denseDropout: Float(model.dropout.dense),
        inputNormalization: model.inputNormalization == .frame ? .frame : .band,
        reset: model.reset == .after ? .after : .before,
        gate: model.gate == .hardSigmoid ? .hardSigmoid : .sigmoid,
        cell: NetworkSettings.Cell(rawValue: model.cell.rawValue) ?? .gru,
        recurrence: NetworkSettings.Recurrence(rawValue: model.recurrence.rawValue) ?? .lastStep,
        poolFrames: model.poolFrames))
  }

  package func network(for store: Store) throws(NetworkError) -> Models.Network {
    try network(
      tags: store.tags.count, bands: store.bands, frames: augmentation.cropFrames ?? store.frames)
  }

  /// - Throws: `TrainingError` if the store's features were made with other settings than `features`
  ///   asks for
  package func requireFeatures(of store: Store) throws(TrainingError) {
    for setting in Setting.all where setting.key.hasPrefix("features.") {
      // Null takes the store's as they are.
      guard let wanted = Double(setting.text(self)) else { continue }
      let name = setting.key.dropFirst("features.".count)
      let found =
        store.settings.first { $0.name == name }?.value ?? FeatureSettings.implied[String(name)]
      guard found.flatMap(Double.init) != wanted else { continue }
      throw TrainingError(
        .badInput,
        "the features in \(store.directory.path) were made with \(name) \(found ?? "unknown"), and "
          + "\(setting.key) is \(setting.text(self)): prepare a store with tutti prepare --set "
          + "\(setting.key)=\(setting.text(self)), or set \(setting.key) to null")
    }
  }

  /// Training's loss, which validation and evaluation report too. The configuration must be resolved:
  /// weights that are still to be balanced count as none.
  package var trainingLoss: Models.Loss {
    Models.Loss(
      loss.kind == .softmax ? .softmax : .binary, bits: loss.logBase == .two,
      positiveWeights: loss.positiveWeight.numbers.map(Float.init))
  }

  /// Which clips each lane takes at each step.
  package func schedule(for store: Store) -> LaneSchedule {
    let seed = training.seed
    return LaneSchedule(
      clips: store.range(of: .train), lanes: training.lanes,
      clipsPerLane: training.clipsPerLane
    ) { epoch, lane, index in
      RandomStream(seed: seed, purpose: .shuffle, time: epoch, lane: lane).word(index)
    }
  }
}
