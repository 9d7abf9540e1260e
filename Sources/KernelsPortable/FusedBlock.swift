import Foundation
import Tensors

/// Convolution, batch statistics, pooling, normalization, ELU and dropout in few passes over memory.
///
/// ELU after an affine map is monotonic, so the maximum of a window of activations is the activation
/// of the window's largest raw value (smallest, where γ is negative). A window of the raw map is
/// computed, summed and pooled while it is in cache; only the pooled values, a quarter to a twentieth
/// of the map, are normalized and activated. A byte a pooled value remembers which one was chosen.
///
/// Backward, the gradient of the raw map is affine in the raw map itself, plus the chosen values':
/// it is formed window by window in cache, where both convolutions that need it use it, and never
/// written to memory. The raw map of a block with one input channel is not even kept, nor is it computed
/// again: see `PlaneMoments`.
///
/// Maps are channel-last inside, and `[N, channels, F, T]` outside.
struct FusedBlock: BlockKernel {
  let geometry: BlockGeometry
  let clips: Int
  let pool: ThreadPool

  /// - Parameters:
  ///   - poolF, poolT: at most 255 positions; what does not fill a window is left out
  ///   - averages: pool by the mean instead of the maximum
  init(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, pool: ThreadPool
  ) {
    precondition(poolF * poolT <= 255, "FusedBlock: a pool of \(poolF) × \(poolT)")
    geometry = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    self.clips = clips
    self.pool = pool
    let shape = geometry.shape
    precondition(
      shape.outF == shape.inF && shape.outT == shape.inT,
      "FusedBlock: a kernel without padding must span all bands")
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

  static func savedCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int
  ) -> Int {
    let geometry = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    let (raw, pooled) = savedCounts(geometry, clips: clips)
    return raw + pooled + (pooled + 3) / 4
  }

  private static func savedCounts(_ g: BlockGeometry, clips: Int) -> (raw: Int, pooled: Int) {
    (
      g.forgetsRaw ? 0 : clips * g.shape.outF * g.shape.outT * g.stride,
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
  static func scratchCount(
    _ shape: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool, clips: Int, threads: Int
  ) -> Int {
    let g = BlockGeometry(shape, poolF: poolF, poolT: poolT, averages: averages)
    return Workspace.sharedCount(g, clips: clips) + threads * Workspace.threadCount(g)
  }

  /// The scratch of a pass: packed weights and sums for all, windows for each thread.
  struct Workspace {
    let packed, reversed, sums, gradients, moments: Pointer
    private let threads: Pointer
    private let geometry: BlockGeometry

    init(_ scratch: Tensor, _ g: BlockGeometry, clips: Int) {
      geometry = g
      packed = scratch.base
      reversed = packed + g.convolution.packedCount
      sums = reversed + g.reversed.packedCount
      gradients = sums + Self.sumsCount(g, clips: clips)
      moments = gradients + g.parts * g.convolution.gradientCount
      threads = moments + Self.momentsCount(g, clips: clips)
    }

    /// The input's moments of each window, and the stencil that they give (see `PlaneMoments`).
    private static func momentsCount(_ g: BlockGeometry, clips: Int) -> Int {
      guard g.forgetsRaw else { return 0 }
      let count = clips * g.windows * PlaneMoments.count(taps: g.taps) + (g.taps + 1) * g.taps
      return (count + 15) / 16 * 16
    }

    private static func sumsCount(_ g: BlockGeometry, clips: Int) -> Int {
      2 * clips * max(g.windows, g.outF) * g.stride
    }

    static func sharedCount(_ g: BlockGeometry, clips: Int) -> Int {
      g.convolution.packedCount + g.reversed.packedCount + sumsCount(g, clips: clips)
        + g.parts * g.convolution.gradientCount + momentsCount(g, clips: clips)
    }

    private static func otherCount(_ g: BlockGeometry) -> Int {
      max(g.inputGradientCount, (max(g.outT, g.rows * g.columns) + 8) * g.stride)
    }

    static func threadCount(_ g: BlockGeometry) -> Int {
      g.inputCount + g.outputCount + otherCount(g) + g.windowScratchCount
    }

    func windows(_ thread: Int) -> ThreadWindows {
      let g = geometry
      let x = threads + thread * Self.threadCount(g)
      let y = x + g.inputCount
      let other = y + g.outputCount
      return ThreadWindows(x: x, y: y, other: other, scratch: other + Self.otherCount(g))
    }
  }

  /// What one thread works in.
  struct ThreadWindows {
    /// The input with its halo; the raw map, or its gradient.
    let x, y: Pointer
    /// The input's gradient, or pooled values.
    let other: Pointer
    /// The convolution's own.
    let scratch: Pointer
  }

  // MARK: Training, forward

  /// First half: the raw map, its statistics, its pooled values.
  ///
  /// - Parameters:
  ///   - x: `[N, inChannels, F, T]`
  ///   - gamma: `[channels]`, whose sign decides between maximum and minimum
  ///   - mean, variance: receive the batch's, without the bias; the variance is biased
  func convolve(
    _ x: Tensor, weight: Tensor, gamma: Tensor, saved: Tensor, mean: Tensor, variance: Tensor,
    scratch: Tensor
  ) {
    let g = geometry
    let saved = self.saved(saved)
    let work = Workspace(scratch, g, clips: clips)
    if g.forgetsRaw { packTaps(weight, signs: gamma.base, work) } else { pack(weight, work) }
    let (x, gamma) = (x.base, gamma.base)
    let inCount = g.shape.inCount
    pool.run(clips * g.windows) { unit, thread in
      let (clip, number) = (unit / g.windows, unit % g.windows)
      let window = g.window(number)
      let own = work.windows(thread)
      let sums = work.sums + unit * 2 * g.stride
      if g.forgetsRaw {
        chooseOfPlane(
          x + clip * inCount, window, gamma, clip: clip, work, own, saved, sums: sums)
        return
      }
      let rowStride = computeRaw(x + clip * inCount, window, work, own)
      sum(own.y, rowStride, window, into: sums)
      keep(
        own.y, rowStride, window, into: saved.raw + clip * g.shape.outF * g.shape.outT * g.stride)
      if !g.averages {
        choose(own.y, rowStride, window, gamma, clip: clip, into: saved.pooled, saved.choices)
      }
    }
    combine(work.sums, mean: mean.base, variance: variance.base)
  }

  /// Second half: y = dropout(pool(elu(scale · raw + shift))).
  ///
  /// - Parameter y: receives `[N, channels, F / poolF, T / poolT]`
  func activate(
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
  func evaluate(
    _ x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, into y: Tensor, scratch: Tensor
  ) {
    let g = geometry
    let work = Workspace(scratch, g, clips: clips)
    if g.forgetsRaw { packTaps(weight, signs: scale.base, work) } else { pack(weight, work) }
    let (x, y, scale, shift) = (x.base, y.base, scale.base, shift.base)
    pool.run(clips * g.windows) { unit, thread in
      let (clip, number) = (unit / g.windows, unit % g.windows)
      let window = g.window(number)
      let own = work.windows(thread)
      let columns = window.frames.count / g.poolT
      let first = window.frames.lowerBound / g.poolT
      let rowStride =
        g.forgetsRaw
        ? bestOfPlane(x + clip * g.shape.inCount, window, scale, work, own)
        : computeRaw(x + clip * g.shape.inCount, window, work, own)
      for row in 0..<(window.bands.count / g.poolF) {
        let raw = own.y + row * (g.forgetsRaw ? 1 : g.poolF) * rowStride
        if g.forgetsRaw {
          activate(raw, columns, scale, shift, into: own.other)
        } else if g.averages {
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
}
