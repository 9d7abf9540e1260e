import Audio
import Foundation
import Layers
import Models

/// How a model hears sounds: which excerpts of a file become which maps.
///
/// By its own feature settings, one excerpt from the middle of a file, as in preparation; or windows
/// from its beginning to its end, of the same length or of another that the network takes.
struct Hearing: Sendable {
  /// Their length is a window's.
  let settings: FeatureSettings
  /// The model's network; for windows of another length, one that has the same weights.
  let network: Models.Network
  /// Samples from the start of one window to the next; nil is the one excerpt.
  let hop: Int?
  /// A warning, if windows are much shorter than what the network was trained with.
  let note: String?

  /// - Parameters:
  ///   - path: the model's, for messages
  ///   - window: seconds; nil is the length that the network was trained with
  ///   - hop: seconds from one window to the next; nil is a window's length
  /// - Throws: `TrainingError` if the model does not know how its features are made, or does not take
  ///   such windows; `CheckpointError` if its features are made otherwise than here
  init(_ model: TaggingModel, path: String, window: Double?, hop: Double?) throws {
    guard let settings = try FeatureSettings(model.features, of: path) else {
      throw TrainingError(
        .badInput,
        "\(path) does not say how its features are made, so it cannot hear sound files: give it "
          + "maps with --features")
    }
    guard window != nil || hop != nil else {
      (self.settings, network, self.hop, note) = (settings, model.network, nil, nil)
      return
    }
    let rate = Double(settings.sampleRateHz)
    var windows = settings
    if let window {
      windows.durationSeconds = window
    } else if settings.frames != model.network.input[2] {
      // The network was trained with crops of the clips.
      windows.durationSeconds =
        Double((model.network.input[2] - 1) * settings.hopLength) / rate
    }
    do { try windows.validate() } catch {
      throw TrainingError(.usage, "windows of \(windows.durationSeconds) s: \(error)")
    }
    self.settings = windows
    self.hop = max(1, Int((hop.map { $0 * rate } ?? Double(windows.samples)).rounded()))
    network = try model.network(
      frames: windows.frames,
      refusing: { reason in
        TrainingError(
          .usage,
          "\(path) does not take windows of \(windows.durationSeconds) s, which are "
            + "\(windows.frames) frames: \(reason); leave --window out to give it "
            + "\(model.network.input[2]) frames")
      })
    note = Self.note(windows, network, trained: model.network.input[2])
  }

  /// - Parameter trained: frames that the model was trained with
  private static func note(
    _ windows: FeatureSettings, _ network: Models.Network, trained: Int
  ) -> String? {
    guard 2 * windows.frames < trained else { return nil }
    let seconds = Double((trained - 1) * windows.hopLength) / Double(windows.sampleRateHz)
    let isPadded = network.layers.contains { $0 is TimePadding }
    return "windows of \(windows.durationSeconds) s are less than half of the "
      + String(format: "%.2f s that the model was trained with", seconds)
      + (isPadded ? ", and padding takes the place of the rest" : "")
      + ": its tags may mean little; leave --window out, or lengthen it"
  }
}

extension TaggingModel {
  /// The network with the same weights for clips of so many frames.
  fileprivate func network(
    frames: Int, refusing refusal: (String) -> TrainingError
  ) throws -> Models.Network {
    guard frames != network.input[2] else { return network }
    let other: Models.Network
    do {
      other = try configuration.network(tags: tags.count, bands: network.input[1], frames: frames)
    } catch {
      throw refusal("\(error)")
    }
    let (mine, theirs) = (
      network.parameters + network.statistics, other.parameters + other.statistics
    )
    if let (mine, other) = zip(mine, theirs).first(where: { $0 != $1 }) {
      throw refusal("\(mine.name) would have to be \(other.shape) and is \(mine.shape)")
    }
    return other
  }
}
