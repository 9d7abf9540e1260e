/// SpecAugment's masks (Park et al. 2019, arXiv:1904.08779), without its warp of time: some stretches
/// of frames and of bands are hidden, so that a network learns not to hang on any one of them.
///
/// A mask's width is drawn evenly from 0 to its widest, its start evenly from where it then fits; masks
/// may overlap. What is hidden becomes the mean of the map, which is the zero of the paper's
/// normalized maps: next to nothing after batch normalization, where the floor of a decibel map would
/// be an edge that no music has.
package struct SpectrogramMasks: Sendable {
  package let timeMasks, widestTimeMask: Int
  package let bandMasks, widestBandMask: Int

  /// - Parameters:
  ///   - timeMasks, bandMasks: how many; none is allowed
  ///   - widestTimeMask: frames
  ///   - widestBandMask: bands
  package init(timeMasks: Int, widestTimeMask: Int, bandMasks: Int, widestBandMask: Int) {
    precondition(
      timeMasks >= 0 && widestTimeMask >= 0 && bandMasks >= 0 && widestBandMask >= 0,
      "SpectrogramMasks: \(timeMasks) of \(widestTimeMask), \(bandMasks) of \(widestBandMask)")
    self.timeMasks = timeMasks
    self.widestTimeMask = widestTimeMask
    self.bandMasks = bandMasks
    self.widestBandMask = widestBandMask
  }

  /// Hides parts of one clip's map `[F, T]`.
  ///
  /// - Parameter stream: mask m draws its width from word 2m and its start from word 2m + 1, time
  ///   masks first
  /// - Precondition: the widest masks fit into the map
  package func apply(to map: Matrix, stream: RandomStream) {
    let times = ranges(
      timeMasks, widest: widestTimeMask, of: map.columns, stream, firstMask: 0)
    let bands = ranges(
      bandMasks, widest: widestBandMask, of: map.rows, stream, firstMask: timeMasks)
    let mean = map.mean
    for range in times { map.columns(range).fill(mean) }
    for range in bands { map.rows(range).fill(mean) }
  }

  private func ranges(
    _ count: Int, widest: Int, of extent: Int, _ stream: RandomStream, firstMask: Int
  ) -> [Range<Int>] {
    precondition(count == 0 || widest <= extent, "a mask of \(widest) on \(extent)")
    return (firstMask..<firstMask + count).map { mask in
      let width = stream.below(widest + 1, 2 * mask)
      let start = stream.below(extent - width + 1, 2 * mask + 1)
      return start..<start + width
    }
  }
}
