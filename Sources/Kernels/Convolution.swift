import Foundation

/// The sizes of a two-dimensional convolution with stride one (cross-correlation, as networks use it).
package struct ConvolutionShape: Hashable, Sendable {
  package let inChannels, outChannels: Int
  /// Input bands and frames.
  package let inF, inT: Int
  package let kernelF, kernelT: Int
  /// Zeros before the first band and frame; those after follow from the output's size.
  package let padF, padT: Int
  package let outF, outT: Int

  package enum Padding: Sendable, Hashable {
    /// As large as the input; the extra zero of an even kernel goes after.
    case same
    /// No zeros.
    case valid
  }

  package init(
    inChannels: Int, outChannels: Int, inF: Int, inT: Int, kernelF: Int, kernelT: Int,
    paddingF: Padding = .same, paddingT: Padding = .same
  ) {
    precondition(
      (paddingF == .same || inF >= kernelF) && (paddingT == .same || inT >= kernelT),
      "ConvolutionShape: a \(kernelF) × \(kernelT) kernel does not fit into \(inF) × \(inT)")
    self.init(
      inChannels: inChannels, outChannels: outChannels, inF: inF, inT: inT, kernelF: kernelF,
      kernelT: kernelT, padF: paddingF == .same ? (kernelF - 1) / 2 : 0,
      padT: paddingT == .same ? (kernelT - 1) / 2 : 0,
      outF: paddingF == .same ? inF : inF - kernelF + 1,
      outT: paddingT == .same ? inT : inT - kernelT + 1)
  }

  private init(
    inChannels: Int, outChannels: Int, inF: Int, inT: Int, kernelF: Int, kernelT: Int, padF: Int,
    padT: Int, outF: Int, outT: Int
  ) {
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.inF = inF
    self.inT = inT
    self.kernelF = kernelF
    self.kernelT = kernelT
    self.padF = padF
    self.padT = padT
    self.outF = outF
    self.outT = outT
  }

  /// Floats of one clip's input, output, and the products behind one output value.
  package var inCount: Int { inChannels * inF * inT }
  package var outCount: Int { outChannels * outF * outT }
  package var inner: Int { inChannels * kernelF * kernelT }
  package var weightCount: Int { outChannels * inner }
  package var multiplyAdds: Int { outF * outT * weightCount }

  /// The convolution that carries a gradient of the output back to the input.
  var reversed: ConvolutionShape {
    ConvolutionShape(
      inChannels: outChannels, outChannels: inChannels, inF: outF, inT: outT, kernelF: kernelF,
      kernelT: kernelT, padF: kernelF - 1 - padF, padT: kernelT - 1 - padT, outF: inF, outT: inT)
  }
}

/// Convolution as a matrix product: patches of the input are laid out as columns, a tile of output
/// positions at a time, so that the columns stay in the second-level cache.
///
/// Tiles are the unit of work. Their size depends on the shape alone, and no two write the same
/// output, so the bits do not depend on the number of threads. The weight gradient is a sum over
/// positions: it is cut into `parts` fixed sums a clip, which are added in order.
package struct Convolution {
  package let shape: ConvolutionShape
  private let pool: ThreadPool

  package init(_ shape: ConvolutionShape, pool: ThreadPool) {
    self.shape = shape
    self.pool = pool
  }

  /// Sums per clip in the weight gradient.
  private static let parts = 4

  /// Floats of scratch that any pass over `clips` clips needs.
  package static func scratchCount(_ shape: ConvolutionShape, clips: Int, threads: Int) -> Int {
    let columns = max(columnsCount(shape), columnsCount(shape.reversed)) * threads
    let partial = clips * parts * shape.weightCount
    let spread = shape.inChannels == 1 ? shape.inner * shape.outF * shape.outT * threads : 0
    return columns + max(partial, shape.weightCount, spread)
  }

  /// y = w ∗ x + b.
  ///
  /// - Parameters:
  ///   - x: `[N, inChannels, inF, inT]`
  ///   - weight: `[outChannels, inChannels, kernelF, kernelT]`
  ///   - bias: `[outChannels]`
  ///   - y: receives `[N, outChannels, outF, outT]`
  package func forward(_ x: Tensor, weight: Tensor, bias: Tensor?, into y: Tensor, scratch: Tensor)
  {
    Self.convolve(
      shape, x.base, weight.base, bias: bias?.base, into: y.base, clips: x.shape[0],
      scratch: scratch.base, pool)
  }

  /// dx = the gradient of the input, given that of the output.
  package func inputGradient(_ dy: Tensor, weight: Tensor, into dx: Tensor, scratch: Tensor) {
    if shape.inChannels == 1 {
      gatherInputGradient(dy, weight: weight, into: dx, scratch: scratch)
      return
    }
    // The same convolution with the kernel turned by half a turn and the channels exchanged.
    let reversed = shape.reversed
    let turned = scratch.base + Self.columnsCount(reversed) * pool.threads
    let taps = shape.kernelF * shape.kernelT
    let w = weight.base
    for o in 0..<shape.outChannels {
      for i in 0..<shape.inChannels {
        let from = w + (o * shape.inChannels + i) * taps
        let to = turned + (i * shape.outChannels + o) * taps
        for k in 0..<taps { to[taps - 1 - k] = from[k] }
      }
    }
    Self.convolve(
      reversed, dy.base, turned, bias: nil, into: dx.base, clips: dy.shape[0],
      scratch: scratch.base, pool)
  }

  /// dw = the gradient of the weights, given that of the output.
  package func weightGradient(_ x: Tensor, _ dy: Tensor, into dw: Tensor, scratch: Tensor) {
    let shape = self.shape
    let parts = Self.parts
    let clips = x.shape[0]
    let positions = shape.outF * shape.outT
    let tile = Self.tile(shape)
    let tiles = (positions + tile - 1) / tile
    let columns = scratch.base
    let partial = columns + Self.columnsCount(shape) * pool.threads
    let (x, dy, dw) = (x.base, dy.base, dw.base)
    pool.run(clips * parts) { unit, thread in
      let (clip, part) = (unit / parts, unit % parts)
      let sum = partial + unit * shape.weightCount
      sum.update(repeating: 0, count: shape.weightCount)
      for t in (tiles * part / parts)..<(tiles * (part + 1) / parts) {
        let range = (t * tile)..<min((t + 1) * tile, positions)
        let column = columns + thread * Self.columnsCount(shape)
        Self.layOut(shape, x + clip * shape.inCount, range, into: column)
        multiply(
          dy + clip * shape.outCount + range.lowerBound, positions, false, column, range.count,
          true, into: sum, shape.inner, rows: shape.outChannels, columns: shape.inner,
          inner: range.count, adding: true)
      }
    }
    // Output by output, each the same sum from the first part to the last.
    let block = 4096
    pool.run((shape.weightCount + block - 1) / block) { b, _ in
      let start = b * block
      let count = min(block, shape.weightCount - start)
      (dw + start).update(repeating: 0, count: count)
      for unit in 0..<(clips * parts) {
        let sum = partial + unit * shape.weightCount + start
        map(sum, dw + start, into: dw + start, count) { $1 + $0 }
      }
    }
  }

  /// With one input channel there are few weights a position: form all products of dy and w, then
  /// let each input position collect its own. Work is cut by clip.
  private func gatherInputGradient(_ dy: Tensor, weight: Tensor, into dx: Tensor, scratch: Tensor) {
    let shape = self.shape
    let positions = shape.outF * shape.outT
    let (dy, dx, w, clips) = (dy.base, dx.base, weight.base, dy.shape[0])
    let scratch = scratch.base
    pool.run(clips) { clip, thread in
      let products = scratch + thread * shape.inner * positions
      multiply(
        w, shape.inner, true, dy + clip * shape.outCount, positions, false, into: products,
        positions, rows: shape.inner, columns: positions, inner: shape.outChannels, adding: false)
      let out = dx + clip * shape.inCount
      out.update(repeating: 0, count: shape.inCount)
      for f in 0..<shape.inF {
        for tap in 0..<(shape.kernelF * shape.kernelT) {
          let row = f + shape.padF - tap / shape.kernelT
          if row < 0 || row >= shape.outF { continue }
          // input frame t meets output frame t + shift
          let shift = shape.padT - tap % shape.kernelT
          let first = max(0, -shift)
          let count = min(shape.inT, shape.outT - shift) - first
          let to = out + f * shape.inT + first
          if count > 0 {
            map(products + tap * positions + row * shape.outT + first + shift, to, into: to, count)
            {
              $1 + $0
            }
          }
        }
      }
    }
  }

  // MARK: Tiles

  /// Output positions a tile: as many as let the columns fill a quarter of a megabyte, in whole
  /// vectors of OpenBLAS's kernels.
  private static func tile(_ shape: ConvolutionShape) -> Int {
    let fitting = 65_536 / max(shape.inner, 1) / 48 * 48
    return min(max(fitting, 48), max(shape.outF * shape.outT, 1))
  }

  private static func columnsCount(_ shape: ConvolutionShape) -> Int {
    shape.inner * tile(shape)
  }

  private static func convolve(
    _ shape: ConvolutionShape, _ x: Pointer, _ w: Pointer, bias: Pointer?, into y: Pointer,
    clips: Int, scratch: Pointer, _ pool: ThreadPool
  ) {
    let positions = shape.outF * shape.outT
    let tile = tile(shape)
    let tiles = (positions + tile - 1) / tile
    pool.run(clips * tiles) { unit, thread in
      let (clip, t) = (unit / tiles, unit % tiles)
      let range = (t * tile)..<min((t + 1) * tile, positions)
      let columns = scratch + thread * columnsCount(shape)
      layOut(shape, x + clip * shape.inCount, range, into: columns)
      let out = y + clip * shape.outCount + range.lowerBound
      if let bias {
        for o in 0..<shape.outChannels {
          (out + o * positions).update(repeating: bias[o], count: range.count)
        }
      }
      multiply(
        w, shape.inner, false, columns, range.count, false, into: out, positions,
        rows: shape.outChannels, columns: range.count, inner: shape.inner, adding: bias != nil)
    }
  }

  /// columns[channel, kf, kt][p] = the input that weight (channel, kf, kt) meets at position p.
  private static func layOut(
    _ shape: ConvolutionShape, _ x: Pointer, _ range: Range<Int>, into columns: Pointer
  ) {
    let rows = (range.lowerBound / shape.outT)...((range.upperBound - 1) / shape.outT)
    var to = columns
    for channel in 0..<shape.inChannels {
      let plane = x + channel * shape.inF * shape.inT
      for kf in 0..<shape.kernelF {
        for kt in 0..<shape.kernelT {
          for row in rows {
            // output frames start..<end of this row, and the input row they read
            let start = max(range.lowerBound - row * shape.outT, 0)
            let end = min(range.upperBound - row * shape.outT, shape.outT)
            let f = row + kf - shape.padF
            let shift = kt - shape.padT
            let inside = max(start, -shift)
            let outside = max(inside, min(end, shape.inT - shift))
            if f < 0 || f >= shape.inF || inside >= end {
              to.update(repeating: 0, count: end - start)
            } else {
              to.update(repeating: 0, count: inside - start)
              copyRow(
                plane + f * shape.inT + inside + shift, to + (inside - start), outside - inside)
              (to + (outside - start)).update(repeating: 0, count: end - outside)
            }
            to += end - start
          }
        }
      }
    }
  }

  @inline(__always) private static func copyRow(_ from: Pointer, _ to: Pointer, _ count: Int) {
    if count > 0 { memcpy(to, from, count * MemoryLayout<Float>.stride) }
  }
}
