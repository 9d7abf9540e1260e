import CVector
import Tensors

/// The gradient of a fused block's raw map, formed window by window in cache.
extension FusedBlock {
  /// Forms the gradient of a window of the raw map; outside the map it is zero.
  ///
  /// - Parameter to: receives `[bands, frames, stride]`
  func formGradient(
    _ bands: Range<Int>, _ frames: Range<Int>, clip: Int, _ saved: Saved,
    _ channels: NormalizedChannels,
    _ affine: (slope: Pointer, offset: Pointer), _ to: Pointer
  ) {
    let g = geometry
    forEachRow(bands, frames, into: to) { band, inside, line in
      let raw =
        saved.raw + ((clip * g.shape.outF + band) * g.shape.outT + inside.lowerBound) * g.stride
      for v in stride(from: 0, to: g.stride, by: 8) {
        let (slope, offset) = (Vector(loading: affine.slope, v), Vector(loading: affine.offset, v))
        let of = OneVector(channels, v, of: g.channels)
        @inline(__always) func value(_ t: Int) -> Vector {
          Vector(loading: raw, t &* g.stride &+ v)
        }
        if g.averages {
          pooledRow(band, inside, clip: clip, saved, v) { t, gradient, _, _ in
            let x = value(t)
            (offset.adding(slope, times: x) + gradient * of.slope(x)).store(
              line, t &* g.stride &+ v)
          } unpooled: { t in
            offset.adding(slope, times: value(t)).store(line, t &* g.stride &+ v)
          }
        } else {
          pooledRow(band, inside, clip: clip, saved, v) { t, gradient, choice, place in
            let chosen = cv_where_equal(choice, place, gradient)
            (offset.adding(slope, times: value(t)) + chosen).store(line, t &* g.stride &+ v)
          } unpooled: { t in
            offset.adding(slope, times: value(t)).store(line, t &* g.stride &+ v)
          }
        }
      }
    }
  }

  /// Calls `body(band, frames inside the map, their place)` for every row, and clears what lies
  /// outside.
  @inline(__always)
  private func forEachRow(
    _ bands: Range<Int>, _ frames: Range<Int>, into to: Pointer,
    _ body: (Int, Range<Int>, Pointer) -> Void
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
      body(band, inside, line + first)
    }
  }

  /// One row of one vector of channels: calls `pooled(position, its pool's gradient, its pool's choice,
  /// its place in the pool)`, or `unpooled(position)` where no pool reaches.
  @inline(__always)
  private func pooledRow(
    _ band: Int, _ frames: Range<Int>, clip: Int, _ saved: Saved, _ v: Int,
    _ pooled: (Int, Vector, Integers, Int32) -> Void, unpooled: (Int) -> Void
  ) {
    let g = geometry
    var t = 0
    if band < g.outF * g.poolF {
      let line = (clip * g.outF + band / g.poolF) * g.outT
      let row = band % g.poolF * g.poolT
      let count = frames.clamped(to: 0..<g.outT * g.poolT).count
      var (window, place) = frames.lowerBound.quotientAndRemainder(dividingBy: g.poolT)
      while t < count {
        let at = (line &+ window) &* g.stride &+ v
        let gradient = Vector(loading: saved.pooled, at)
        let choice = cv_load_bytes(saved.choices + at)
        let end = min(t &+ g.poolT &- place, count)
        while t < end {
          pooled(t, gradient, choice, Int32(truncatingIfNeeded: row &+ place))
          place &+= 1
          t &+= 1
        }
        (window, place) = (window &+ 1, 0)
      }
    }
    while t < frames.count {
      unpooled(t)
      t &+= 1
    }
  }
}
