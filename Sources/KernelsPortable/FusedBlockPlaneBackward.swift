import CVector
import Tensors

/// The backward pass of a fused block with one input channel and maximum pooling: the raw map is not
/// needed (see `PlaneMoments`), so only the chosen values' gradients meet the input.
extension FusedBlock {
  /// As `gradients` of a block that keeps its raw map.
  func planeGradients(
    _ x: Tensor, weight: Tensor, _ saved: Saved,
    _ affine: (slope: Pointer, offset: Pointer), _ work: Workspace, into dw: Tensor, dx: Tensor?
  ) {
    let g = geometry
    let s = g.shape
    let units = clips * g.windows
    let count = PlaneMoments.count(taps: g.taps)
    var stencil: PlaneStencil?
    if dx != nil {
      packTaps(weight, signs: nil, work)
      stencil = PlaneStencil(
        weight: weight.base, taps: g.taps, channels: g.channels, slope: affine.slope,
        offset: affine.offset, into: work.moments + units * count)
    }
    let (x, weight, dw, dx) = (x.base, weight.base, dw.base, dx?.base)
    runParts(work) { unit, sums, own in
      let clip = unit / g.windows
      let window = g.window(unit % g.windows)
      // As far as the gradient of x looks, whether it is asked for or not: so the bits are the same.
      let bands =
        (window.bands.lowerBound - s.kernelF + 1)..<(window.bands.upperBound + s.kernelF - 1)
      let frames =
        (window.frames.lowerBound - s.kernelT + 1)..<(window.frames.upperBound + s.kernelT - 1)
      gatherPlane(x + clip * s.inCount, bands, frames, into: own.x)
      let xRow = frames.count
      let inner = own.x + ((s.kernelF - 1 - s.padF) * xRow + s.kernelT - 1 - s.padT)
      PlaneMoments.measure(
        inner, xRow: xRow, rows: window.bands.count, columns: window.frames.count,
        kernelF: s.kernelF, kernelT: s.kernelT, into: work.moments + unit * count)
      addChosen(inner, xRow, window, clip: clip, saved, into: sums)
      guard let dx, let stencil else { return }
      let to = dx + clip * s.inCount
      collectChosen(window, clip: clip, saved, work, own, into: to)
      let origin = own.x - (bands.lowerBound * xRow + frames.lowerBound)
      add(stencil, origin, xRow, window, into: to)
    }
    let moments = PlaneMoments(taps: g.taps, windows: work.moments, units)
    for c in 0..<g.channels {
      let own = weight + c * g.taps
      for tap in 0..<g.taps {
        let chosen = work.gradients[(c / 8 * g.taps + tap) * 8 + c % 8]
        dw[c * g.taps + tap] = Float(
          Double(chosen)
            + moments.gradient(
              tap: tap, weight: own, slope: affine.slope[c], offset: affine.offset[c]))
      }
    }
  }

  // MARK: Weights

  /// sums[vector][tap][8] += what the chosen values of a window give.
  private func addChosen(
    _ x: Pointer, _ xRow: Int, _ window: BlockGeometry.Window, clip: Int, _ saved: Saved,
    into sums: Pointer
  ) {
    for vector in 0..<(geometry.stride / 8) {
      let own = Chosen(self, window, clip: clip, saved, vector: vector)
      let to = sums + vector * geometry.taps * 8
      switch planeSizes {
      case .narrow(let sizes): addChosen(own, x, xRow, sizes, to)
      case .square(let sizes): addChosen(own, x, xRow, sizes, to)
      case .wide(let sizes): addChosen(own, x, xRow, sizes, to)
      case .others(let sizes): addChosen(own, x, xRow, sizes, to)
      }
    }
  }

  /// A window's pooled values of one vector of channels.
  private struct Chosen {
    let gradients: Pointer
    let choices: UnsafeMutablePointer<UInt8>
    let rows, columns: Int
    let rowStep, columnStep: Int

    init(
      _ block: FusedBlock, _ window: BlockGeometry.Window, clip: Int, _ saved: Saved, vector: Int
    ) {
      let g = block.geometry
      let line = clip * g.outF + window.bands.lowerBound / g.poolF
      let first = (line * g.outT + window.frames.lowerBound / g.poolT) * g.stride + vector * 8
      gradients = saved.pooled + first
      choices = saved.choices + first
      (rows, columns) = (window.bands.count / g.poolF, window.frames.count / g.poolT)
      (rowStep, columnStep) = (g.outT * g.stride, g.stride)
    }
  }

  /// Nine taps at a time have their sums in registers, or four, or one.
  @inline(__always)
  private func addChosen<Sizes: PlaneSizes>(
    _ own: Chosen, _ x: Pointer, _ xRow: Int, _ sizes: Sizes, _ to: Pointer
  ) {
    let taps = sizes.kernelF &* sizes.kernelT
    var first = 0
    while first < taps {
      switch taps &- first {
      case 9...:
        addChosen(own, x, xRow, sizes, from: first, InlineArray<9, Vector>(repeating: .zero), to)
        first &+= 9
      case 4...:
        addChosen(own, x, xRow, sizes, from: first, InlineArray<4, Vector>(repeating: .zero), to)
        first &+= 4
      default:
        addChosen(own, x, xRow, sizes, from: first, InlineArray<1, Vector>(repeating: .zero), to)
        first &+= 1
      }
    }
  }

  @inline(__always)
  private func addChosen<Sizes: PlaneSizes, let count: Int>(
    _ own: Chosen, _ x: Pointer, _ xRow: Int, _ sizes: Sizes, from first: Int,
    _ zero: InlineArray<count, Vector>, _ to: Pointer
  ) {
    var sums = zero
    for row in 0..<own.rows {
      for column in 0..<own.columns {
        let at = row &* own.rowStep &+ column &* own.columnStep
        let gradient = Vector(loading: own.gradients, at)
        let choice = cv_load_bytes(own.choices + at)
        let corner = x + (row &* sizes.poolF &* xRow &+ column &* sizes.poolT)
        for i in 0..<sizes.poolF {
          for j in 0..<sizes.poolT {
            let chosen = cv_where_equal(
              choice, Int32(truncatingIfNeeded: i &* sizes.poolT &+ j), gradient)
            for k in 0..<count {
              let tap = first &+ k
              let place = (tap / sizes.kernelT &+ i) &* xRow &+ tap % sizes.kernelT &+ j
              sums[k] = sums[k].adding(splat(corner[place]), times: chosen)
            }
          }
        }
      }
    }
    for k in 0..<count {
      let at = (first &+ k) &* 8
      (Vector(loading: to, at) + sums[k]).store(to, at)
    }
  }
}
