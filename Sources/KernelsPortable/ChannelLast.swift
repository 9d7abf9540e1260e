import CVector
import Tensors

/// Between maps as tensors have them, one plane a channel, and maps as convolutions work on them:
/// all channels of a position side by side, in whole vectors of eight.
///
/// Channel-last, a lane of a vector is a channel. Tiles, pools, sums and activations then need no
/// shuffling, however odd the map's size is; only these two functions turn anything.
enum ChannelLast {
  /// Floats of one position: the channels, rounded up to whole vectors.
  @inline(__always) static func stride(_ channels: Int) -> Int { (channels &+ 7) / 8 &* 8 }

  /// Copies a window of a map into channel-last order; what lies outside the map is zero, and so are
  /// the channels that fill up the last vector.
  ///
  /// - Parameters:
  ///   - planes: `[channels, bands, frames]`
  ///   - rows, columns: the window, which may reach beyond the map
  ///   - window: receives `[rows, columns, stride(channels)]`
  static func gather(
    _ planes: Pointer, channels: Int, bands: Int, frames: Int, rows: Range<Int>,
    columns: Range<Int>, into window: Pointer
  ) {
    let stride = stride(channels)
    let rowCount = columns.count &* stride
    let inside = columns.clamped(to: 0..<frames)
    for row in rows {
      let to = window + (row &- rows.lowerBound) &* rowCount
      guard row >= 0, row < bands, !inside.isEmpty else {
        to.update(repeating: 0, count: rowCount)
        continue
      }
      let before = (inside.lowerBound &- columns.lowerBound) &* stride
      let count = inside.count
      to.update(repeating: 0, count: before)
      let end = before &+ count &* stride
      (to + end).update(repeating: 0, count: rowCount &- end)
      let from = planes + (row &* frames &+ inside.lowerBound)
      for channel in Swift.stride(from: 0, to: channels, by: 8) {
        turn(
          from + channel &* (bands &* frames), step: bands &* frames,
          rows: min(8, channels &- channel), count, into: to + (before &+ channel), stride)
      }
    }
  }

  /// Eight rows of planes (zeros for those that lack) to `count` vectors.
  @inline(__always)
  private static func turn(
    _ from: Pointer, step: Int, rows: Int, _ count: Int, into to: Pointer, _ stride: Int
  ) {
    @inline(__always) func row(_ r: Int, _ t: Int) -> Vector {
      r < rows ? Vector(loading: from + r &* step, t) : .zero
    }
    var t = 0
    while t &+ 8 <= count {
      cv_store_transposed(
        row(0, t), row(1, t), row(2, t), row(3, t), row(4, t), row(5, t), row(6, t), row(7, t),
        to + t &* stride, stride)
      t &+= 8
    }
    while t < count {
      var vector = Vector.zero
      for r in 0..<rows { vector[r] = from[r &* step &+ t] }
      vector.store(to, t &* stride)
      t &+= 1
    }
  }

  /// Copies `count` positions of up to eight channels back into planes.
  ///
  /// - Parameters:
  ///   - from: the first position's vector; the next is `stride` floats on
  ///   - planes: the first channel's place; the next channel is `step` floats on
  @inline(__always)
  static func scatter(
    _ from: Pointer, stride: Int, _ count: Int, channels: Int, into planes: Pointer, step: Int
  ) {
    var t = 0
    if channels == 8 {
      while t &+ 8 <= count {
        let at = from + t &* stride
        cv_store_transposed(
          Vector(loading: at, 0), Vector(loading: at, stride), Vector(loading: at, 2 &* stride),
          Vector(loading: at, 3 &* stride), Vector(loading: at, 4 &* stride),
          Vector(loading: at, 5 &* stride), Vector(loading: at, 6 &* stride),
          Vector(loading: at, 7 &* stride), planes + t, step)
        t &+= 8
      }
    }
    while t < count {
      for c in 0..<channels { planes[c &* step &+ t] = from[t &* stride &+ c] }
      t &+= 1
    }
  }
}
