import Tensors

/// Convolution (cross-correlation, stride one) of one window of a map in channel-last order, small
/// enough for the second-level cache; everything is a `PanelProduct`.
///
/// - `direct`: an output row is a product of the input's rows, shifted by each tap, with the taps'
///   weights.
/// - `winograd` (3×3): tiles of 4×4 outputs, 36 products a tile instead of 144.
///
/// The window's input is its own output's extent and a halo of `kernel − 1`. Weights are packed once
/// a pass: by panels of outputs, then taps (or Winograd's points), then inputs.
struct WindowConvolution {
  enum Method: Sendable { case direct, winograd }

  let method: Method
  let inChannels, outChannels: Int
  let kernelF, kernelT: Int
  /// Floats from one input position to the next; at least the channels.
  let inStride: Int

  var outStride: Int { ChannelLast.stride(outChannels) }
  var outVectors: Int { outStride / 8 }
  private var taps: Int { kernelF * kernelT }
  /// Outputs are computed in multiples of it, in both directions.
  var granularity: Int { method == .winograd ? Winograd.outputs : 1 }
  /// Products of one output value that lie side by side in the input.
  private var segment: Int { inStride == inChannels ? kernelT * inChannels : inChannels }
  private var segments: Int { taps * inChannels / segment }

  init(
    inChannels: Int, outChannels: Int, kernelF: Int, kernelT: Int, inStride: Int? = nil
  ) {
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.kernelF = kernelF
    self.kernelT = kernelT
    self.inStride = inStride ?? ChannelLast.stride(inChannels)
    // Below, transforms cost more than they save.
    let worthwhile = inChannels >= 8 && outChannels >= 8
    method = kernelF == 3 && kernelT == 3 && worthwhile ? .winograd : .direct
  }

  /// Floats that kernels read or write beyond a window's last position.
  var inSlack: Int { 16 * inStride }
  var outSlack: Int { 16 * outStride }

  // MARK: Weights

  private var blocks: Int { method == .winograd ? Winograd.points : segments }
  private var blockRows: Int { method == .winograd ? inChannels : segment }
  /// Rows of a block of the weights' gradient, with room for a panel's slack.
  var gradientRows: Int { (blockRows + 11) / 12 * 12 }

  var packedCount: Int { blocks * blockRows * outStride }
  var gradientCount: Int { blocks * gradientRows * outStride }

  /// How a weight tensor is read: `[outer, inner, kernelF, kernelT]`, or turned by half a turn and
  /// with its channels exchanged, as the gradient of the input needs it.
  struct WeightOrder {
    let outputStep, inputStep: Int
    let turned: Bool
  }

  func weightOrder(turned: Bool = false) -> WeightOrder {
    turned
      ? WeightOrder(outputStep: taps, inputStep: outChannels * taps, turned: true)
      : WeightOrder(outputStep: inChannels * taps, inputStep: taps, turned: false)
  }

  /// Packs the weights of vector `vector` of outputs: a unit of work.
  func pack(
    _ weight: Pointer, _ order: WeightOrder, vector: Int, into packed: Pointer
  ) {
    let lanes = min(8, outChannels - vector * 8)
    withScratch { scratch, nine in
      for i in 0..<inChannels {
        for tap in 0..<taps {
          let from = order.turned ? taps - 1 - tap : tap
          var values = Vector.zero
          for lane in 0..<lanes {
            values[lane] =
              weight[(vector * 8 + lane) * order.outputStep + i * order.inputStep + from]
          }
          values.store(nine, tap * 8)
        }
        let (at, step) = place(vector, rows: blockRows, input: i)
        if method == .winograd {
          Winograd.transformWeight(nine, into: packed + at, point: step, scratch: scratch)
        } else {
          for tap in 0..<taps { Vector(loading: nine, tap * 8).store(packed, at + tap * step) }
        }
      }
    }
  }

  /// Where input `i` of a vector of outputs stands in the first block or tap, and the floats from
  /// there to the next.
  private func place(_ vector: Int, rows: Int, input i: Int) -> (at: Int, step: Int) {
    var result = (0, 0)
    PanelProduct.forEachPanel(outVectors) { start, width in
      guard vector >= start, vector < start + width else { return }
      let first = start * 8 * blocks * rows + (vector - start) * 8 + i * width * 8
      let perTap = method == .winograd || segment == inChannels ? rows : inChannels
      result = (first, perTap * width * 8)
    }
    return result
  }

  /// Turns the summed gradient of vector `vector` of outputs back into `[outer, inner, taps]`.
  func unpackGradient(_ packed: Pointer, vector: Int, into dw: Pointer) {
    let lanes = min(8, outChannels - vector * 8)
    let order = weightOrder()
    withScratch { scratch, nine in
      for i in 0..<inChannels {
        if method == .winograd {
          let (at, step) = place(vector, rows: gradientRows, input: i)
          Winograd.transformWeightGradient(packed + at, point: step, into: nine, scratch: scratch)
        } else {
          for tap in 0..<taps {
            let (block, row) = (tap * inChannels + i).quotientAndRemainder(dividingBy: segment)
            let (at, _) = place(vector, rows: gradientRows, input: row)
            let width = panelWidth(vector)
            Vector(loading: packed, at + block * gradientRows * width * 8).store(nine, tap * 8)
          }
        }
        for lane in 0..<lanes {
          let to = dw + (vector * 8 + lane) * order.outputStep + i * order.inputStep
          for tap in 0..<taps { to[tap] = nine[tap * 8 + lane] }
        }
      }
    }
  }

  private func panelWidth(_ vector: Int) -> Int {
    var result = 1
    PanelProduct.forEachPanel(outVectors) { start, width in
      if vector >= start, vector < start + width { result = width }
    }
    return result
  }

  private func withScratch(_ body: (_ scratch: Pointer, _ taps: Pointer) -> Void) {
    let tapFloats = taps * 8
    withUnsafeTemporaryAllocation(
      byteCount: (Winograd.scratchCount + tapFloats) * MemoryLayout<Float>.stride, alignment: 32
    ) { raw in
      let base = raw.bindMemory(to: Float.self).baseAddress!
      body(base, base + Winograd.scratchCount)
    }
  }

  // MARK: Passes over a window

  /// Floats of scratch for windows of up to `rows` × `columns` outputs.
  func scratchCount(rows: Int, columns: Int) -> Int {
    guard method == .winograd else { return 0 }
    let tiles = Self.tiles(rows) * Self.tiles(columns)
    return Winograd.scratchCount + Winograd.points * (inPoint(tiles) + outPoint(tiles))
  }

  private static func tiles(_ outputs: Int) -> Int {
    (outputs + Winograd.outputs - 1) / Winograd.outputs
  }
  /// Floats from one point's tiles to the next's: an odd number of cache lines apart, so that the 36
  /// do not meet in one set of the cache.
  func inPoint(_ tiles: Int) -> Int { ((tiles + 6) * inStride + 15) / 16 / 2 * 32 + 16 }
  func outPoint(_ tiles: Int) -> Int { ((tiles + 6) * outStride + 15) / 16 / 2 * 32 + 16 }

  /// y = w ∗ x.
  ///
  /// - Parameters:
  ///   - x: the window with its halo; rows are `xRow` floats apart
  ///   - rows, columns: outputs, multiples of `granularity`
  ///   - y: receives `[rows, columns, outStride]`; rows are `yRow` floats apart. Up to `outSlack`
  ///     floats behind the last are written too
  func forward(
    _ x: Pointer, xRow: Int, packed: Pointer, rows: Int, columns: Int, into y: Pointer, yRow: Int,
    scratch: Pointer
  ) {
    if method == .winograd {
      winogradForward(
        x, xRow: xRow, packed: packed, rows: rows, columns: columns, into: y, yRow: yRow,
        scratch: scratch)
      return
    }
    let length = segment
    for row in 0..<rows {
      PanelProduct.forEachPanel(outVectors) { start, width in
        let weights = packed + start * 8 * blocks * blockRows
        forEachSegment { number, offset in
          PanelProduct.multiply(
            width: width, rows: columns, steps: length,
            x + row * xRow + offset(xRow), aRow: inStride, aStep: 1,
            weights + number * length * width * 8, bStep: width * 8,
            into: y + row * yRow + start * 8, cRow: outStride, adding: number > 0)
        }
      }
    }
  }

  /// dw += the gradient of the weights over one window, in packed form.
  ///
  /// - Parameters:
  ///   - x: the window with its halo
  ///   - dy: the gradient of its outputs, zero where a tile reaches beyond the map
  ///   - dw: `gradientCount` floats
  func addWeightGradient(
    _ x: Pointer, xRow: Int, _ dy: Pointer, dyRow: Int, rows: Int, columns: Int, into dw: Pointer,
    scratch: Pointer
  ) {
    if method == .winograd {
      winogradWeightGradient(
        x, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns, into: dw, scratch: scratch)
      return
    }
    for row in 0..<rows {
      PanelProduct.forEachPanel(outVectors) { start, width in
        let sums = dw + start * 8 * blocks * gradientRows
        forEachSegment { number, offset in
          PanelProduct.multiply(
            width: width, rows: segment, steps: columns,
            x + row * xRow + offset(xRow), aRow: 1, aStep: inStride,
            dy + row * dyRow + start * 8, bStep: outStride,
            into: sums + number * gradientRows * width * 8, cRow: width * 8, adding: true)
        }
      }
    }
  }

  /// Calls `body(number, offset of its first product, given the floats from row to row)`.
  @inline(__always)
  private func forEachSegment(_ body: (Int, (Int) -> Int) -> Void) {
    let perRow = segments / kernelF
    for number in 0..<segments {
      let (kf, kt) = (number / perRow, number % perRow)
      body(number) { xRow in kf * xRow + kt * inStride }
    }
  }
}
