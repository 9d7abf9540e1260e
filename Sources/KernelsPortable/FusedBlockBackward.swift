import CVector

/// The backward pass of a fused block.
extension FusedBlock {
  /// What the normalization knows of each channel.
  package struct Channels {
    let mean, inverseDeviation, scale, shift: Pointer

    /// - Parameters:
    ///   - mean: of the raw map, without the bias
    ///   - inverseDeviation: 1 / √(variance + ε)
    ///   - scale: γ · inverseDeviation
    ///   - shift: β − mean · scale
    package init(mean: Tensor, inverseDeviation: Tensor, scale: Tensor, shift: Tensor) {
      self.mean = mean.base
      self.inverseDeviation = inverseDeviation.base
      self.scale = scale.base
      self.shift = shift.base
    }
  }

  /// First half: the gradients of γ and β, which are the sums of dz · x̂ and of dz; z is the
  /// normalized, scaled and shifted map before ELU. The pooled values become scale · dz.
  ///
  /// - Parameters:
  ///   - dy: gradient of the output; on return, of what went into dropout
  ///   - dropout: as in the forward pass
  package func gradientSums(
    _ dy: Tensor, saved: Tensor, _ channels: Channels, dropout: Dropout?, gammaGradient: Tensor,
    betaGradient: Tensor, scratch: Tensor
  ) {
    let g = geometry
    let saved = self.saved(saved)
    let work = Workspace(scratch, g, clips: clips)
    let planes = dy.base
    pool.run(clips * g.outF) { unit, thread in
      let (clip, row) = (unit / g.outF, unit % g.outF)
      if let dropout {
        for c in 0..<g.channels {
          let first = ((clip * g.channels + c) * g.outF + row) * g.outT
          dropout.apply(to: planes + first, count: g.outT, firstIndex: first)
        }
      }
      let gradients = work.windows(thread).other
      ChannelLast.gather(
        planes + clip * g.channels * g.outF * g.outT, channels: g.channels, bands: g.outF,
        frames: g.outT, rows: row..<(row + 1), columns: 0..<g.outT, into: gradients)
      let sums = work.sums + unit * 2 * g.stride
      let at = unit * g.outT * g.stride
      for v in stride(from: 0, to: g.stride, by: 8) {
        let (sum, products) =
          g.averages
          ? averageGradients(
            gradients + v,
            saved.raw + (clip * g.shape.outF + row * g.poolF) * g.shape.outT * g.stride + v,
            saved.pooled + at + v, channels, v)
          : chosenGradients(
            gradients + v, saved.pooled + at + v, channels, v)
        sum.store(sums, v)
        products.store(sums, g.stride + v)
      }
    }
    for c in 0..<g.channels {
      var (sum, products) = (0.0, 0.0)
      for unit in 0..<(clips * g.outF) {
        sum += Double(work.sums[unit * 2 * g.stride + c])
        products += Double(work.sums[(unit * 2 + 1) * g.stride + c])
      }
      betaGradient.base[c] = Float(sum)
      gammaGradient.base[c] = Float(products)
    }
  }

  /// One row of one vector of channels.
  @inline(__always)
  private func chosenGradients(
    _ dy: Pointer, _ pooled: Pointer, _ channels: Channels, _ v: Int
  ) -> (sum: Vector, products: Vector) {
    let of = OneVector(channels, v, of: geometry.channels)
    var (sum, products) = (Vector.zero, Vector.zero)
    for column in 0..<geometry.outT {
      let at = column &* geometry.stride
      let value = Vector(loading: pooled, at)
      let dz = Vector(loading: dy, at) * of.slope(value)
      sum += dz
      products = products.adding(dz, times: of.normalized(value))
      (dz * of.scale).store(pooled, at)
    }
    return (sum, products)
  }

  /// One row of one vector of channels, where every value of a window has its share.
  @inline(__always)
  private func averageGradients(
    _ dy: Pointer, _ raw: Pointer, _ pooled: Pointer, _ channels: Channels, _ v: Int
  ) -> (sum: Vector, products: Vector) {
    let g = geometry
    let of = OneVector(channels, v, of: g.channels)
    let share = splat(1 / Float(g.poolF * g.poolT))
    var (sum, products) = (Vector.zero, Vector.zero)
    for column in 0..<g.outT {
      let at = column &* g.stride
      let part = Vector(loading: dy, at) * share
      for i in 0..<g.poolF {
        for j in 0..<g.poolT {
          let value = Vector(
            loading: raw, (i &* g.shape.outT &+ column &* g.poolT &+ j) &* g.stride)
          let dz = part * of.slope(value)
          sum += dz
          products = products.adding(dz, times: of.normalized(value))
        }
      }
      (part * of.scale).store(pooled, at)
    }
    return (sum, products)
  }

  /// Second half: the gradients of the weights and of x.
  ///
  /// d raw = γ/σ · (dz − mean(dz) − x̂ · mean(dz · x̂)), with dz as `gradientSums` left it.
  ///
  /// - Parameter dx: receives `[N, inChannels, F, T]`, if anybody needs it
  package func gradients(
    _ x: Tensor, weight: Tensor, saved: Tensor, _ channels: Channels, gammaGradient: Tensor,
    betaGradient: Tensor, into dw: Tensor, dx: Tensor?, scratch: Tensor
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
    _ affine: (slope: Pointer, offset: Pointer), _ channels: Channels, _ productSum: Pointer,
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
    _ window: BlockGeometry.Window, clip: Int, _ x: Pointer, _ saved: Saved, _ channels: Channels,
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

  /// Forms the gradient of a window of the raw map; outside the map it is zero.
  ///
  /// - Parameter to: receives `[bands, frames, stride]`; holds the raw map's window, if none is kept
  private func formGradient(
    _ bands: Range<Int>, _ frames: Range<Int>, clip: Int, _ saved: Saved, _ channels: Channels,
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
    _ to: Pointer, clip: Int, band: Int, _ firstFrame: Int, _ saved: Saved, _ channels: Channels
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

/// Eight channels of the normalization.
private struct OneVector {
  let mean, inverse, scale, shift: Vector

  @inline(__always) init(_ channels: FusedBlock.Channels, _ v: Int, of count: Int) {
    let n = min(8, count &- v)
    mean = Vector(loading: channels.mean, v, first: n)
    inverse = Vector(loading: channels.inverseDeviation, v, first: n)
    scale = Vector(loading: channels.scale, v, first: n)
    shift = Vector(loading: channels.shift, v, first: n)
  }

  @inline(__always) func normalized(_ raw: Vector) -> Vector { (raw - mean) * inverse }

  /// The slope of ELU where a raw value leads.
  @inline(__always) func slope(_ raw: Vector) -> Vector {
    let z = shift.adding(scale, times: raw)
    return cv_select_greater(z, .zero, splat(1), Mathematics.exp(z))
  }
}
