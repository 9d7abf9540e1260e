/// From a sound file to the excerpt that features are made of.

import CSoxr

/// Reads excerpts, one after the other; keeps its buffers between them. One per thread.
package final class ClipReader {
  package let settings: FeatureSettings
  private var native: [Float] = []
  private var resampled: [Float] = []

  /// - Throws: `AudioError.settings`
  package init(settings: FeatureSettings = FeatureSettings()) throws(AudioError) {
    try settings.validate()
    self.settings = settings
  }

  /// Decodes the middle of a file, as mono at `settings.sampleRateHz`; a shorter file gets zeros on
  /// both sides.
  ///
  /// - Parameter samples: receives `settings.samples` values, nominally −1…1
  /// - Throws: `AudioError`: any code but `.silent`; `.notFinite` names the frame in the file
  package func read(_ path: String, into samples: inout [Float]) throws(AudioError) {
    var file = try SoundFile(path: path)
    let length = try file.frames()
    let excerpt = CentreExcerpt(
      of: length, at: file.sampleRateHz, samples: settings.samples, at: settings.sampleRateHz)
    native.removeAll(keepingCapacity: true)
    try file.read(excerpt.source, of: length, appendingTo: &native)
    do {
      _ = try native.withUnsafeBufferPointer { native throws(AudioError) in
        try peak(of: native, firstIndex: excerpt.source.lowerBound)
      }
      try resample(from: file.sampleRateHz, count: excerpt.dropped + excerpt.kept)
    } catch {
      throw error.at(path)
    }
    samples.removeAll(keepingCapacity: true)
    samples.append(contentsOf: repeatElement(0, count: excerpt.lead))
    samples.append(contentsOf: resampled[excerpt.dropped...])
    samples.append(
      contentsOf: repeatElement(0, count: settings.samples - excerpt.lead - excerpt.kept))
  }

  /// Fills `resampled` with `count` samples: libsoxr's high quality on all of `native`, and zeros
  /// at the end should it give fewer.
  private func resample(from fileRate: Int, count: Int) throws(AudioError) {
    guard fileRate != settings.sampleRateHz else {
      swap(&native, &resampled)
      resampled.resize(to: count)
      return
    }
    resampled.resize(to: count)
    // The one-shot call's own default is low quality.
    var quality = soxr_quality_spec(UInt(SOXR_HQ), 0)
    var made = 0
    let failure = soxr_oneshot(
      Double(fileRate), Double(settings.sampleRateHz), 1,
      native, native.count, nil, &resampled, count, &made,
      nil, &quality, nil)  // float samples, one thread
    if let failure {
      throw AudioError(
        .library, attempt: "resample from \(fileRate) to \(settings.sampleRateHz) Hz",
        detail: String(cString: failure))
    }
    for index in made..<count { resampled[index] = 0 }
  }
}

extension [Float] {
  fileprivate mutating func resize(to count: Int) {
    if count < self.count { removeLast(self.count - count) }
    append(contentsOf: repeatElement(0, count: count - self.count))
  }
}
