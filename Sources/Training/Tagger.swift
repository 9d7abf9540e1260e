import Audio
import Dataset
import Kernels
import Models

/// What a model says of one sound or map.
package struct TagProbabilities: Equatable, Sendable {
  /// One a tag, in the model's order: the mean over the windows, if there are any.
  package let mean: [Float]
  /// In their order; empty where there was one excerpt.
  package let windows: [Window]

  package struct Window: Equatable, Sendable {
    /// Seconds from the file's beginning.
    package let start: Double
    /// Empty for a silent window, which says nothing and is not in the mean.
    package let probabilities: [Float]
  }
}

/// From one sound, or one map of features, to the probabilities of a model's tags. One per thread.
final class Tagger {
  private let evaluator: Evaluator
  private let hearing: Hearing?
  private let extractor: LogMelExtractor?

  /// - Parameter hearing: nil if only maps will come
  init(_ model: TaggingModel, _ hearing: Hearing?) throws {
    self.hearing = hearing
    extractor = try hearing.map { try LogMelExtractor(settings: $0.settings) }
    evaluator = Evaluator(
      hearing?.network ?? model.network, model.configuration.trainingLoss, weights: model.weights,
      pool: ThreadPool(threads: 1))
  }

  /// Bytes that a tagger takes.
  static func memory(_ model: TaggingModel, _ hearing: Hearing?) -> Int {
    // A decoder, the sound at its own rate, and what OpenBLAS takes for a thread.
    let sound = 64 << 20
    let samples = hearing.map { 4 * ($0.settings.samples + $0.settings.values) } ?? 0
    return sound + samples * MemoryLayout<Float>.stride
      + Evaluator.memory(hearing?.network ?? model.network, threads: 1)
  }

  /// - Parameter isStopped: asked between windows; if so, `CancellationError` is thrown
  /// - Throws: `AudioError`, `DatasetError` or `TrainingError` about this one input
  func tag(_ input: TaggingInput, isStopped: () -> Bool) throws -> TagProbabilities {
    switch input {
    case .map(let array, let index, let path):
      let size = evaluator.network.input.count
      let map = array.floats((index * size)..<((index + 1) * size))
      if let place = map.firstIndex(where: { !$0.isFinite }) {
        throw TrainingError(
          .badInput, "\(path): value \(index * size + place) is \(map[place])")
      }
      return TagProbabilities(mean: try probabilities(map, of: path), windows: [])
    case .soundless(let folder):
      throw TrainingError(
        .badInput,
        "\(folder): there are no sound files in this folder or below it; they are known by "
          + TaggingInput.extensions.map { "." + $0 }.joined(separator: ", "))
    case .sound(let path):
      guard let hearing, let extractor else { preconditionFailure("Tagger: made for maps") }
      if let hop = hearing.hop { return try tagWindows(of: path, hop, extractor, isStopped) }
      var map = [Float](repeating: 0, count: hearing.settings.values)
      var span = map.mutableSpan
      try extractor.features(ofFile: path, into: &span)
      return TagProbabilities(
        mean: try probabilities(asStored(map, of: path), of: path), windows: [])
    }
  }

  private func tagWindows(
    of path: String, _ hop: Int, _ extractor: LogMelExtractor, _ isStopped: () -> Bool
  ) throws -> TagProbabilities {
    let settings = extractor.settings
    var reader = try WindowReader(path: path, settings: settings, hop: hop)
    var samples: [Float] = []
    var map = [Float](repeating: 0, count: settings.values)
    var windows: [TagProbabilities.Window] = []
    var silence: AudioError?
    while let start = try reader.next(into: &samples) {
      if isStopped() { throw CancellationError() }
      var probabilities: [Float] = []
      do {
        var span = map.mutableSpan
        try extractor.logMel(samples.span, into: &span)
        probabilities = try self.probabilities(asStored(map, of: path), of: path)
      } catch let error as AudioError where error.code == .silent {
        silence = AudioError(.silent, attempt: error.attempt, path: path, detail: error.detail)
      }
      windows.append(
        TagProbabilities.Window(
          start: Double(start) / Double(settings.sampleRateHz), probabilities: probabilities))
    }
    let heard = windows.map(\.probabilities).filter { !$0.isEmpty }
    if let silence, heard.isEmpty { throw silence }
    let mean = (0..<evaluator.network.tags).map { tag in
      Float(heard.reduce(0.0) { $0 + Double($1[tag]) } / Double(heard.count))
    }
    return TagProbabilities(mean: mean, windows: windows)
  }

  /// The map rounded to half precision, as a store keeps it: a clip gets the probabilities that it
  /// has there, to the bit.
  private func asStored(_ map: [Float], of path: String) throws -> [Float] {
    var halves = [UInt16](repeating: 0, count: map.count)
    let misfit = map.withUnsafeBufferPointer { map in
      halves.withUnsafeMutableBufferPointer { HalfPrecision.encode(map, into: $0) }
    }
    if let misfit {
      throw TrainingError(
        .badInput, "\(path): a feature is \(map[misfit]), too large for half precision")
    }
    return [Float](unsafeUninitializedCapacity: map.count) { rounded, count in
      count = map.count
      let rounded = UnsafeMutableBufferPointer(rebasing: rounded[..<count])
      halves.withUnsafeBufferPointer { HalfPrecision.decode($0, into: rounded) }
    }
  }

  private func probabilities(_ map: [Float], of path: String) throws -> [Float] {
    let probabilities = evaluator.probabilities(map)
    guard probabilities.allSatisfy(\.isFinite) else {
      throw TrainingError(
        .badInput, "\(path): the model's probabilities are not finite; its weights are too large")
    }
    return probabilities
  }
}
