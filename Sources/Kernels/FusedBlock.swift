import CVector
import Foundation

/// Convolution, batch statistics, pooling, normalization, ELU and dropout in few passes over memory.
///
/// ELU after an affine map is monotonic, so the maximum of a window of activations is the activation
/// of the window's largest raw value (smallest, where γ is negative). A window of the raw map is
/// computed, summed and pooled while it is in cache; only the pooled values, a quarter to a twentieth
/// of the map, are normalized and activated. A byte a pooled value remembers which one was chosen.
///
/// Backward, the gradient of the raw map is affine in the raw map itself, plus the chosen values':
/// it is formed window by window in cache, where both convolutions that need it use it, and never
/// written to memory. The raw map of a block with one input channel is not even kept (see
/// `BlockGeometry`).
///
/// Maps are channel-last inside, and `[N, channels, F, T]` outside.
package struct FusedBlock {
  let geometry: BlockGeometry
  let clips: Int
  let pool: ThreadPool

  /// - Parameters:
  ///   - poolF, poolT: at most 255 positions; what does not fill a window is left out
  ///   - averages: pool by the mean instead of the maximum
  package init(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, pool: ThreadPool
  ) {
    precondition(poolF * poolT < 255, "FusedBlock: a pool of \(poolF) × \(poolT)")
    geometry = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    self.clips = clips
    self.pool = pool
  }

  // MARK: Memory

  /// What the forward pass keeps for the backward pass.
  struct Saved {
    /// `[N, F, T, stride]`, if it is kept
    let raw: Pointer
    /// `[N, F / poolF, T / poolT, stride]`: the chosen raw values; backward, their gradients
    let pooled: Pointer
    /// Likewise: which of its window each value is
    let choices: UnsafeMutablePointer<UInt8>
  }

  package static func savedCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int
  ) -> Int {
    let geometry = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    let (raw, pooled) = savedCounts(geometry, clips: clips)
    return raw + pooled + (pooled + 3) / 4
  }

  private static func savedCounts(_ g: BlockGeometry, clips: Int) -> (raw: Int, pooled: Int) {
    (
      g.keepsRaw ? clips * g.shape.outF * g.shape.outT * g.stride : 0,
      clips * g.outF * g.outT * g.stride
    )
  }

  func saved(_ tensor: Tensor) -> Saved {
    let (raw, pooled) = Self.savedCounts(geometry, clips: clips)
    precondition(tensor.count >= raw + pooled + (pooled + 3) / 4, "FusedBlock: saved")
    return Saved(
      raw: tensor.base, pooled: tensor.base + raw,
      choices: UnsafeMutableRawPointer(tensor.base + raw + pooled)
        .bindMemory(to: UInt8.self, capacity: pooled))
  }

  /// Floats of scratch that a pass needs. Evaluation keeps nothing, so it needs less.
  package static func scratchCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, threads: Int
  ) -> Int {
    let g = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    return Workspace.sharedCount(g, clips: clips) + threads * Workspace.threadCount(g)
  }

  /// The scratch of a pass: packed weights and sums for all, windows for each thread.
  struct Workspace {
    let packed, reversed, sums, gradients: Pointer
    private let threads: Pointer
    private let geometry: BlockGeometry

    init(_ scratch: Tensor, _ g: BlockGeometry, clips: Int) {
      geometry = g
      packed = scratch.base
      reversed = packed + g.convolution.packedCount
      sums = reversed + g.reversed.packedCount
      gradients = sums + Self.sumsCount(g, clips: clips)
      threads = gradients + g.parts * g.convolution.gradientCount
    }

    private static func sumsCount(_ g: BlockGeometry, clips: Int) -> Int {
      2 * clips * max(g.windows, g.outF) * g.stride
    }

    static func sharedCount(_ g: BlockGeometry, clips: Int) -> Int {
      g.convolution.packedCount + g.reversed.packedCount + sumsCount(g, clips: clips)
        + g.parts * g.convolution.gradientCount
    }

    static func threadCount(_ g: BlockGeometry) -> Int {
      g.inputCount + g.outputCount
        + max(g.inputGradientCount, (max(g.outT, g.rows * g.columns) + 8) * g.stride)
        + g.windowScratchCount
    }

    /// One thread's windows: the input, the output or its gradient, the input's gradient or a row of
    /// pooled values, and what the convolution itself needs.
    func windows(_ thread: Int) -> (x: Pointer, y: Pointer, other: Pointer, scratch: Pointer) {
      let g = geometry
      let x = threads + thread * Self.threadCount(g)
      let y = x + g.inputCount
      let other = y + g.outputCount
      return (
        x, y, other,
        other + max(g.inputGradientCount, (max(g.outT, g.rows * g.columns) + 8) * g.stride)
      )
    }
  }

  // MARK: Training, forward

  /// First half: the raw map, its statistics, its pooled values.
  ///
  /// - Parameters:
  ///   - x: `[N, inChannels, F, T]`
  ///   - gamma: `[channels]`, whose sign decides between maximum and minimum
  ///   - mean, variance: receive the batch's, without the bias; the variance is biased
  package func convolve(
    _ x: Tensor, weight: Tensor, gamma: Tensor, saved: Tensor, mean: Tensor, variance: Tensor,
    scratch: Tensor
  ) {
    let g = geometry
    let saved = self.saved(saved)
    let work = Workspace(scratch, g, clips: clips)
    pack(weight, work)
    let (x, gamma) = (x.base, gamma.base)
    let inCount = g.shape.inCount
    pool.run(clips * g.windows) { unit, thread in
      let (clip, number) = (unit / g.windows, unit % g.windows)
      let window = g.window(number)
      let own = work.windows(thread)
      let rowStride = computeRaw(x + clip * inCount, window, work, own)
      let sums = work.sums + unit * 2 * g.stride
      sum(own.y, rowStride, window, into: sums)
      if g.keepsRaw {
        keep(
          own.y, rowStride, window, into: saved.raw + clip * g.shape.outF * g.shape.outT * g.stride)
      }
      if !g.averages {
        choose(own.y, rowStride, window, gamma, clip: clip, into: saved.pooled, saved.choices)
      }
    }
    combine(work.sums, mean: mean.base, variance: variance.base)
  }

  /// Second half: y = dropout(pool(elu(scale · raw + shift))).
  ///
  /// - Parameter y: receives `[N, channels, F / poolF, T / poolT]`
  package func activate(
    saved: Tensor, scale: Tensor, shift: Tensor, dropout: Dropout?, into y: Tensor, scratch: Tensor
  ) {
    let g = geometry
    let saved = self.saved(saved)
    let work = Workspace(scratch, g, clips: clips)
    let (y, scale, shift) = (y.base, scale.base, shift.base)
    pool.run(clips * g.outF) { unit, thread in
      let (clip, row) = (unit / g.outF, unit % g.outF)
      let values = work.windows(thread).other
      let at = unit * g.outT * g.stride
      if g.averages {
        let raw = saved.raw + (clip * g.shape.outF + row * g.poolF) * g.shape.outT * g.stride
        average(raw, g.shape.outT * g.stride, g.outT, scale, shift, into: values)
      } else {
        activate(saved.pooled + at, g.outT, scale, shift, into: values)
      }
      write(values, g.outT, clip: clip, row: row, firstColumn: 0, into: y)
      guard let dropout else { return }
      for c in 0..<g.channels {
        let first = ((clip * g.channels + c) * g.outF + row) * g.outT
        dropout.apply(to: y + first, count: g.outT, firstIndex: first)
      }
    }
  }

  // MARK: Evaluation

  /// y = pool(elu(scale · (w ∗ x) + shift)), nothing kept.
  package func evaluate(
    _ x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, into y: Tensor, scratch: Tensor
  ) {
    let g = geometry
    let work = Workspace(scratch, g, clips: clips)
    pack(weight, work)
    let (x, y, scale, shift) = (x.base, y.base, scale.base, shift.base)
    pool.run(clips * g.windows) { unit, thread in
      let (clip, number) = (unit / g.windows, unit % g.windows)
      let window = g.window(number)
      let own = work.windows(thread)
      let rowStride = computeRaw(x + clip * g.shape.inCount, window, work, own)
      let columns = window.frames.count / g.poolT
      let first = window.frames.lowerBound / g.poolT
      for row in 0..<(window.bands.count / g.poolF) {
        let raw = own.y + row * g.poolF * rowStride
        if g.averages {
          average(raw, rowStride, columns, scale, shift, into: own.other)
        } else {
          for vector in 0..<(g.stride / 8) {
            choose(
              raw + vector * 8, rowStride, columns, sign(scale, vector), own.other + vector * 8
            ) { _, _ in
            }
          }
          activate(own.other, columns, scale, shift, into: own.other)
        }
        write(
          own.other, columns, clip: clip, row: window.bands.lowerBound / g.poolF + row,
          firstColumn: first, into: y)
      }
    }
  }

  // MARK: Windows of the raw map

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
  /// - Parameter halo: positions before and after the window that are computed too (patches only)
  /// - Returns: floats from row to row
  @discardableResult
  func computeRaw(
    _ x: Pointer, _ window: BlockGeometry.Window, _ work: Workspace,
    _ own: (x: Pointer, y: Pointer, other: Pointer, scratch: Pointer)
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
    if geometry.lowering == .patches {
      gatherPatches(x, f..<(f + rows), t..<(t + columns), into: to)
      return columns * geometry.convolution.inStride
    }
    ChannelLast.gather(
      x, channels: s.inChannels, bands: s.inF, frames: s.inT, rows: f..<(f + rows + s.kernelF - 1),
      columns: t..<(t + columns + s.kernelT - 1), into: to)
    return (columns + s.kernelT - 1) * geometry.convolution.inStride
  }

  /// to[position][tap] = x[position + tap]; `rows` and `columns` are where the first tap looks.
  private func gatherPatches(
    _ x: Pointer, _ rows: Range<Int>, _ columns: Range<Int>, into to: Pointer
  ) {
    let s = geometry.shape
    let taps = s.kernelF * s.kernelT
    for row in rows {
      let line = to + (row - rows.lowerBound) * columns.count * taps
      for kf in 0..<s.kernelF {
        let band = row + kf
        for kt in 0..<s.kernelT {
          let inside = (columns.lowerBound + kt..<columns.upperBound + kt)
            .clamped(to: 0..<(band >= 0 && band < s.inF ? s.inT : 0))
          let at = line + kf * s.kernelT + kt
          let first = columns.lowerBound + kt
          var place = 0
          let start = inside.isEmpty ? columns.count : inside.lowerBound - first
          while place < start {
            at[place &* taps] = 0
            place &+= 1
          }
          if !inside.isEmpty {
            let from = x + band * s.inT + first
            let end = inside.upperBound - first
            while place < end {
              at[place &* taps] = from[place]
              place &+= 1
            }
          }
          while place < columns.count {
            at[place &* taps] = 0
            place &+= 1
          }
        }
      }
    }
  }

  private func keep(
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
  private func sum(
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
  private func combine(_ sums: Pointer, mean: Pointer, variance: Pointer) {
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

  // MARK: Pooling

  @inline(__always) func sign(_ gamma: Pointer, _ vector: Int) -> Vector {
    var sign = splat(1)
    for lane in 0..<min(8, geometry.channels - vector * 8) where gamma[vector * 8 + lane] < 0 {
      sign[lane] = -1
    }
    return sign
  }

  private func choose(
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
  private func choose(
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

  private func activate(
    _ values: Pointer, _ columns: Int, _ scale: Pointer, _ shift: Pointer, into to: Pointer
  ) {
    let step = geometry.stride
    forVectors { v, n in
      let (a, b) = (Vector(loading: scale, v, first: n), Vector(loading: shift, v, first: n))
      for column in 0..<columns {
        let at = column &* step &+ v
        Mathematics.elu(b.adding(a, times: Vector(loading: values, at))).store(to, at)
      }
    }
  }

  /// A row of means of activations.
  private func average(
    _ raw: Pointer, _ rowStride: Int, _ columns: Int, _ scale: Pointer, _ shift: Pointer,
    into to: Pointer
  ) {
    let g = geometry
    let share = splat(1 / Float(g.poolF * g.poolT))
    forVectors { v, n in
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
  func forVectors(_ body: (_ first: Int, _ count: Int) -> Void) {
    for v in Swift.stride(from: 0, to: geometry.channels, by: 8) {
      body(v, min(8, geometry.channels &- v))
    }
  }

  /// Part of a row of pooled values into its place in `[N, channels, F / poolF, T / poolT]`.
  private func write(
    _ values: Pointer, _ columns: Int, clip: Int, row: Int, firstColumn: Int, into y: Pointer
  ) {
    let g = geometry
    forVectors { v, n in
      let plane = clip * g.channels + v
      ChannelLast.scatter(
        values + v, stride: g.stride, columns, channels: n,
        into: y + (plane * g.outF + row) * g.outT + firstColumn, step: g.outF * g.outT)
    }
  }
}
