import CVector
import Tensors

/// The backward pass of a fused block begins with the gradients of its normalization.
extension FusedBlock {
  /// First half: the gradients of γ and β, which are the sums of dz · x̂ and of dz; z is the
  /// normalized, scaled and shifted map before ELU. The pooled values become scale · dz.
  ///
  /// - Parameters:
  ///   - dy: gradient of the output; on return, of what went into dropout
  ///   - dropout: as in the forward pass
  func gradientSums(
    _ dy: Tensor, saved: Tensor, _ channels: NormalizedChannels, dropout: Dropout?,
    gammaGradient: Tensor, betaGradient: Tensor, scratch: Tensor
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
    _ dy: Pointer, _ pooled: Pointer, _ channels: NormalizedChannels, _ v: Int
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
    _ dy: Pointer, _ raw: Pointer, _ pooled: Pointer, _ channels: NormalizedChannels, _ v: Int
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
}

/// Eight channels of the normalization.
struct OneVector {
  let mean, inverse, scale, shift: Vector

  @inline(__always) init(_ channels: NormalizedChannels, _ v: Int, of count: Int) {
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
