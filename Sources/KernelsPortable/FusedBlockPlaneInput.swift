import CVector
import Tensors

/// The gradient of the input of a fused block with one input channel and maximum pooling: what the
/// chosen values give, and a stencil over the input itself (see `PlaneMoments`).
extension FusedBlock {
  /// dx = what the chosen values give.
  func collectChosen(
    _ window: BlockGeometry.Window, clip: Int, _ saved: Saved, _ work: Workspace,
    _ own: ThreadWindows, into dx: Pointer
  ) {
    let (g, s) = (geometry, geometry.shape)
    // All pools from which a tap may reach the window, and all that their taps reach.
    func pools(_ range: Range<Int>, kernel: Int, pad: Int, pool: Int, _ count: Int) -> Range<Int> {
      let first = max(range.lowerBound - (kernel - 1 - pad), 0) / pool
      return min(first, count)..<min((range.upperBound + pad + pool - 1) / pool, count)
    }
    let rows = pools(window.bands, kernel: s.kernelF, pad: s.padF, pool: g.poolF, g.outF)
    let columns = pools(window.frames, kernel: s.kernelT, pad: s.padT, pool: g.poolT, g.outT)
    let products = TapProducts(
      own.other, columns: columns.count * g.poolT, taps: g.taps,
      band: rows.lowerBound * g.poolF, frame: columns.lowerBound * g.poolT)
    for row in rows {
      for column in columns {
        let at = ((clip * g.outF + row) * g.outT + column) * g.stride
        let corner = products.place(row * g.poolF, column * g.poolT)
        switch planeSizes {
        case .narrow(let sizes): multiply(saved, at, work.packed, corner, products, sizes)
        case .square(let sizes): multiply(saved, at, work.packed, corner, products, sizes)
        case .wide(let sizes): multiply(saved, at, work.packed, corner, products, sizes)
        case .others(let sizes): multiply(saved, at, work.packed, corner, products, sizes)
        }
      }
    }
    let bands = (rows.lowerBound * g.poolF)..<(rows.upperBound * g.poolF)
    let frames = (columns.lowerBound * g.poolT)..<(columns.upperBound * g.poolT)
    for band in window.bands {
      let to = dx + band * s.inT
      to.advanced(by: window.frames.lowerBound).update(repeating: 0, count: window.frames.count)
      for tap in 0..<g.taps {
        // Output q meets this band and frame with this tap.
        let q = (f: band + s.padF - tap / s.kernelT, t: s.padT - tap % s.kernelT)
        guard bands.contains(q.f) else { continue }
        let met = (frames.lowerBound - q.t..<frames.upperBound - q.t).clamped(to: window.frames)
        guard !met.isEmpty else { continue }
        var from = products.place(q.f, met.lowerBound + q.t) + tap
        for frame in met {
          to[frame] += from.pointee
          from += products.step
        }
      }
    }
  }

  /// Room for one product of each tap in every position of some pools.
  private struct TapProducts {
    let step, row: Int
    private let origin: Pointer

    init(_ base: Pointer, columns: Int, taps: Int, band: Int, frame: Int) {
      step = ChannelLast.stride(taps)
      row = columns * step
      origin = base - (band * row + frame * step)
    }

    func place(_ band: Int, _ frame: Int) -> Pointer { origin + (band * row + frame * step) }
  }

  /// What one pool's chosen values of all channels give for each place and tap.
  @inline(__always)
  private func multiply<Sizes: PlaneSizes>(
    _ saved: Saved, _ at: Int, _ weights: Pointer, _ corner: Pointer, _ products: TapProducts,
    _ sizes: Sizes
  ) {
    let taps = sizes.kernelF &* sizes.kernelT
    for i in 0..<sizes.poolF {
      for j in 0..<sizes.poolT {
        let place = Int32(truncatingIfNeeded: i &* sizes.poolT &+ j)
        let to = corner + (i &* products.row &+ j &* products.step)
        var first = 0
        while first &+ 9 <= taps {
          let sums = sum(InlineArray<9, Vector>(repeating: .zero), saved, at, place, weights, first)
          cv_totals(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7])
            .store(to, first)
          to[first &+ 8] = sums[8].total
          first &+= 9
        }
        while first < taps {
          let sums = sum(InlineArray<1, Vector>(repeating: .zero), saved, at, place, weights, first)
          to[first] = sums[0].total
          first &+= 1
        }
      }
    }
  }

  /// Products of some taps with a place's chosen values, summed over the vectors of channels.
  @inline(__always)
  private func sum<let count: Int>(
    _ zero: InlineArray<count, Vector>, _ saved: Saved, _ at: Int, _ place: Int32,
    _ weights: Pointer, _ first: Int
  ) -> InlineArray<count, Vector> {
    var sums = zero
    for vector in 0..<(geometry.stride / 8) {
      let v = at &+ vector &* 8
      let chosen = cv_where_equal(
        cv_load_bytes(saved.choices + v), place, Vector(loading: saved.pooled, v))
      let from = weights + (vector &* geometry.taps &+ first) &* 8
      for k in 0..<count {
        sums[k] = sums[k].adding(Vector(loading: from, k &* 8), times: chosen)
      }
    }
    return sums
  }

  /// dx += the stencil over x.
  ///
  /// - Parameter x: where band 0, frame 0 would lie
  func add(
    _ stencil: PlaneStencil, _ x: Pointer, _ xRow: Int, _ window: BlockGeometry.Window,
    into dx: Pointer
  ) {
    let s = geometry.shape
    let taps = geometry.taps
    for tap in 0..<taps {
      // Output q meets x[q + shift] with this tap: q lies in the map, and x in the window.
      let shift = (f: tap / s.kernelT - s.padF, t: tap % s.kernelT - s.padT)
      let bands = (window.bands.lowerBound - shift.f..<window.bands.upperBound - shift.f)
        .clamped(to: 0..<s.outF)
      let frames = (window.frames.lowerBound - shift.t..<window.frames.upperBound - shift.t)
        .clamped(to: 0..<s.outT)
      let factors = stencil.values + tap * taps
      let always = splat(stencil.values[taps * taps + tap])
      for band in bands {
        let from = x + ((band - s.padF) * xRow + frames.lowerBound - s.padT)
        let to = dx + (band + shift.f) * s.inT + frames.lowerBound + shift.t
        @inline(__always) func value(_ load: (Int) -> Vector) -> Vector {
          var sum = always
          for i in 0..<s.kernelF {
            for j in 0..<s.kernelT {
              sum = sum.adding(
                splat(factors[i &* s.kernelT &+ j]), times: load(i &* xRow &+ j))
            }
          }
          return sum
        }
        forVectors(frames.count) { t in
          (Vector(loading: to, t) + value { Vector(loading: from, $0 &+ t) }).store(to, t)
        } ragged: { t, n in
          let sum = value { Vector(loading: from, $0 &+ t, first: n) }
          (Vector(loading: to, t, first: n) + sum).store(to, t, first: n)
        }
      }
    }
  }
}
