import Tensors

/// The backward pass of a fused block: the gradients of the weights and of the input, which need the
/// gradient of the raw map.
extension FusedBlock {
  /// Second half: the gradients of the weights and of x.
  ///
  /// d raw = γ/σ · (dz − mean(dz) − x̂ · mean(dz · x̂)), with dz as `gradientSums` left it.
  ///
  /// - Parameter dx: receives `[N, inChannels, F, T]`, if anybody needs it
  func gradients(
    _ x: Tensor, weight: Tensor, saved: Tensor, _ channels: NormalizedChannels,
    gammaGradient: Tensor, betaGradient: Tensor, into dw: Tensor, dx: Tensor?, scratch: Tensor
  ) {
    let g = geometry
    let saved = self.saved(saved)
    let work = Workspace(scratch, g, clips: clips)
    if !g.keepsRaw { pack(weight, work) }
    if dx != nil { packReversed(weight, work) }
    let affine = (slope: work.sums, offset: work.sums + g.stride)
    setAffine(affine, channels, gammaGradient.base, betaGradient.base)
    let (x, dw, dx) = (x.base, dw.base, dx?.base)
    let units = clips * g.windows
    let parts = g.parts
    pool.run(parts) { part, thread in
      let sums = work.gradients + part * g.convolution.gradientCount
      sums.update(repeating: 0, count: g.convolution.gradientCount)
      let own = work.windows(thread)
      for unit in (units * part / parts)..<(units * (part + 1) / parts) {
        let clip = unit / g.windows
        gradients(
          g.window(unit % g.windows), clip: clip, x + clip * g.shape.inCount, saved, channels,
          affine, work, own, weightSums: sums, dx: dx.map { $0 + clip * g.shape.inCount })
      }
    }
    let block = 4096
    let count = g.convolution.gradientCount
    pool.run((count + block - 1) / block) { b, _ in
      let start = work.gradients + b * block
      let own = min(block, count - b * block)
      for part in 1..<max(parts, 1) {
        map(start + part * count, start, into: start, own) { $1 + $0 }
      }
    }
    pool.run(g.stride / 8) { vector, _ in
      g.convolution.unpackGradient(work.gradients, vector: vector, into: dw)
    }
  }

  private func packReversed(_ weight: Tensor, _ work: Workspace) {
    let reversed = geometry.reversed
    let order =
      geometry.lowering == .patches
      ? WindowConvolution.WeightOrder(
        outputStep: 1, inputStep: reversed.outChannels, turned: false)
      : reversed.weightOrder(turned: true)
    let weight = weight.base
    pool.run(reversed.outStride / 8) { vector, _ in
      reversed.pack(weight, order, vector: vector, into: work.reversed)
    }
  }

  /// d raw = slope · raw + offset, apart from what the chosen values add.
  private func setAffine(
    _ affine: (slope: Pointer, offset: Pointer), _ channels: NormalizedChannels,
    _ productSum: Pointer,
    _ sum: Pointer
  ) {
    let g = geometry
    let count = Float(clips * g.shape.outF * g.shape.outT)
    affine.slope.update(repeating: 0, count: 2 * g.stride)
    for c in 0..<g.channels {
      let slope = -(channels.scale[c] * channels.inverseDeviation[c] * productSum[c] / count)
      affine.slope[c] = slope
      affine.offset[c] = -(channels.scale[c] * sum[c] / count) - slope * channels.mean[c]
    }
  }

  /// One window's part of both gradients.
  private func gradients(
    _ window: BlockGeometry.Window, clip: Int, _ x: Pointer, _ saved: Saved,
    _ channels: NormalizedChannels,
    _ affine: (slope: Pointer, offset: Pointer), _ work: Workspace,
    _ own: ThreadWindows, weightSums: Pointer,
    dx: Pointer?
  ) {
    let g = geometry
    let s = g.shape
    let (rows, columns) = g.computed(window)
    // The gradient of x needs a halo of the raw map's gradient.
    let halo = dx == nil ? (f: 0, t: 0) : (f: s.kernelF - 1, t: s.kernelT - 1)
    let before = dx == nil ? (f: 0, t: 0) : (f: s.kernelF - 1 - s.padF, t: s.kernelT - 1 - s.padT)
    let (f, t) = (window.bands.lowerBound - before.f, window.frames.lowerBound - before.t)
    let haloed = (bands: f..<(f + rows + halo.f), frames: t..<(t + columns + halo.t))
    let dyRow = haloed.frames.count * g.stride
    let dy = own.y + before.f * dyRow + before.t * g.stride
    var inner = own.x
    let xRow: Int
    if g.keepsRaw {
      xRow = gatherInput(x, window, rows, columns, into: own.x)
    } else {
      let around = BlockGeometry.Window(bands: haloed.bands, frames: haloed.frames)
      xRow = gatherInput(x, around, haloed.bands.count, haloed.frames.count, into: own.x)
      inner += before.f * xRow + before.t * g.convolution.inStride
      g.convolution.forward(
        own.x, xRow: xRow, packed: work.packed, rows: haloed.bands.count,
        columns: haloed.frames.count, into: own.y, yRow: dyRow, scratch: own.scratch)
    }
    formGradient(haloed.bands, haloed.frames, clip: clip, saved, channels, affine, own.y)
    g.convolution.addWeightGradient(
      inner, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns, into: weightSums,
      scratch: own.scratch)
    guard let dx else { return }
    if g.lowering == .patches {
      let row = haloed.frames.count * g.reversed.outStride
      g.reversed.forward(
        own.y, xRow: dyRow, packed: work.reversed, rows: haloed.bands.count,
        columns: haloed.frames.count, into: own.other, yRow: row, scratch: own.scratch)
      collect(own.other, row, window, into: dx)
    } else {
      let row = columns * g.reversed.outStride
      g.reversed.forward(
        own.y, xRow: dyRow, packed: work.reversed, rows: rows, columns: columns, into: own.other,
        yRow: row, scratch: own.scratch)
      for (place, band) in window.bands.enumerated() {
        for v in stride(from: 0, to: s.inChannels, by: 8) {
          ChannelLast.scatter(
            own.other + place * row + v, stride: g.reversed.outStride, window.frames.count,
            channels: min(8, s.inChannels - v),
            into: dx + (v * s.inF + band) * s.inT + window.frames.lowerBound, step: s.inF * s.inT)
        }
      }
    }
  }

  /// dx of one input channel: each position collects the products of the taps that met it.
  private func collect(
    _ products: Pointer, _ row: Int, _ window: BlockGeometry.Window, into dx: Pointer
  ) {
    let s = geometry.shape
    let step = geometry.reversed.outStride
    for (place, band) in window.bands.enumerated() {
      let to = dx + band * s.inT + window.frames.lowerBound
      for column in 0..<window.frames.count {
        var sum: Float = 0
        for kf in 0..<s.kernelF {
          for kt in 0..<s.kernelT {
            let at =
              (place &+ s.kernelF &- 1 &- kf) &* row
              &+ (column &+ s.kernelT &- 1 &- kt) &* step
            sum += products[at &+ kf &* s.kernelT &+ kt]
          }
        }
        to[column] = sum
      }
    }
  }
}
