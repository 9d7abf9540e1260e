import CVector
import Tensors

/// What a fused block does to its raw map after the convolution: the choice of pooled values, their
/// activation, and their way back into planes.
extension FusedBlock {
  @inline(__always) func sign(_ gamma: Pointer, _ vector: Int) -> Vector {
    var sign = splat(1)
    for lane in 0..<min(8, geometry.channels - vector * 8) where gamma[vector * 8 + lane] < 0 {
      sign[lane] = -1
    }
    return sign
  }

  func choose(
    _ y: Pointer, _ rowStride: Int, _ window: BlockGeometry.Window, _ gamma: Pointer, clip: Int,
    into pooled: Pointer, _ choices: UnsafeMutablePointer<UInt8>
  ) {
    let g = geometry
    let columns = window.frames.count / g.poolT
    for vector in 0..<(g.stride / 8) {
      let sign = sign(gamma, vector)
      for row in 0..<(window.bands.count / g.poolF) {
        let line = (clip * g.outF + window.bands.lowerBound / g.poolF + row) * g.outT
        let at = (line + window.frames.lowerBound / g.poolT) * g.stride + vector * 8
        let bytes = choices + at
        choose(
          y + row * g.poolF * rowStride + vector * 8, rowStride, columns, sign, pooled + at
        ) { column, choice in
          cv_store_bytes(choice, bytes + column &* g.stride)
        }
      }
    }
  }

  /// One row of pooled values of one vector of channels: of each window the best value times `sign`,
  /// the first among equals; a NaN is better than anything.
  @inline(__always)
  func choose(
    _ y: Pointer, _ rowStride: Int, _ columns: Int, _ sign: Vector, _ pooled: Pointer,
    _ chosen: (_ column: Int, _ choice: Integers) -> Void
  ) {
    let (poolF, poolT, step) = (geometry.poolF, geometry.poolT, geometry.stride)
    for column in 0..<columns {
      let first = y + column &* poolT &* step
      var best = Vector(loading: first, 0) * sign
      var choice = Integers.zero
      var number: Int32 = 0
      for i in 0..<poolF {
        var at = first + i &* rowStride
        for _ in 0..<poolT {
          let value = Vector(loading: at, 0) * sign
          let better = cv_exceeds(value, best)
          best = cv_select(better, value, best)
          choice = cv_select_int(better, Integers(repeating: number), choice)
          number &+= 1
          at += step
        }
      }
      (best * sign).store(pooled, column &* step)
      chosen(column, choice)
    }
  }

  // MARK: Activation

  func activate(
    _ values: Pointer, _ columns: Int, _ scale: Pointer, _ shift: Pointer, into to: Pointer
  ) {
    let step = geometry.stride
    forEachVector { v, n in
      let (a, b) = (Vector(loading: scale, v, first: n), Vector(loading: shift, v, first: n))
      for column in 0..<columns {
        let at = column &* step &+ v
        Mathematics.elu(b.adding(a, times: Vector(loading: values, at))).store(to, at)
      }
    }
  }

  /// A row of means of activations.
  func average(
    _ raw: Pointer, _ rowStride: Int, _ columns: Int, _ scale: Pointer, _ shift: Pointer,
    into to: Pointer
  ) {
    let g = geometry
    let share = splat(1 / Float(g.poolF * g.poolT))
    forEachVector { v, n in
      let (a, b) = (Vector(loading: scale, v, first: n), Vector(loading: shift, v, first: n))
      for column in 0..<columns {
        var sum = Vector.zero
        for i in 0..<g.poolF {
          for j in 0..<g.poolT {
            let at = i &* rowStride &+ (column &* g.poolT &+ j) &* g.stride &+ v
            sum += Mathematics.elu(b.adding(a, times: Vector(loading: raw, at)))
          }
        }
        (sum * share).store(to, column &* g.stride &+ v)
      }
    }
  }

  /// Calls `body(first channel, channels)` for every vector of channels.
  @inline(__always)
  func forEachVector(_ body: (_ first: Int, _ count: Int) -> Void) {
    for v in Swift.stride(from: 0, to: geometry.channels, by: 8) {
      body(v, min(8, geometry.channels &- v))
    }
  }

  /// Part of a row of pooled values into its place in `[N, channels, F / poolF, T / poolT]`.
  func write(
    _ values: Pointer, _ columns: Int, clip: Int, row: Int, firstColumn: Int, into y: Pointer
  ) {
    let g = geometry
    forEachVector { v, n in
      let plane = clip * g.channels + v
      ChannelLast.scatter(
        values + v, stride: g.stride, columns, channels: n,
        into: y + (plane * g.outF + row) * g.outT + firstColumn, step: g.outF * g.outT)
    }
  }
}
