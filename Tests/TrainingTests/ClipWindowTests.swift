import Dataset
import Kernels
import Testing
import Training

/// What a network sees of a clip. Feature values say where they come from: 1000 · band + frame.
@Suite struct ClipWindowTests {
  let folder: TemporaryFolder
  let store: Store
  let features: [Float]

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
    features = (0..<6).flatMap { band in (0..<40).map { Float(1000 * band + $0) } }
  }

  private func configuration(
    _ change: (inout Configuration.Augmentation) -> Void
  ) -> Configuration {
    var configuration = InProcessTrainingTests.configuration
    change(&configuration.augmentation)
    return configuration
  }

  private func training(
    _ configuration: Configuration, step: Int = 0, lane: Int = 0, place: Int = 0
  ) -> [Float] {
    let window = ClipWindow(configuration, store: store)
    let tensor = Tensor(shape: [1, 6, window.frames])
    window.training(features.span, into: tensor, step: step, lane: lane, place: place)
    return tensor.values
  }

  private func frames(_ range: Range<Int>) -> [Float] {
    (0..<6).flatMap { band in range.map { Float(1000 * band + $0) } }
  }

  @Test("without augmentation it is the whole clip", arguments: [0, 40])
  func whole(cropFrames: Int) {
    let configuration = configuration { $0.cropFrames = cropFrames > 0 ? cropFrames : nil }
    #expect(training(configuration, step: 7, lane: 3, place: 1) == features)
  }

  @Test("a crop is anywhere, evenly")
  func crop() {
    let configuration = configuration { $0.cropFrames = 17 }
    var starts = [Int](repeating: 0, count: 24)
    for step in 0..<9_600 {
      let seen = training(configuration, step: step)
      let start = Int(seen[0])
      if step < 100 { #expect(seen == frames(start..<start + 17)) }
      starts[start] += 1
    }
    // 400 a start expected, deviation 20: five of them.
    #expect(starts.allSatisfy { abs($0 - 400) < 100 }, "\(starts)")
  }

  @Test("masks lie on what training sees")
  func masks() {
    let masked = configuration {
      ($0.timeMasks, $0.timeMaskFrames) = (2, 9)
      ($0.bandMasks, $0.bandMaskBands) = (1, 3)
    }
    var hidden = 0
    for step in 0..<50 {
      let seen = training(masked, step: step)
      let mean = features.reduce(0, +) / Float(features.count)
      for (value, original) in zip(seen, features) where value != original {
        #expect(abs(value - mean) < 0.01)
        hidden += 1
      }
    }
    #expect(hidden > 0)

    var both = masked
    both.augmentation.cropFrames = 17
    let cropped = configuration { $0.cropFrames = 17 }
    for step in 0..<50 {
      let (seen, bare) = (training(both, step: step), training(cropped, step: step))
      let mean = bare.reduce(0, +) / Float(bare.count)
      #expect(zip(seen, bare).allSatisfy { $0 == $1 || abs($0 - mean) < 0.01 })
    }
  }

  @Test("what is seen is a function of seed, step, lane and place")
  func streams() {
    let configuration = configuration {
      ($0.cropFrames, $0.timeMasks, $0.timeMaskFrames) = (8, 2, 8)
    }
    var other = configuration
    other.training.seed = 1
    let seen = [
      training(configuration), training(other), training(configuration, step: 1),
      training(configuration, lane: 1), training(configuration, place: 1),
    ]
    #expect(Set(seen).count == seen.count)
    #expect(training(configuration) == seen[0])
  }
}
