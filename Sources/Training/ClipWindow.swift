import Dataset
import Kernels

/// What a network is shown of a clip: all of it, or the frames that `augmentation.cropFrames` asks
/// for, somewhere in training and in the middle elsewhere; in training with SpecAugment's masks on it.
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

  /// Fills a window for training.
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

  /// Fills a window with the middle of a clip.
  package func middle(_ features: Span<Float>, into window: Tensor) {
    copy(features, from: (clipFrames - frames) / 2, into: window)
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
