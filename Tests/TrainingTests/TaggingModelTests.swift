import Dataset
import Foundation
import Kernels
import Models
import Testing
import Training

/// A model file is a checkpoint's model, all of it and nothing else.
@Suite struct TaggingModelTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
  }

  private static var configuration: Configuration { InProcessTrainingTests.configuration }

  /// A run with one checkpoint, and its weights.
  private func run() throws -> (folder: RunFolder, weights: [Float]) {
    let state = RunState(
      try Self.configuration.network(for: store), Self.configuration, stepsPerEpoch: 3)
    let noise = RandomStream(seed: 8, purpose: .shuffle, time: 0)
    for i in 0..<state.weights.count { state.weights.base[i] = noise.uniform(i) - 0.3 }
    let run = try RunFolder.create(folder / "run", configuration: Self.configuration)
    _ = try Checkpoint.save(
      state, in: run, isBest: true, configuration: Self.configuration, store: store)
    return (run, state.weights.values)
  }

  @Test("a run's folder, its checkpoint and the model file are one model")
  func sources() throws {
    let (run, weights) = try run()
    try TaggingModel(path: run.path).write(to: folder / "model")
    for path in [run.path, run.bestPath, folder / "model"] {
      let model = try TaggingModel(path: path)
      #expect(model.weights.values.map(\.bitPattern) == weights.map(\.bitPattern))
      #expect(model.tags == store.tags && model.features == store.settings)
      #expect(model.configuration == Self.configuration)
      #expect(model.network.input == [1, store.bands, store.frames])
    }
    try TaggingModel(path: folder / "model").write(to: folder / "again")
    let first = try Data(contentsOf: URL(fileURLWithPath: folder / "model"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder / "again")) == first)
  }

  @Test("a model file has PyTorch's names and no trace of training")
  func names() throws {
    try TaggingModel(path: try run().folder.path).write(to: folder / "model")
    let file = try SafetensorsFile(path: folder / "model")
    #expect(
      file.tensors.map(\.name) == [
        "bn0.weight", "bn0.bias", "rnn1.weight_ih_l0", "rnn1.weight_hh_l0", "rnn1.bias_ih_l0",
        "output.weight", "output.bias", "bn0.running_mean", "bn0.running_var",
      ])
    #expect(
      Set(file.metadata.keys) == [
        "checksum", "format", "configuration", "tags", "features", "input",
      ])
    #expect(file.metadata["format"] == "tutti model 1")
  }

  @Test(
    "Python's safetensors reads a model file",
    .enabled(if: Python.hasSafetensors, "no python3 with numpy and safetensors here"))
  func python() throws {
    let model = try TaggingModel(path: try run().folder.path)
    try model.write(to: folder / "model")
    let script = """
      import json, sys, safetensors
      with safetensors.safe_open(sys.argv[1], "numpy") as file:
          print(json.loads(file.metadata()["tags"])[1], float(file.get_tensor("output.bias")[1]))
      """
    let output = try #require(Python.run(script, folder / "model"))
    let bias = try #require(model.network.parameters.first { $0.name == "output.bias" })
    #expect(output == "dark \(Double(model.weights.base[bias.offset + 1]))\n")
  }

  @Test("a place that is taken is not written over")
  func occupied() throws {
    let model = try TaggingModel(path: try run().folder.path)
    let error = #expect(throws: TrainingError.self) { try model.write(to: folder / "run") }
    #expect(error?.status == .badInput)
    #expect(throws: FileError.self) { try model.write(to: folder / "nowhere/model") }
  }

  @Test("a folder without a best checkpoint is no model")
  func noRun() throws {
    let error = #expect(throws: TrainingError.self) { try TaggingModel(path: folder / "store") }
    #expect(error?.description.contains("best.safetensors") == true)
    #expect(throws: CheckpointError.self) { try TaggingModel(path: folder / "nowhere") }
  }

  /// Metadata of a model file, spoilt, and the words that say so.
  private static let spoilt: [(key: String, value: String?, word: String)] = [
    ("format", nil, "no format"), ("format", "tutti model 9", "tutti model 9"),
    ("tags", nil, "no tags"), ("tags", "[]", "0 tags"), ("tags", "{}", "tags cannot be read"),
    ("tags", #"["one"]"#, "output.weight"), ("features", "7", "features cannot be read"),
    ("input", nil, "sampleRateHz is not set"), ("input", #"{"bands":6,"frames":0}"#, "0 frames"),
    ("input", #"{"bands":6,"frames":99999999999}"#, "99999999999 frames"),
    ("input", #"{"bands":1048576,"frames":1048576}"#, "bn0.weight"),
    ("input", #"{"bands":7,"frames":40}"#, "bn0.weight"),
    ("input", #"{"bands":-6,"frames":40}"#, "-6 bands"),
    ("configuration", "model: {network: rnn, widths: [65536]}", "rnn1"),
    ("configuration", "model: {network: rnn, widths: [7, 7]}", "model.widths"),
    ("configuration", "model: {network: lstm}", "lstm"),
  ]

  @Test("a file that contradicts itself is refused before memory is taken", arguments: spoilt)
  func contradictions(key: String, value: String?, word: String) throws {
    try TaggingModel(path: try run().folder.path).write(to: folder / "model")
    let file = try SafetensorsFile(path: folder / "model")
    var metadata = file.metadata
    metadata["checksum"] = nil
    metadata[key] = value
    try SafetensorsWriter.write(folder / "spoilt", tensors: file.tensors, metadata: metadata) {
      for tensor in file.tensors { try $0.append(try file.read(tensor.name) as [Float]) }
    }
    let error = #expect(throws: (any Error).self) { try TaggingModel(path: folder / "spoilt") }
    #expect(error.map { ExitStatus($0) } == .badInput)
    #expect("\(error as Any)".contains(word), "\(error as Any)")
  }

  @Test("a flipped bit is found")
  func damaged() throws {
    try TaggingModel(path: try run().folder.path).write(to: folder / "model")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder / "model"))
    bytes[bytes.count - 5] ^= 4
    try bytes.write(to: URL(fileURLWithPath: folder / "damaged"))
    let error = #expect(throws: CheckpointError.self) { try TaggingModel(path: folder / "damaged") }
    #expect(error?.code == .damaged)
  }
}
