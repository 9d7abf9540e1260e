import CVector
import Tensors

/// The gradient of a fused block's raw map, formed window by window in cache.
extension FusedBlock {
  /// Forms the gradient of a window of the raw map; outside the map it is zero.
  ///
  /// - Parameter to: receives `[bands, frames, stride]`; holds the raw map's window, if none is kept
  func formGradient(
    _ bands: Range<Int>, _ frames: Range<Int>, clip: Int, _ saved: Saved,
    _ channels: NormalizedChannels,
    _ affine: (slope: Pointer, offset: Pointer), _ to: Pointer
  ) {
    let g = geometry
    let inside = frames.clamped(to: 0..<g.shape.outT)
    for band in bands {
      let line = to + (band - bands.lowerBound) * frames.count * g.stride
      guard band >= 0, band < g.shape.outF, !inside.isEmpty else {
        line.update(repeating: 0, count: frames.count * g.stride)
        continue
      }
      let first = (inside.lowerBound - frames.lowerBound) * g.stride
      let end = first + inside.count * g.stride
      line.update(repeating: 0, count: first)
      (line + end).update(repeating: 0, count: frames.count * g.stride - end)
      let at = line + first
      let raw =
        g.keepsRaw
        ? saved.raw + ((clip * g.shape.outF + band) * g.shape.outT + inside.lowerBound) * g.stride
        : at
      // Beyond the last whole window nothing was chosen.
      let pooled = band < g.outF * g.poolF ? inside.clamped(to: 0..<g.outT * g.poolT).count : 0
      formRow(
        raw, pooled, inside.count, affine, at, clip: clip, band: band, inside.lowerBound, saved,
        channels)
    }
  }

  /// One row: the affine part everywhere, and the pooled values' gradients in the first `pooled`
  /// positions.
  private func formRow(
    _ raw: Pointer, _ pooled: Int, _ count: Int, _ affine: (slope: Pointer, offset: Pointer),
    _ to: Pointer, clip: Int, band: Int, _ firstFrame: Int, _ saved: Saved,
    _ channels: NormalizedChannels
  ) {
    let g = geometry
    let line = (clip * g.outF + min(band / g.poolF, g.outF - 1)) * g.outT
    let number = band % g.poolF * g.poolT
    for v in stride(from: 0, to: g.stride, by: 8) {
      let (slope, offset) = (Vector(loading: affine.slope, v), Vector(loading: affine.offset, v))
      let of = OneVector(channels, v, of: g.channels)
      var (window, place) = (firstFrame / g.poolT, firstFrame % g.poolT)
      for t in 0..<pooled {
        let value = Vector(loading: raw, t &* g.stride &+ v)
        var gradient = offset.adding(slope, times: value)
        let at = (line &+ window) &* g.stride &+ v
        let own = Vector(loading: saved.pooled, at)
        if g.averages {
          gradient += own * of.slope(value)
        } else {
          gradient += cv_where_equal(
            cv_load_bytes(saved.choices + at), Int32(truncatingIfNeeded: number &+ place), own)
        }
        gradient.store(to, t &* g.stride &+ v)
        place &+= 1
        if place == g.poolT { (window, place) = (window &+ 1, 0) }
      }
      var t = pooled
      while t < count {
        let value = Vector(loading: raw, t &* g.stride &+ v)
        offset.adding(slope, times: value).store(to, t &* g.stride &+ v)
        t &+= 1
      }
    }
  }
}
