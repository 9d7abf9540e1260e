import CVector
import Foundation

/// What follows the sums of a convolution block: normalization, ELU, pooling and dropout of a raw map.
///
/// ELU after an affine map is monotonic, so the maximum of a window of activations is the
/// activation of the window's largest raw value (smallest, where the scale is negative). The pool
/// is taken first, on the raw map, and only its choices are normalized and activated: a quarter to a
/// twentieth of the map. A byte a window remembers the choice; dropped windows are marked there too.
///
/// Planes (one channel of one clip) are the unit of work, channels for sums.
package struct ChannelBlock {
  /// Raw map `[N, channels, F, T]`, windows `poolF × poolT`; what does not fill a window is left out.
  package let channels, bands, frames, poolF, poolT: Int
  package let averages: Bool
  private let pool: ThreadPool

  private static let dropped: UInt8 = 255

  package init(
    channels: Int, bands: Int, frames: Int, poolF: Int, poolT: Int, averages: Bool, pool: ThreadPool
  ) {
    precondition(poolF * poolT <= 255, "ChannelBlock: a window of \(poolF) × \(poolT)")
    self.channels = channels
    self.bands = bands
    self.frames = frames
    self.poolF = poolF
    self.poolT = poolT
    self.averages = averages
    self.pool = pool
  }

  private var outF: Int { bands / poolF }
  private var outT: Int { frames / poolT }
  private var windows: Int { outF * outT }

  /// Floats that hold a byte for each window of `clips` clips.
  package static func choiceCount(windows: Int, clips: Int) -> Int { (windows * clips + 3) / 4 }

  /// y = dropout(pool(elu(scale · raw + shift))).
  ///
  /// - Parameters:
  ///   - scale, shift: `[channels]`
  ///   - choices: receives a byte a window (see `choiceCount`)
  ///   - dropout: nil keeps everything
  ///   - y: receives `[N, channels, bands / poolF, frames / poolT]`
  package func forward(
    _ raw: Tensor, scale: Tensor, shift: Tensor, choices: Tensor, dropout: Dropout?, into y: Tensor
  ) {
    let (x, y, scale, shift) = (raw.base, y.base, scale.base, shift.base)
    let bytes = UnsafeMutableRawPointer(choices.base).assumingMemoryBound(to: UInt8.self)
    let windows = self.windows
    pool.run(raw.shape[0] * channels) { plane, _ in
      let c = plane % channels
      let (from, to, chosen) = (
        x + plane * bands * frames, y + plane * windows, bytes + plane * windows
      )
      if averages {
        average(from, scale[c], shift[c], into: to)
        chosen.update(repeating: 0, count: windows)
      } else {
        choose(from, largest: scale[c] >= 0, into: to, chosen)
        let (a, b) = (splat(scale[c]), splat(shift[c]))
        map(to, into: to, windows) { Mathematics.elu(b.adding(a, times: $0)) }
      }
      dropout?.apply(to: to, count: windows, firstIndex: plane * windows) {
        chosen[$0] = Self.dropped
      }
    }
  }

  /// Writes the sums of dz and of dz · x̂ for each channel, the gradients of β and γ; z is the normalized, scaled and shifted map before ELU.
  ///
  /// - Parameters:
  ///   - dy: gradient of the output; the dropped are taken as zero, the kept scaled by `keepScale`;
  ///     on return it holds dz for each window (maximum pooling only)
  ///   - inverseDeviation: 1 / √(variance + ε), `[channels]`
  package func gradientSums(
    _ dy: Tensor, raw: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, inverseDeviation: Tensor,
    choices: Tensor, keepScale: Float, gammaGradient: Tensor, betaGradient: Tensor
  ) {
    let (x, dy, mean, inverse) = (raw.base, dy.base, mean.base, inverseDeviation.base)
    let (scale, shift) = (scale.base, shift.base)
    let (dGamma, dBeta) = (gammaGradient.base, betaGradient.base)
    let bytes = UnsafeMutableRawPointer(choices.base).assumingMemoryBound(to: UInt8.self)
    let (clips, windows) = (raw.shape[0], self.windows)
    pool.run(channels) { c, _ in
      var sums = (Double.zero, Double.zero)
      for n in 0..<clips {
        let plane = n * channels + c
        let (from, gradient) = (x + plane * bands * frames, dy + plane * windows)
        let chosen = bytes + plane * windows
        for w in 0..<windows where chosen[w] == Self.dropped { gradient[w] = 0 }
        map(gradient, into: gradient, windows) { $0 * splat(keepScale) }
        var planeSums = (Double.zero, Double.zero)
        forWindowGradients(from, gradient, chosen, scale[c], shift[c]) { at, _, dz in
          planeSums.0 += Double(dz)
          planeSums.1 += Double(dz * ((from[at] - mean[c]) * inverse[c]))
        }
        sums.0 += planeSums.0
        sums.1 += planeSums.1
      }
      dBeta[c] = Float(sums.0)
      dGamma[c] = Float(sums.1)
    }
  }

  /// Turns the raw map into its gradient, in place.
  ///
  /// d raw = γ/σ · (dz − mean(dz) − x̂ · mean(dz · x̂)): a dense affine map of the raw values, and dz
  /// where a window chose.
  ///
  /// - Parameters:
  ///   - dz: as `gradientSums` left it
  ///   - gammaGradient, betaGradient: likewise
  package func rawGradient(
    inPlaceOf raw: Tensor, dz: Tensor, scale: Tensor, shift: Tensor, mean: Tensor,
    inverseDeviation: Tensor, choices: Tensor, gammaGradient: Tensor, betaGradient: Tensor
  ) {
    let (x, dz, mean, inverse) = (raw.base, dz.base, mean.base, inverseDeviation.base)
    let (scale, shift) = (scale.base, shift.base)
    let (productSum, sum) = (gammaGradient.base, betaGradient.base)
    let bytes = UnsafeMutableRawPointer(choices.base).assumingMemoryBound(to: UInt8.self)
    let (clips, windows) = (raw.shape[0], self.windows)
    let count = Float(clips * bands * frames)
    pool.run(clips * channels) { plane, _ in
      let c = plane % channels
      let slope = -(scale[c] * inverse[c] * productSum[c] / count)
      let offset = -(scale[c] * sum[c] / count) - slope * mean[c]
      let at = x + plane * bands * frames
      let (gradient, chosen) = (dz + plane * windows, bytes + plane * windows)
      if averages {
        averageGradient(at, gradient, scale[c], shift[c], slope: slope, offset: offset)
      } else {
        map(at, into: at, bands * frames) { splat(offset).adding(splat(slope), times: $0) }
        forEachWindow { w, start in
          if chosen[w] != Self.dropped {
            let choice = Int(chosen[w])
            at[start + choice / poolT * frames + choice % poolT] += scale[c] * gradient[w]
          }
        }
      }
    }
  }

  // MARK: One plane

  /// Calls `body(window, position of its first value)`, windows in order.
  @inline(__always) private func forEachWindow(_ body: (Int, Int) -> Void) {
    var w = 0
    for f in 0..<outF {
      var start = f * poolF * frames
      for _ in 0..<outT {
        body(w, start)
        w &+= 1
        start &+= poolT
      }
    }
  }

  /// The largest or smallest value of each window, and which it was; the first among equals. NaN wins
  /// over whatever comes before or after it, so that it is seen downstream.
  ///
  /// Eight windows at a time: first down the columns, in vectors, then along each window.
  private func choose(
    _ x: Pointer, largest: Bool, into y: Pointer, _ chosen: UnsafeMutablePointer<UInt8>
  ) {
    let sign: Float = largest ? 1 : -1
    let block = 8 * poolT
    withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { tops in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: block) { rows in
        guard let top = tops.baseAddress, let row = rows.baseAddress else { return }
        for f in 0..<outF {
          for first in stride(from: 0, to: outT, by: 8) {
            let count = min(8, outT - first)
            descend(x + f * poolF * frames + first * poolT, count * poolT, sign, top, row)
            for w in 0..<count {
              let (best, choice) = along(top + w * poolT, row + w * poolT)
              y[f * outT + first + w] = best * sign
              chosen[f * outT + first + w] = UInt8(truncatingIfNeeded: choice)
            }
          }
        }
      }
    }
  }

  /// The best of each column's `poolF` values, times `sign`, and its row.
  @inline(__always) private func descend(
    _ x: Pointer, _ columns: Int, _ sign: Float, _ top: Pointer,
    _ row: UnsafeMutablePointer<Int32>
  ) {
    var t = 0
    while t &+ 8 <= columns {
      var best = Vector(loading: x, t) * splat(sign)
      var rows = Integers.zero
      for i in 1..<max(poolF, 1) {
        let value = Vector(loading: x, t &+ i &* frames) * splat(sign)
        let better = (value .> best) .| (value .!= value)
        best.replace(with: value, where: better)
        rows.replace(with: Int32(truncatingIfNeeded: i), where: better)
      }
      best.store(top, t)
      UnsafeMutableRawPointer(row + t).storeBytes(of: rows, as: Integers.self)
      t &+= 8
    }
    while t < columns {
      (top[t], row[t]) = (x[t] * sign, 0)
      for i in 1..<max(poolF, 1) {
        let value = x[t &+ i &* frames] * sign
        if value > top[t] || value != value { (top[t], row[t]) = (value, Int32(i)) }
      }
      t &+= 1
    }
  }

  /// The best of a window's columns, and its place in the window: the first among equals, row by row.
  @inline(__always) private func along(
    _ top: Pointer, _ row: UnsafeMutablePointer<Int32>
  ) -> (Float, Int) {
    var best = top[0]
    var choice = Int(row[0]) &* poolT
    for j in 1..<max(poolT, 1) {
      let value = top[j]
      let place = Int(row[j]) &* poolT &+ j
      let better = value > best || value != value || (value == best && place < choice)
      best = better ? value : best
      choice = better ? place : choice
    }
    return (best, choice)
  }

  private func average(_ x: Pointer, _ scale: Float, _ shift: Float, into y: Pointer) {
    let share = 1 / Float(poolF * poolT)
    forEachWindow { w, start in
      var sum: Float = 0
      for i in 0..<poolF {
        for j in 0..<poolT { sum += elu(shift + scale * x[start + i * frames + j]) }
      }
      y[w] = sum * share
    }
  }

  /// Calls `body(position, window, dz)` wherever dz is not zero by construction; for maximum pooling
  /// leaves dz in `gradient`.
  @inline(__always) private func forWindowGradients(
    _ x: Pointer, _ gradient: Pointer, _ chosen: UnsafeMutablePointer<UInt8>, _ scale: Float,
    _ shift: Float, _ body: (Int, Int, Float) -> Void
  ) {
    let share = 1 / Float(poolF * poolT)
    forEachWindow { w, start in
      if averages {
        for i in 0..<poolF {
          for j in 0..<poolT {
            let at = start + i * frames + j
            body(at, w, gradient[w] * share * eluSlope(shift + scale * x[at]))
          }
        }
      } else if chosen[w] != Self.dropped {
        let choice = Int(chosen[w])
        let at = start + choice / poolT * frames + choice % poolT
        gradient[w] *= eluSlope(shift + scale * x[at])
        body(at, w, gradient[w])
      }
    }
  }

  private func averageGradient(
    _ x: Pointer, _ gradient: Pointer, _ scale: Float, _ shift: Float, slope: Float, offset: Float
  ) {
    let share = 1 / Float(poolF * poolT)
    for f in 0..<bands {
      for t in 0..<frames {
        let at = f * frames + t
        var dense = offset + slope * x[at]
        if f < outF * poolF && t < outT * poolT {
          let w = f / poolF * outT + t / poolT
          dense += scale * (gradient[w] * share * eluSlope(shift + scale * x[at]))
        }
        x[at] = dense
      }
    }
  }

  @inline(__always) private func elu(_ z: Float) -> Float { Mathematics.elu(splat(z))[0] }
  @inline(__always) private func eluSlope(_ z: Float) -> Float {
    z > 0 ? 1 : Mathematics.exp(splat(z))[0]
  }
}
