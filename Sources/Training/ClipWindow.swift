import Dataset
import Kernels

/// What a network is shown of a clip in training: all of it, or as many frames as
/// `augmentation.cropFrames` asks for, taken anywhere (elsewhere the middle is taken, see `Evaluator`);
/// with SpecAugment's masks on it.
///
/// Where and what is a function of (seed, step, lane, the clip's place in the lane), as dropout is.
package struct ClipWindow: Sendable {
  private let seed: UInt64
  /// F of clip and window, T of the clip.
  private let bands, clipFrames: Int
  /// T of the window.
  package let frames: Int
  private let masks: SpectrogramMasks?

  /// - Precondition: the configuration was resolved for the store
  package init(_ configuration: Configuration, store: Store) {
    let settings = configuration.augmentation
    seed = configuration.training.seed
    (bands, clipFrames) = (store.bands, store.frames)
    frames = settings.cropFrames ?? store.frames
    masks =
      settings.timeMasks + settings.bandMasks == 0
      ? nil
      : SpectrogramMasks(
        timeMasks: settings.timeMasks, widestTimeMask: settings.timeMaskFrames,
        bandMasks: settings.bandMasks, widestBandMask: settings.bandMaskBands)
  }

  /// Fills a window.
  ///
  /// - Parameters:
  ///   - features: a clip, `[F, T]`
  ///   - window: receives `[F, frames]`
  ///   - step: counted over the whole run
  ///   - place: of the clip among those of the lane
  package func training(
    _ features: Span<Float>, into window: Tensor, step: Int, lane: Int, place: Int
  ) {
    func stream(_ purpose: RandomStream.Purpose) -> RandomStream {
      RandomStream(seed: seed, purpose: purpose, time: step, lane: lane, place: place)
    }
    let start = clipFrames > frames ? stream(.crop).below(clipFrames - frames + 1, 0) : 0
    copy(features, from: start, into: window)
    masks?.apply(to: map(window), stream: stream(.mask))
  }

  private func copy(_ features: Span<Float>, from start: Int, into window: Tensor) {
    precondition(
      features.count == bands * clipFrames, "\(features.count) of \(bands) × \(clipFrames) features"
    )
    let map = map(window)
    for band in 0..<bands {
      let first = band * clipFrames + start
      features.extracting(first..<first + frames).withUnsafeBufferPointer {
        map.row(band).update(from: $0.baseAddress!, count: frames)
      }
    }
  }

  private func map(_ window: Tensor) -> Matrix { window.reshaped([bands, frames]).matrix() }
}
