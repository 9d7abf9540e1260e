import Dataset
import Foundation
import Kernels
import Models
import Testing
import Training

/// A gradient that is not finite stops the run, or is left out of it, the same everywhere.
///
/// One clip is as loud as half precision allows, and the first convolution's weights are raised so
/// far that its variance overflows for that clip alone: batch normalization takes care of the others.
@Suite struct NotFiniteTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    var store = SyntheticStore()
    (store.bands, store.frames) = (2, 1280)
    store.loud = [13: 1000]
    try store.write(folder / "store")
  }

  static func configuration(_ policy: Configuration.NotFinite) -> Configuration {
    var configuration = Configuration(network: .k1c2)
    configuration.model.size = nil
    configuration.model.widths = [3, 3, 3, 3, 5, 4]
    configuration.training.lanes = 4
    configuration.training.clipsPerLane = 1
    configuration.training.epochs = 2
    configuration.training.notFinite = policy
    return configuration
  }

  /// A run whose newest checkpoint, of step 0, has these convolution weights.
  private func prepared(_ name: String, _ configuration: Configuration) throws -> InProcessRun {
    let store = try Store(URL(fileURLWithPath: folder / "store"))
    let network = try configuration.network(for: store)
    let state = RunState(network, configuration, stepsPerEpoch: 6)
    let window = try #require(network.parameters.first { $0.name == "conv1.weight" })
    for i in window.range { state.weights.base[i] *= 1e15 }
    let run = try RunFolder.create(folder / name, configuration: configuration)
    #expect(
      try Checkpoint.save(
        state, in: run, isBest: false, configuration: configuration, store: store) == [])
    return InProcessRun(
      configuration: configuration, store: store.directory.path, folder: folder / name,
      resumes: true)
  }

  @Test(
    "stop: the run ends before the step, and says which lane and which clip", arguments: [1, 2])
  func stop(workers: Int) throws {
    var run = try prepared("run", Self.configuration(.stop))
    run.workers = workers
    let result = try run.run()
    let error = try #require(result.error, "\(result.said)")
    #expect(error.status == .badInput)
    let position = try run.last.position
    #expect(error.description.contains("the gradient of step \(position.step + 1) is not finite"))
    #expect(position.step == position.updates && position.step < 6)
    #expect(try run.log.count == position.step)
    let report = try #require(result.said.split(separator: "\n").first { $0.contains("in lane") })
    #expect(report.hasPrefix("step \(position.step + 1): ") && report.contains("clips train-013"))
    // The coordinator's own log knows it, wherever the worker is.
    let log = try String(contentsOfFile: run.folder + "/metrics.jsonl", encoding: .utf8)
    let event = try #require(
      log.split(separator: "\n").first { $0.contains(#""event":"notFinite""#) })
    #expect(event.contains("clips train-013") && event.contains(#""lane":"#))
  }

  @Test("skip: the step is left out, and workers do not matter")
  func skip() throws {
    var one = try prepared("one", Self.configuration(.skip))
    let result = try one.run()
    #expect(result.outcome != nil, "\(result.error?.description ?? "")\n\(result.said)")
    let position = try one.last.position
    #expect(position.step == 12 && position.updates == 10)
    #expect(try one.log.filter { $0.kind == "step" }.count == 10)
    #expect(result.said.split(separator: "\n").count { $0.contains("is skipped") } == 2)

    one = try prepared("three", Self.configuration(.skip))
    (one.workers, one.threads) = (3, 2)
    #expect(try one.run().outcome != nil)
    let single = run(named: "one")
    #expect(try one.bytes == single.bytes)
    #expect(try one.log == single.log)
  }

  private func run(named name: String) -> InProcessRun {
    InProcessRun(
      configuration: Self.configuration(.skip), store: folder / "store", folder: folder / name)
  }

  @Test("weights that are not finite are noticed at the first step")
  func brokenWeights() throws {
    let configuration = Self.configuration(.stop)
    let store = try Store(URL(fileURLWithPath: folder / "store"))
    let network = try configuration.network(for: store)
    for broken in [Float.nan, .infinity] {
      let state = RunState(network, configuration, stepsPerEpoch: 6)
      state.weights.base[network.parameterCount - 1] = broken
      let path = folder / "run-\(broken)"
      do {
        let run = try RunFolder.create(path, configuration: configuration)
        _ = try Checkpoint.save(
          state, in: run, isBest: false, configuration: configuration, store: store)
      }
      let run = InProcessRun(
        configuration: configuration, store: store.directory.path, folder: path, resumes: true)
      let error = try #require(try run.run().error)
      #expect(error.status == .badInput && error.description.contains("step 1 is not finite"))
    }
  }
}
