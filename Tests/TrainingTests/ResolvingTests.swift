import Dataset
import Models
import Testing
import Training

/// What a configuration leaves to the store, and what of it a store refuses.
@Suite struct ResolvingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func store(trainClips: Int) throws -> Store {
    var store = SyntheticStore()
    store.clips[.train] = trainClips
    return try store.write(folder / "store-\(trainClips)")
  }

  /// Clips 0, 1, 2, … have the tags of their bits.
  @Test(
    "balanced weights are negatives over positives, to three decimals and up to the maximum",
    arguments: [
      (5, 100, [1.5, 1.5, 4]), (5, 3, [1.5, 1.5, 3]), (7, 100, [1.333, 1.333, 1.333]),
      (6, 100, [1, 2, 2]),
      // no clip has the third tag
      (4, 100, [1, 1, 1]),
    ] as [(Int, Double, [Double])])
  func balanced(clips: Int, maximum: Double, expected: [Double]) throws {
    var configuration = Configuration(network: .rnn)
    configuration.loss.positiveWeight = .balanced
    configuration.loss.maximumPositiveWeight = maximum
    let store = try store(trainClips: clips)
    let resolved = try configuration.resolved(for: store)
    #expect(resolved.loss.positiveWeight == .each(expected))
    #expect(resolved.trainingLoss == Loss(.binary, positiveWeights: expected.map(Float.init)))
    #expect(try resolved.resolved(for: store) == resolved)
    // the resolved file says the same
    #expect(try Configuration(yaml: resolved.yaml, place: "config.yaml") == resolved)
    #expect(
      try configuration.differences(from: resolved.resolved(for: store)).map(\.key) == [
        "loss.kind", "loss.positiveWeight",
      ])
  }

  @Test("one weight holds for every tag, none for none")
  func plain() throws {
    var configuration = Configuration(network: .rnn)
    let store = try store(trainClips: 5)
    #expect(try configuration.resolved(for: store).trainingLoss == Loss(.binary))
    configuration.loss.positiveWeight = .same(2.5)
    #expect(
      try configuration.resolved(for: store).trainingLoss == Loss(.binary, positiveWeights: [2.5]))
  }

  typealias Change = @Sendable (inout Configuration) -> Void
  static let refusals: [(says: String, change: Change)] = [
    ("has 2 numbers, and", { $0.loss.positiveWeight = .each([1, 2]) }),
    ("the loss is softmax", { ($0.loss.kind, $0.loss.positiveWeight) = (.softmax, .same(2)) }),
    ("the loss is softmax", { ($0.loss.kind, $0.loss.positiveWeight) = (.softmax, .balanced) }),
    ("augmentation.cropFrames is 41, and the clips", { $0.augmentation.cropFrames = 41 }),
    (
      "augmentation.timeMaskFrames is 41, and the network sees 40 frames",
      { ($0.augmentation.timeMasks, $0.augmentation.timeMaskFrames) = (1, 41) }
    ),
    (
      "the network sees 30 frames",
      {
        $0.augmentation.cropFrames = 30
        ($0.augmentation.timeMasks, $0.augmentation.timeMaskFrames) = (1, 31)
      }
    ),
    (
      "augmentation.bandMaskBands is 7, and the clips",
      { ($0.augmentation.bandMasks, $0.augmentation.bandMaskBands) = (1, 7) }
    ),
  ]

  @Test("what does not fit the store is refused in a sentence", arguments: refusals.indices)
  func refused(_ index: Int) throws {
    var configuration = Configuration(network: .rnn)
    Self.refusals[index].change(&configuration)
    let store = try store(trainClips: 5)
    let error = try #require(throws: TrainingError.self) {
      try configuration.resolved(for: store)
    }
    #expect(error.status == .badInput)
    #expect(error.description.contains(Self.refusals[index].says), "\(error)")
  }

  @Test("what just fits is taken, and the widths of masks that are off do not matter")
  func accepted() throws {
    var configuration = Configuration(network: .rnn)
    let store = try store(trainClips: 5)
    #expect(configuration.augmentation.timeMaskFrames > store.frames)
    _ = try configuration.resolved(for: store)
    configuration.augmentation.cropFrames = 40
    (configuration.augmentation.timeMasks, configuration.augmentation.timeMaskFrames) = (1, 40)
    (configuration.augmentation.bandMasks, configuration.augmentation.bandMaskBands) = (1, 6)
    _ = try configuration.resolved(for: store)
    configuration.augmentation.cropFrames = 32
    #expect(try configuration.network(for: store).input == [1, 6, 32])
  }
}
