import Foundation
import Tensors

/// A fused block's raw map, window by window: computed, kept, and summed while it is in cache.
extension FusedBlock {
  func pack(_ weight: Tensor, _ work: Workspace) {
    let g = geometry
    let order = g.convolution.weightOrder()
    let weight = weight.base
    pool.run(g.convolution.outStride / 8) { vector, _ in
      g.convolution.pack(weight, order, vector: vector, into: work.packed)
    }
  }

  /// Computes a window of one clip's raw map into `own.y`.
  ///
  /// - Returns: floats from row to row
  func computeRaw(
    _ x: Pointer, _ window: BlockGeometry.Window, _ work: Workspace,
    _ own: ThreadWindows
  ) -> Int {
    let g = geometry
    let (rows, columns) = g.computed(window)
    let xRow = gatherInput(x, window, rows, columns, into: own.x)
    g.convolution.forward(
      own.x, xRow: xRow, packed: work.packed, rows: rows, columns: columns, into: own.y,
      yRow: columns * g.stride, scratch: own.scratch)
    return columns * g.stride
  }

  /// Lays out what `rows` × `columns` outputs from the window's first need of the input.
  ///
  /// - Returns: floats from row to row
  func gatherInput(
    _ x: Pointer, _ window: BlockGeometry.Window, _ rows: Int, _ columns: Int, into to: Pointer
  ) -> Int {
    let s = geometry.shape
    let f = window.bands.lowerBound - s.padF
    let t = window.frames.lowerBound - s.padT
    if s.inChannels == 1 {
      gatherPlane(
        x, f..<(f + rows + s.kernelF - 1), t..<(t + columns + s.kernelT - 1), into: to)
      return columns + s.kernelT - 1
    }
    ChannelLast.gather(
      x, channels: s.inChannels, bands: s.inF, frames: s.inT, rows: f..<(f + rows + s.kernelF - 1),
      columns: t..<(t + columns + s.kernelT - 1), into: to)
    return (columns + s.kernelT - 1) * geometry.convolution.inStride
  }

  func keep(
    _ y: Pointer, _ rowStride: Int, _ window: BlockGeometry.Window, into raw: Pointer
  ) {
    let g = geometry
    for (row, band) in window.bands.enumerated() {
      memcpy(
        raw + (band * g.shape.outT + window.frames.lowerBound) * g.stride, y + row * rowStride,
        window.frames.count * g.stride * MemoryLayout<Float>.stride)
    }
  }

  // MARK: Statistics

  /// A window's means, then the sums of squared differences from them.
  func sum(
    _ y: Pointer, _ rowStride: Int, _ window: BlockGeometry.Window, into sums: Pointer
  ) {
    let g = geometry
    let share = splat(1 / Float(window.count))
    for v in stride(from: 0, to: g.stride, by: 8) {
      let mean = sumWindow(y + v, rowStride, window) { $0 } * share
      mean.store(sums, v)
      sumWindow(y + v, rowStride, window) { ($0 - mean) * ($0 - mean) }.store(sums, g.stride + v)
    }
  }

  /// Four sums a row, then rows in order.
  @inline(__always)
  private func sumWindow(
    _ y: Pointer, _ rowStride: Int, _ window: BlockGeometry.Window, _ f: (Vector) -> Vector
  ) -> Vector {
    let (rows, columns, step) = (window.bands.count, window.frames.count, geometry.stride)
    var total = Vector.zero
    for row in 0..<rows {
      var at = y + row &* rowStride
      var a = Vector.zero
      var b = Vector.zero
      var c = Vector.zero
      var d = Vector.zero
      var left = columns
      while left >= 4 {
        a += f(Vector(loading: at, 0))
        b += f(Vector(loading: at, step))
        c += f(Vector(loading: at, 2 &* step))
        d += f(Vector(loading: at, 3 &* step))
        at += 4 &* step
        left &-= 4
      }
      while left > 0 {
        a += f(Vector(loading: at, 0))
        at += step
        left &-= 1
      }
      total += (a + b) + (c + d)
    }
    return total
  }

  /// Merges the windows' statistics in their order, in double (Chan, Golub and LeVeque 1979).
  func combine(_ sums: Pointer, mean: Pointer, variance: Pointer) {
    let g = geometry
    let counts = (0..<g.windows).map { Double(g.window($0).count) }
    for c in 0..<g.channels {
      var (count, average, squares) = (0.0, 0.0, 0.0)
      for unit in 0..<(clips * g.windows) {
        let own = sums + unit * 2 * g.stride + c
        let n = counts[unit % g.windows]
        let difference = Double(own[0]) - average
        let all = count + n
        average += difference * n / all
        squares += Double(own[g.stride]) + difference * difference * count * n / all
        count = all
      }
      mean[c] = Float(average)
      variance[c] = Float(squares / count)
    }
  }
}
