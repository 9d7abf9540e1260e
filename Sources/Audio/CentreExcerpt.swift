/// Which part of a file makes the excerpt, and where that part goes.
///
/// The excerpt is the middle of the whole file after resampling, as librosa would resample it.
/// Only the part that is needed is decoded and resampled, with a margin for the resampler's filter.
/// It starts at a multiple of in/gcd(in, out) frames, where a sample of either rate falls on the
/// same instant, so that the part's samples are those of the whole file.

struct CentreExcerpt: Equatable {
  /// Frames of the file, at its own rate.
  var source: Range<Int>
  /// Samples to drop at the head of the resampled part: the margin.
  var dropped: Int
  /// Samples to keep after those.
  var kept: Int
  /// Zeros before the kept samples; zeros after them fill the rest.
  var lead: Int

  /// - Parameters:
  ///   - length: frames in the file at `fileRate` Hz, below 2⁴⁰
  ///   - samples: length of the excerpt at `rate` Hz
  init(of length: Int, at fileRate: Int, samples: Int, at rate: Int) {
    let total = resampledCount(of: length, at: fileRate, to: rate)
    guard total > samples else {
      (source, dropped, kept, lead) = (0..<length, 0, total, (samples - total) / 2)
      return
    }
    let start = (total - samples) / 2
    let divisor = greatestCommonDivisor(fileRate, rate)
    let (fileStep, step) = (fileRate / divisor, rate / divisor)
    let firstStep = max(0, start - Self.margin(at: rate)) / step
    let end = (start + samples) * fileStep / step + 1 + Self.margin(at: fileRate)
    source = firstStep * fileStep..<min(length, end)
    (dropped, kept, lead) = (start - firstStep * step, samples, 0)
  }

  /// A tenth of a second: the filter of libsoxr's high quality reaches about 0.02 s at 8 kHz, and
  /// less at higher rates.
  private static func margin(at rate: Int) -> Int { rate / 10 }
}

/// How many samples librosa makes of `length` frames, by its own arithmetic, in floating point.
func resampledCount(of length: Int, at fileRate: Int, to rate: Int) -> Int {
  Int((Double(length) * (Double(rate) / Double(fileRate))).rounded(.up))
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
