/// The largest magnitude among samples, after making sure that every one of them can be a sample.
///
/// - Parameter firstIndex: index of the first sample in whatever the error is to speak of
/// - Throws: `AudioError` `.empty`, or `.notFinite` with the index of the first sample that is NaN,
///   infinite, or so large (above 10¹²) that its power might overflow
func peak(
  of samples: UnsafeBufferPointer<Float>, firstIndex: Int = 0
) throws(AudioError) -> Float {
  guard !samples.isEmpty else {
    throw AudioError(.empty, attempt: "make features", detail: "it has no samples")
  }
  // Without their sign, bit patterns sort as magnitudes do, and NaN comes out on top.
  func magnitude(_ sample: Float) -> Int32 { Int32(sample.bitPattern & 0x7FFF_FFFF) }
  let limit = magnitude(1e12)
  var peak: Int32 = 0
  for sample in samples { peak = max(peak, magnitude(sample)) }
  if peak > limit, let index = samples.firstIndex(where: { magnitude($0) > limit }) {
    throw AudioError(
      .notFinite, attempt: "make features",
      detail: "sample \(firstIndex + index) is \(samples[index])")
  }
  return Float(bitPattern: UInt32(peak))
}
