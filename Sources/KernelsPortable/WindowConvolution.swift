import Tensors

/// Convolution (cross-correlation, stride one) of one window of a map in channel-last order, small
/// enough for the second-level cache; everything is a `PanelProduct`.
///
/// - `direct`: an output row is a product of the input's rows, shifted by each tap, with the taps'
///   weights.
/// - `winograd3x3`: tiles of 4×4 outputs, 36 products a tile instead of 144.
/// - `winograd1x4`: tiles of five outputs, 8 products a tile instead of 20.
///
/// Measured on a Zen 3 core whose matrix product runs at 92 GFLOP/s (`bench kernels`, whole passes with
/// statistics and pooling, operations of the direct sum): 3×3 at 133 to 280, 1×4 at 111 to 142.
///
/// The window's input is its own output's extent and a halo of `kernel − 1`. Weights are packed once
/// a pass: by panels of outputs, then taps (or Winograd's points), then inputs.
struct WindowConvolution {
  enum Method: Sendable {
    case direct, winograd3x3, winograd1x4

    /// Outputs are computed in multiples of it.
    var outputs: (f: Int, t: Int) {
      switch self {
      case .direct: (1, 1)
      case .winograd3x3: Winograd3x3.outputs
      case .winograd1x4: Winograd1x4.outputs
      }
    }

    /// Products of a tile.
    var points: Int? {
      switch self {
      case .direct: nil
      case .winograd3x3: Winograd3x3.points
      case .winograd1x4: Winograd1x4.points
      }
    }
  }

  let method: Method
  let inChannels, outChannels: Int
  let kernelF, kernelT: Int
  /// Floats from one input position to the next; at least the channels.
  let inStride: Int

  var outStride: Int { ChannelLast.stride(outChannels) }
  var outVectors: Int { outStride / 8 }
  private var taps: Int { kernelF * kernelT }
  /// Outputs are computed in multiples of it.
  var granularity: (f: Int, t: Int) { method.outputs }
  /// Products of one output value that lie side by side in the input.
  private var segment: Int { inStride == inChannels ? kernelT * inChannels : inChannels }
  private var segments: Int { taps * inChannels / segment }

  /// - Parameter map: outputs of the whole map
  init(
    inChannels: Int, outChannels: Int, kernelF: Int, kernelT: Int, inStride: Int? = nil,
    map: (f: Int, t: Int)
  ) {
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.kernelF = kernelF
    self.kernelT = kernelT
    self.inStride = inStride ?? ChannelLast.stride(inChannels)
    // With few channels or tiles transforms cost more than they save.
    func isWorthwhile(_ method: Method) -> Bool {
      let down = (map.f + method.outputs.f - 1) / method.outputs.f
      let across = (map.t + method.outputs.t - 1) / method.outputs.t
      return min(inChannels, outChannels) >= 8 && down * across >= 4
    }
    method =
      switch (kernelF, kernelT) {
      case (3, 3) where isWorthwhile(.winograd3x3): .winograd3x3
      case (1, 4) where isWorthwhile(.winograd1x4): .winograd1x4
      default: .direct
      }
  }

  /// Floats that kernels read or write beyond a window's last position.
  var inSlack: Int { 16 * inStride }
  var outSlack: Int { 16 * outStride }

  // MARK: Weights

  private var blocks: Int { method.points ?? segments }
  private var blockRows: Int { method == .direct ? segment : inChannels }
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
    withScratch { scratch, values in
      for i in 0..<inChannels {
        for tap in 0..<taps {
          let from = order.turned ? taps - 1 - tap : tap
          var eight = Vector.zero
          for lane in 0..<lanes {
            eight[lane] =
              weight[(vector * 8 + lane) * order.outputStep + i * order.inputStep + from]
          }
          eight.store(values, tap * 8)
        }
        let (at, step) = place(vector, rows: blockRows, input: i)
        switch method {
        case .winograd3x3:
          Winograd3x3.transformWeight(values, into: packed + at, point: step, scratch: scratch)
        case .winograd1x4:
          Winograd1x4.transformWeight(values, into: packed + at, point: step, scratch: scratch)
        case .direct:
          for tap in 0..<taps { Vector(loading: values, tap * 8).store(packed, at + tap * step) }
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
      let perTap = method != .direct || segment == inChannels ? rows : inChannels
      result = (first, perTap * width * 8)
    }
    return result
  }

  /// Turns the summed gradient of vector `vector` of outputs back into `[outer, inner, taps]`.
  func unpackGradient(_ packed: Pointer, vector: Int, into dw: Pointer) {
    let lanes = min(8, outChannels - vector * 8)
    let order = weightOrder()
    withScratch { scratch, values in
      for i in 0..<inChannels {
        switch method {
        case .winograd3x3:
          let (at, step) = place(vector, rows: gradientRows, input: i)
          Winograd3x3.transformWeightGradient(
            packed + at, point: step, into: values, scratch: scratch)
        case .winograd1x4:
          let (at, step) = place(vector, rows: gradientRows, input: i)
          Winograd1x4.transformWeightGradient(
            packed + at, point: step, into: values, scratch: scratch)
        case .direct:
          for tap in 0..<taps {
            let (block, row) = (tap * inChannels + i).quotientAndRemainder(dividingBy: segment)
            let (at, _) = place(vector, rows: gradientRows, input: row)
            let width = panelWidth(vector)
            Vector(loading: packed, at + block * gradientRows * width * 8).store(values, tap * 8)
          }
        }
        for lane in 0..<lanes {
          let to = dw + (vector * 8 + lane) * order.outputStep + i * order.inputStep
          for tap in 0..<taps { to[tap] = values[tap * 8 + lane] }
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
    guard let points = method.points else { return 0 }
    let down = (rows + method.outputs.f - 1) / method.outputs.f
    let tiles = down * ((columns + method.outputs.t - 1) / method.outputs.t)
    return Winograd.scratchCount + points * (inPoint(tiles) + outPoint(tiles))
  }

  /// Floats from one point's tiles to the next's: an odd number of cache lines apart, so that they do
  /// not meet in one set of the cache.
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
    switch method {
    case .direct:
      directForward(
        x, xRow: xRow, packed: packed, rows: rows, columns: columns, into: y, yRow: yRow)
    case .winograd3x3:
      forward(
        by: Winograd3x3.self, x, xRow: xRow, packed: packed, rows: rows, columns: columns, into: y,
        yRow: yRow, scratch: scratch)
    case .winograd1x4:
      forward(
        by: Winograd1x4.self, x, xRow: xRow, packed: packed, rows: rows, columns: columns, into: y,
        yRow: yRow, scratch: scratch)
    }
  }

  private func directForward(
    _ x: Pointer, xRow: Int, packed: Pointer, rows: Int, columns: Int, into y: Pointer, yRow: Int
  ) {
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
    switch method {
    case .direct:
      directAddWeightGradient(
        x, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns, into: dw)
    case .winograd3x3:
      addWeightGradient(
        by: Winograd3x3.self, x, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns,
        into: dw, scratch: scratch)
    case .winograd1x4:
      addWeightGradient(
        by: Winograd1x4.self, x, xRow: xRow, dy, dyRow: dyRow, rows: rows, columns: columns,
        into: dw, scratch: scratch)
    }
  }

  private func directAddWeightGradient(
    _ x: Pointer, xRow: Int, _ dy: Pointer, dyRow: Int, rows: Int, columns: Int, into dw: Pointer
  ) {
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
