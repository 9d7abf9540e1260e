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
    let affine = (slope: work.sums, offset: work.sums + g.stride)
    setAffine(affine, channels, gammaGradient.base, betaGradient.base)
    if g.forgetsRaw {
      planeGradients(x, weight: weight, saved, affine, work, into: dw, dx: dx)
      return
    }
    if dx != nil { packReversed(weight, work) }
    let (x, dw, dx) = (x.base, dw.base, dx?.base)
    runParts(work) { unit, sums, own in
      let clip = unit / g.windows
      gradients(
        g.window(unit % g.windows), clip: clip, x + clip * g.shape.inCount, saved, channels,
        affine, work, own, weightSums: sums, dx: dx.map { $0 + clip * g.shape.inCount })
    }
    pool.run(g.stride / 8) { vector, _ in
      g.convolution.unpackGradient(work.gradients, vector: vector, into: dw)
    }
  }

  /// Calls `body(unit, sums, windows)` for every window of every clip. The sums of the weights'
  /// gradient are formed in a fixed number of parts, whatever the threads; at last the first part
  /// holds all.
  func runParts(
    _ work: Workspace, _ body: (Int, Pointer, ThreadWindows) -> Void
  ) {
    let g = geometry
    let (units, parts, count) = (clips * g.windows, g.parts, g.convolution.gradientCount)
    pool.run(parts) { part, thread in
      let sums = work.gradients + part * count
      sums.update(repeating: 0, count: count)
      for unit in (units * part / parts)..<(units * (part + 1) / parts) {
        body(unit, sums, work.windows(thread))
      }
    }
    let block = 4096
    pool.run((count + block - 1) / block) { b, _ in
      let start = work.gradients + b * block
      let own = min(block, count - b * block)
      for part in 1..<max(parts, 1) {
        map(start + part * count, start, into: start, own) { $1 + $0 }
      }
    }
  }

  private func packReversed(_ weight: Tensor, _ work: Workspace) {
    let reversed = geometry.reversed
    let order = reversed.weightOrder(turned: true)
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
    let xRow = gatherInput(x, window, rows, columns, into: own.x)
    formGradient(haloed.bands, haloed.frames, clip: clip, saved, channels, affine, own.y)
    g.convolution.addWeightGradient(
      own.x, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns, into: weightSums,
      scratch: own.scratch)
    guard let dx else { return }
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
