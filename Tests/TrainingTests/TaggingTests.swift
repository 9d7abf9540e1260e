import Audio
import Dataset
import Foundation
import Kernels
import Models
import Synchronization
import Testing
import Training

/// A sound is tagged as the clip that a store makes of it is judged, whoever else is tagged.
@Suite struct TaggingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  // MARK: Sounds, stores and models of them

  private static let rate = 16_000

  /// Noise with a beat; as many sounds as there are lengths, in seconds.
  private func sounds(_ lengths: [Double]) throws -> [String] {
    try lengths.enumerated().map { number, seconds in
      var state = UInt32(number + 1)
      let samples = (0..<Int(seconds * Double(Self.rate))).map { index -> Int16 in
        state = state &* 1_664_525 &+ 1_013_904_223
        return index % (1_000 + 700 * number) < 400 ? Int16(truncatingIfNeeded: state >> 17) : 0
      }
      return try write(samples, "\(number).wav")
    }
  }

  private func write(_ samples: [Int16], _ name: String) throws -> String {
    func little(_ value: Int, _ bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    var wave = Data("RIFF".utf8 + little(36 + 2 * samples.count, 4) + Array("WAVEfmt ".utf8))
    wave += little(16, 4) + little(1, 2) + little(1, 2) + little(Self.rate, 4)
    wave += little(2 * Self.rate, 4) + little(2, 2) + little(16, 2)
    wave += Array("data".utf8) + little(2 * samples.count, 4)
    samples.withUnsafeBytes { wave.append(contentsOf: $0) }
    try wave.write(to: URL(fileURLWithPath: folder / name))
    return folder / name
  }

  /// A store whose validation split is all but the first of `sounds`, in their order.
  private func store(_ settings: FeatureSettings, _ sounds: [String]) throws -> Store {
    let records = sounds.enumerated().map { number, path in
      ClipRecord(
        id: String(format: "%03d", number), path: URL(fileURLWithPath: path).lastPathComponent,
        split: number == 0 ? .train : .validation,
        tags: [["a", "b", "c"][number % 3]], line: 1)
    }
    let writer = try StoreWriter(
      directory: URL(fileURLWithPath: folder / "store"), bands: settings.melBands,
      frames: settings.frames,
      settings: settings.entries.map { FeatureSetting($0.name, $0.value) },
      manifest: Manifest(records: records, source: URL(fileURLWithPath: "/music/tags.csv")))
    let extractor = try LogMelExtractor(settings: settings)
    for (index, record) in writer.records.enumerated() {
      var map = [Float](repeating: 0, count: settings.values)
      var span = map.mutableSpan
      try extractor.features(ofFile: folder / record.path, into: &span)
      try map.withUnsafeBufferPointer { try writer.add($0, at: index) }
    }
    return try writer.finish()
  }

  private static func configuration(_ name: String, _ widths: [Int]) throws -> Configuration {
    var overrides = ["model.network=\(name)", "model.widths=\(widths)"]
    if name == "rnn" { overrides.append("model.poolFrames=4") }
    return try Configuration(overrides: overrides)
  }

  private func model(
    _ configuration: Configuration, bands: Int, frames: Int, _ features: [FeatureSetting]
  ) throws -> TaggingModel {
    let network = try configuration.network(tags: 3, bands: bands, frames: frames)
    let weights = RunState(network, configuration, stepsPerEpoch: 1).weights
    return TaggingModel(
      network: network, weights: weights, tags: ["a", "b", "c"], configuration: configuration,
      features: features)
  }

  /// A quick model of half-second clips.
  private func smallModel(_ change: (inout FeatureSettings) -> Void = { _ in }) throws
    -> (TaggingModel, FeatureSettings)
  {
    var settings = FeatureSettings()
    (settings.durationSeconds, settings.melBands) = (0.5, 12)
    change(&settings)
    let model = try model(
      Self.configuration("rnn", [5]), bands: settings.melBands, frames: settings.frames,
      settings.entries.map { FeatureSetting($0.name, $0.value) })
    return (model, settings)
  }

  private func tag(
    _ inputs: [TaggingInput], _ tagging: Tagging
  ) throws -> [Result<TagProbabilities, any Error>] {
    let outcomes = Mutex<[(String, Tagging.Outcome)]>([])
    let answered = try tagging.run(inputs) { input, outcome in
      outcomes.withLock { $0.append((input.file, outcome)) }
      return true
    }
    #expect(answered == inputs.count)
    return outcomes.withLock { outcomes in
      #expect(outcomes.map(\.0) == inputs.map(\.file))
      return outcomes.map(\.1)
    }
  }

  private func probabilities(
    _ model: TaggingModel, _ sounds: [String], window: Double? = nil, hop: Double? = nil,
    threads: Int = 1
  ) throws -> [TagProbabilities] {
    let tagging = try Tagging(model, path: "M", window: window, hop: hop, threads: threads)
    return try tag(sounds.map { .sound($0) }, tagging).map { try $0.get() }
  }

  private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

  // MARK: The same numbers as in the store

  private static let networks: [(String, [Int])] = [
    ("k1c2", [3, 3, 3, 3, 5, 5]), ("k2c1", [3, 3, 3, 3, 3, 5, 5]), ("k2c2", [3, 3, 3, 3, 9]),
    ("crnn", [3, 3, 3, 3, 5, 5]), ("mlp", [9, 9]), ("rnn", [9]),
  ]

  @Test("a sound's probabilities are its clip's, to the bit", arguments: networks)
  func asInStore(network: String, widths: [Int]) throws {
    let sounds = try sounds([2, 31, 29.12, 1, 40, 3, 4])
    let store = try store(FeatureSettings(), sounds)
    for loss in ["binary", "softmax"] {
      var configuration = try Self.configuration(network, widths)
      configuration.loss.kind = loss == "softmax" ? .softmax : .binary
      let model = try model(
        configuration, bands: store.bands, frames: store.frames, store.settings)
      let evaluator = Evaluator(
        model.network, configuration.trainingLoss, weights: model.weights,
        pool: ThreadPool(threads: 1))
      let logits = Tensor(
        try evaluator.logits(store, .validation, 0..<6), shape: [6, 3])
      configuration.trainingLoss.probabilities(logits)
      let tagged = try probabilities(model, Array(sounds.dropFirst()), threads: 2)
      #expect(bits(tagged.flatMap(\.mean)) == bits(logits.values), "\(loss)")
      #expect(tagged.allSatisfy { $0.windows.isEmpty })
      #expect(Set(tagged.map(\.mean)).count == 6)
      for tags in tagged where loss == "softmax" {
        #expect(abs(tags.mean.reduce(0, +) - 1) < 1e-6)
      }
    }
  }

  @Test("a model hears by its own settings")
  func settings() throws {
    let sounds = try sounds([1, 0.4, 0.6, 2])
    let (model, settings) = try smallModel {
      ($0.sampleRateHz, $0.hopLength, $0.highestHz) = (11_025, 300, 5_000)
      $0.dynamicRangeDecibels = 60
    }
    let store = try store(settings, sounds)
    let evaluator = Evaluator(
      model.network, model.configuration.trainingLoss, weights: model.weights,
      pool: ThreadPool(threads: 1))
    let logits = Tensor(try evaluator.logits(store, .validation, 0..<3), shape: [3, 3])
    model.configuration.trainingLoss.probabilities(logits)
    let tagged = try probabilities(model, Array(sounds.dropFirst()))
    #expect(bits(tagged.flatMap(\.mean)) == bits(logits.values))
  }

  @Test("a network of fewer frames than the clips sees their middle")
  func crop() throws {
    let (model, settings) = try smallModel()
    let narrow = try self.model(
      model.configuration, bands: 12, frames: settings.frames - 5, model.features)
    let evaluator = Evaluator(
      narrow.network, narrow.configuration.trainingLoss, weights: narrow.weights,
      pool: ThreadPool(threads: 1))
    let map = (0..<settings.values).map { Float($0 * 37 % 101) / 10 - 5 }
    let cropped = stride(from: 0, to: map.count, by: settings.frames).flatMap {
      map[($0 + 2)..<($0 + settings.frames - 3)]
    }
    #expect(bits(evaluator.probabilities(map)) == bits(evaluator.probabilities(cropped)))
    // and windows are as long as what it sees
    let windows = try probabilities(narrow, try sounds([2]), hop: 0.5)[0].windows
    #expect(windows.count > 3)
    #expect(bits(windows[0].probabilities) != bits(windows[1].probabilities))
  }

  // MARK: Windows

  @Test("a file's tags are the mean over its windows, which start where they should")
  func windows() throws {
    let (model, _) = try smallModel()
    let sounds = try sounds([2.35, 0.5, 0.2])
    let tagged = try probabilities(model, sounds, window: 0.5, hop: 0.25)
    #expect(tagged[0].windows.map(\.start) == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 1.85])
    for tag in 0..<3 {
      let mean = tagged[0].windows.reduce(0.0) { $0 + Double($1.probabilities[tag]) } / 9
      #expect(tagged[0].mean[tag] == Float(mean))
    }
    #expect(Set(tagged[0].windows.map(\.probabilities)).count == 9)
    // A file of one window, or of less, is tagged as without windows.
    let whole = try probabilities(model, sounds)
    for place in [1, 2] {
      #expect(tagged[place].windows.map(\.start) == [0])
      #expect(bits(tagged[place].mean) == bits(whole[place].mean))
    }
    #expect(try probabilities(model, sounds, hop: 0.25) == tagged)
    let apart = try probabilities(model, sounds, window: 0.5)
    #expect(apart[0].windows.map(\.start) == [0, 0.5, 1, 1.5, 1.85])
  }

  @Test("silent windows have no tags and are not in the mean")
  func silence() throws {
    // Without resampling, whose filter would ring into the gap.
    let (model, _) = try smallModel { $0.sampleRateHz = Self.rate }
    let sound = try sounds([0.5])[0]
    let samples = try Data(contentsOf: URL(fileURLWithPath: sound)).dropFirst(44)
      .withUnsafeBytes { Array($0.bindMemory(to: Int16.self)) }
    let gap = [Int16](repeating: 0, count: samples.count)
    let path = try write(samples + gap + samples, "gap.wav")
    let tagged = try probabilities(model, [path], window: 0.5)[0]
    #expect(tagged.windows.map(\.probabilities.count) == [3, 0, 3])
    let (first, last) = (tagged.windows[0].probabilities, tagged.windows[2].probabilities)
    #expect(tagged.mean == zip(first, last).map { Float((Double($0) + Double($1)) / 2) })

    let silent = try write(gap + gap, "silent.wav")
    for hop in [nil, 0.5] {
      let tagging = try Tagging(model, path: "M", window: nil, hop: hop, threads: 1)
      let outcome = try tag([.sound(silent)], tagging)[0]
      let error = #expect(throws: AudioError.self) { try outcome.get() }
      #expect(error?.code == .silent && error?.path == silent)
    }
  }

  @Test("windows of another length are for networks whose weights do not mind")
  func otherWindows() throws {
    let sounds = try sounds([3])
    let (model, _) = try smallModel()
    #expect(try probabilities(model, sounds, window: 0.3)[0].windows.count == 10)
    var settings = FeatureSettings()
    settings.durationSeconds = 29.12
    let entries = settings.entries.map { FeatureSetting($0.name, $0.value) }
    for (network, window, word) in [
      ("mlp", 10.0, "dense1.weight"), ("k2c2", 10, "too small"), ("crnn", 40, "1440"),
    ] {
      let widths = try #require(Self.networks.first { $0.0 == network }).1
      let model = try self.model(
        Self.configuration(network, widths), bands: 96, frames: 1366, entries)
      let error = #expect(throws: TrainingError.self) {
        try Tagging(model, path: "M", window: window, hop: nil, threads: 1)
      }
      #expect(error?.status == .usage)
      for word in [word, "1366 frames", "\(window) s"] {
        #expect(error?.description.contains(word) == true, "\(error as Any)")
      }
    }
  }

  @Test("windows of less than half of the training clips are taken with a warning")
  func shortWindows() throws {
    func notes(_ model: TaggingModel, _ window: Double?, hop: Double? = nil) throws -> [String] {
      try Tagging(model, path: "M", window: window, hop: hop, threads: 1).notes
    }
    let (model, _) = try smallModel()
    #expect(try notes(model, 0.26).isEmpty && notes(model, nil, hop: 0.1).isEmpty)
    let short = try notes(model, 0.2)
    #expect(short.count == 1 && short[0].contains("windows of 0.2 s are less than half"))
    #expect(!short[0].contains("padding"))
    let entries = FeatureSettings().entries.map { FeatureSetting($0.name, $0.value) }
    let widths = try #require(Self.networks.first { $0.0 == "crnn" }).1
    let crnn = try self.model(
      Self.configuration("crnn", widths), bands: 96, frames: 1366, entries)
    #expect(try notes(crnn, nil).isEmpty && notes(crnn, 15).isEmpty)
    let padded = try notes(crnn, 10)
    #expect(padded.count == 1 && padded[0].contains("29.12 s") && padded[0].contains("padding"))
  }

  // MARK: Many, and broken ones

  @Test("threads and neighbours leave no trace", arguments: [1, 2, 3, 8])
  func threads(_ threads: Int) throws {
    let (model, _) = try smallModel()
    let sounds = try sounds([0.4, 3, 1, 0.7, 2, 0.3, 4, 0.1])
    let alone = try sounds.flatMap { try probabilities(model, [$0], hop: 0.2) }
    #expect(try probabilities(model, sounds, hop: 0.2, threads: threads) == alone)
  }

  @Test("broken files are answered in their places")
  func broken() throws {
    let (model, _) = try smallModel()
    let sounds = try sounds([0.5, 1])
    try Data("no sound".utf8).write(to: URL(fileURLWithPath: folder / "text.wav"))
    let inputs = TaggingInput.sounds(
      [folder / "nowhere.wav", sounds[0], folder / "text.wav", sounds[1], folder.path])
    // the folder's own sound files, sorted
    #expect(inputs.dropFirst(4).map(\.file) == [sounds[0], sounds[1], folder / "text.wav"])
    let tagging = try Tagging(model, path: "M", window: nil, hop: nil, threads: 2)
    let codes = try tag(inputs, tagging).map { outcome -> AudioError.Code? in
      do {
        _ = try outcome.get()
        return nil
      } catch { return (error as? AudioError)?.code }
    }
    #expect(codes == [.missing, nil, .undecodable, nil, nil, nil, .undecodable])
  }

  @Test("a folder without sound files is answered with what was looked for")
  func soundless() throws {
    let (model, _) = try smallModel()
    try Data("notes".utf8).write(to: URL(fileURLWithPath: folder / "notes.txt"))
    let inputs = TaggingInput.sounds([folder.path])
    #expect(inputs.map(\.file) == [folder.path])
    let tagging = try Tagging(model, path: "M", window: nil, hop: nil, threads: 1)
    let outcome = try tag(inputs, tagging)[0]
    let error = #expect(throws: TrainingError.self) { try outcome.get() }
    #expect(error?.status == .badInput)
    for words in ["\(folder.path): there are no sound files", ".flac", ".mp3"] {
      #expect(error?.description.contains(words) == true)
    }
  }

  @Test("a file is named once, as it was given")
  func names() throws {
    let (model, settings) = try smallModel()
    let text = TaggingText(tags: model.tags, top: 1)
    let error = AudioError(.silent, attempt: "read the sound", path: "b.mp3", detail: "silence")
    #expect(
      text.json(.sound("b.mp3"), .failure(error))
        == #"{"file": "b.mp3", "error": "cannot read the sound: silence; leave the clip out"}"#
        + "\n")
    let path = try array([settings.melBands, settings.frames], first: .nan)
    let here = FileManager.default.currentDirectoryPath
    let up = here.split(separator: "/").map { _ in "../" }.joined()
    let relative = up + path.dropFirst()
    let inputs = try TaggingInput.maps(relative, shape: model.network.input)
    #expect(inputs.map(\.file) == [relative])
    let outcome = try tag(inputs, Tagging(maps: model, path: "M", threads: 1))[0]
    #expect(text.json(inputs[0], outcome).hasSuffix(#""error": "value 0 is nan"}"# + "\n"))
  }

  @Test("nobody listening, or a stop, ends it")
  func ends() throws {
    let (model, _) = try smallModel()
    let sound = try sounds([0.5])[0]
    let inputs = [TaggingInput](repeating: .sound(sound), count: 50)
    let tagging = try Tagging(model, path: "M", window: nil, hop: nil, threads: 2)
    let heard = Atomic<Int>(0)
    let answered = try tagging.run(inputs) { _, _ in
      heard.add(1, ordering: .relaxed).newValue < 3
    }
    #expect(answered == 3 && heard.load(ordering: .relaxed) == 3)
    #expect(try tagging.run(inputs, isStopped: { true }, output: { _, _ in true }) == 0)
    #expect(throws: CocoaError.self) {
      try tagging.run(inputs) { _, _ in throw CocoaError(.fileWriteUnknown) }
    }
  }

  @Test("threads are as many as there is memory for")
  func memory() throws {
    let (model, _) = try smallModel()
    func tagging(_ memory: Int) throws -> Tagging {
      try Tagging(
        model, path: "M", window: nil, hop: nil, threads: 8,
        memory: MemoryBudget(bytes: memory, owner: "this machine"))
    }
    #expect(try tagging(100 << 30).threads == 8)
    #expect(try tagging(100 << 30).notes == [])
    let few = try tagging(200 << 20)
    #expect((1...4).contains(few.threads))
    #expect(few.notes == ["\(few.threads) of 8 threads: there is no memory for more"])
    let error = #expect(throws: TrainingError.self) { try tagging(1 << 20) }
    #expect(error?.description.contains("of memory and this machine has 2 MB") == true)
  }

  // MARK: Maps

  /// A `.npy` file of single-precision zeros, but for the first number.
  private func array(_ shape: [Int], first: Float = 1) throws -> String {
    let extents = shape.map { "\($0), " }.joined()
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
    header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    var values = [Float](repeating: 0, count: shape.reduce(1, *))
    if !values.isEmpty { values[0] = first }
    var data = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(header.utf8.count), 0])
    data += Data(header.utf8)
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    let name = "\(shape.map(String.init).joined(separator: "x"))-\(first).npy"
    try data.write(to: URL(fileURLWithPath: folder / name))
    return folder / name
  }

  @Test("maps are tagged by a model that does not know its features; sounds are not")
  func unknownFeatures() throws {
    let (known, settings) = try smallModel()
    let (bands, frames) = (settings.melBands, settings.frames)
    let model = try model(known.configuration, bands: bands, frames: frames, [])
    let error = #expect(throws: TrainingError.self) {
      try Tagging(model, path: "M", window: nil, hop: nil, threads: 1)
    }
    #expect(error?.status == .badInput && error?.description.contains("--features") == true)

    let tagging = try Tagging(maps: model, path: "M", threads: 2)
    let input = model.network.input
    let one = try TaggingInput.maps(try array([bands, frames]), shape: input)
    #expect(one.count == 1 && one[0].index == nil)
    let three = try TaggingInput.maps(try array([3, bands, frames]), shape: input)
    #expect(three.map(\.index) == [0, 1, 2])
    let answers = try tag(one + three, tagging).map { try $0.get().mean }
    #expect(answers[0] == answers[1] && answers[1] != answers[2] && answers[2] == answers[3])
    #expect(try TaggingInput.maps(try array([0, bands, frames]), shape: input).isEmpty)

    let wrong = try TaggingInput.maps(try array([bands, frames], first: .nan), shape: input)
    let outcome = try tag(wrong, tagging)[0]
    let notFinite = #expect(throws: TrainingError.self) { try outcome.get() }
    #expect(notFinite?.description.contains("value 0 is nan") == true)
    for shape in [[frames, bands], [bands], [bands, frames - 1], [1, 1, bands, frames], []] {
      let path = try array(shape)
      let error = #expect(throws: TrainingError.self) {
        try TaggingInput.maps(path, shape: input)
      }
      #expect(error?.description.contains("\(bands) × \(frames)") == true)
    }
  }

  @Test("features that this program makes otherwise are refused by what differs")
  func otherDefinitions() throws {
    let (known, settings) = try smallModel()
    var features = known.features
    let place = try #require(features.firstIndex { $0.name == "melScale" })
    features[place] = FeatureSetting("melScale", "HTK")
    let model = try model(
      known.configuration, bands: settings.melBands, frames: settings.frames, features)
    let error = #expect(throws: CheckpointError.self) {
      try Tagging(model, path: "M", window: nil, hop: nil, threads: 1)
    }
    #expect(error?.description.contains("melScale is HTK in M") == true)
  }
}
