import Audio
import Foundation
import Kernels
import Models
import Testing
import Training

/// The CRNN that was published with its weights, where they are at hand: `cluster/check-published.sh`
/// says where in `TUTTI_PUBLISHED`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["TUTTI_PUBLISHED"] != nil))
struct PublishedModelTests {
  private let goldens: SafetensorsFile
  private let folder: String
  private let model: TaggingModel
  private let pool = ThreadPool(threads: 1)

  init() throws {
    folder = try #require(ProcessInfo.processInfo.environment["TUTTI_PUBLISHED"])
    let configuration = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../configs/crnn-published.yaml").path
    goldens = try SafetensorsFile(path: folder + "/goldens.safetensors")
    model = try TaggingModel(
      importing: folder + "/weights.safetensors", configuration: Configuration(path: configuration))
  }

  /// The author's map of a clip.
  private func features(_ clip: String) throws -> [Float] {
    try goldens.read("\(clip).features", shape: [96, 1366])
  }

  /// What the first layers make of a map, up to the one called `last`.
  private func output(of features: [Float], upTo last: String) throws -> [Float] {
    let place = try #require(model.network.layers.firstIndex { $0.name == last })
    let prefix = Models.Network(
      name: "prefix", layers: Array(model.network.layers.prefix(place + 1)))
    let whole = model.network.parameters + model.network.statistics
    let weights = Storage(count: prefix.weightCount)
    for window in prefix.parameters + prefix.statistics {
      let source = try #require(whole.first { $0.name == window.name })
      for i in 0..<window.shape.count {
        weights.base[window.offset + i] = model.weights.base[source.offset + i]
      }
    }
    let executor = Executor(
      prefix, clips: 1, loss: Loss(.binary), trains: false, weights: weights, pool: pool)
    _ = executor.input.buffer.update(from: features)
    return executor.logits(clips: 1).values
  }

  private func probabilities(_ features: [Float]) throws -> [Float] {
    let logits = Tensor(try output(of: features, upTo: "output"), shape: [1, model.network.tags])
    Loss(.binary).probabilities(logits)
    return logits.values
  }

  @Test(
    "the published probabilities, of which three decimals are known",
    arguments: ["cute", "dubstep"])
  func published(clip: String) throws {
    let found = try probabilities(features(clip))
    let tags: [Int64] = try goldens.read("\(clip).published.tag_index")
    let expected: [Double] = try goldens.read("\(clip).published.prob")
    #expect(tags.count == 10)
    for (tag, probability) in zip(tags, expected) {
      let difference = abs(Double(found[Int(tag)]) - probability)
      #expect(difference <= 0.0005 + 1e-5, "\(model.tags[Int(tag)])")
    }
  }

  @Test("all probabilities, as a second implementation has them", arguments: ["cute", "dubstep"])
  func all(clip: String) throws {
    let found = try probabilities(features(clip))
    let expected: [Float] = try goldens.read("\(clip).probs", shape: [50])
    let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
    print("\(clip): probabilities differ by \(worst) at most")
    #expect(worst <= 1e-5)
  }

  /// Maps reach 7,000; single precision sums thousands of products in each of their values.
  @Test(
    "the maps in between",
    arguments: [
      ("bn0", "bn0"), ("pool1", "conv1"), ("pool2", "conv2"), ("pool3", "conv3"),
      ("pool4", "conv4"), ("gru1", "gru1"), ("gru2", "gru2"),
    ])
  func maps(name: String, layer: String) throws {
    let found = try output(of: features("cute"), upTo: layer)
    let expected: [Float] = try goldens.read("cute.\(name)")
    let largest = expected.map { abs($0) }.max() ?? 0
    let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
    print("\(name): differs by \(worst / largest) of its largest value, \(largest)")
    expectNear(found, expected, within: 2e-5, name)
  }

  /// The excerpt of the author's decoder began 144 samples later. With that shift maps come within
  /// 0.04 dB on average and the probabilities are the published ones, so all the difference is this
  /// shift: half a frame.
  @Test("the sound itself, by Tutti's front end", arguments: ["cute", "dubstep"])
  func sound(clip: String) throws {
    let settings = try FeatureSettings(model.configuration.features)
    var found = [Float](repeating: 0, count: settings.values)
    var span = found.mutableSpan
    try LogMelExtractor(settings: settings).features(
      ofFile: folder + "/audio/bensound-\(clip).mp3", into: &span)
    let differences = zip(found, try features(clip)).map { abs($0 - $1) }
    let mean = differences.reduce(0, +) / Float(differences.count)
    print("\(clip): maps differ by \(mean) dB on average, \(differences.max() ?? 0) dB at most")
    let heard = try probabilities(found)
    let expected = try probabilities(features(clip))
    func best(_ p: [Float]) -> [Int] { Array(p.indices.sorted { p[$0] > p[$1] }.prefix(10)) }
    for tag in best(expected) {
      print("  \(model.tags[tag]): \(heard[tag]), published \(expected[tag])")
    }
    let worst = zip(heard, expected).map { abs($0 - $1) }.max() ?? .infinity
    let common = Set(best(heard)).intersection(best(expected)).count
    print("  \(common) of ten tags, probabilities differ by \(worst) at most")
    #expect(best(heard)[0] == best(expected)[0])
    #expect(common >= 7)
  }
}
