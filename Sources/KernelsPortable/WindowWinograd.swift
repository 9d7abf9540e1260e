import Tensors

/// The passes of a window's convolution by Winograd's tiles: transforms before and after, and for each
/// of the 36 points one product of all tiles with all weights.
extension WindowConvolution {
  func winogradForward(
    _ x: Pointer, xRow: Int, packed: Pointer, rows: Int, columns: Int, into y: Pointer, yRow: Int,
    scratch: Pointer
  ) {
    let tiles = (f: rows / Winograd.outputs, t: columns / Winograd.outputs)
    let count = tiles.f * tiles.t
    let point = inPoint(count)
    let inputs = scratch + Winograd.scratchCount
    let products = inputs + Winograd.points * point
    transformInputs(x, xRow: xRow, tiles, into: inputs, point: point, scratch: scratch)
    PanelProduct.forEachPanel(outVectors) { start, width in
      let weights = packed + start * 8 * Winograd.points * inChannels
      let columns = width * 8
      let productPoint = ((count + 6) * columns + 15) / 16 / 2 * 32 + 16
      for p in 0..<Winograd.points {
        PanelProduct.multiply(
          width: width, rows: count, steps: inChannels, inputs + p * point, aRow: inStride,
          aStep: 1, weights + p * inChannels * columns, bStep: columns,
          into: products + p * productPoint, cRow: columns, adding: false)
      }
      for i in 0..<tiles.f {
        for j in 0..<tiles.t {
          let tile: Pointer = products + (i * tiles.t + j) * columns
          let to: Pointer = y + (i * 4 * yRow + j * 4 * outStride + start * 8)
          for v in 0..<width {
            Winograd.transformOutput(
              tile + v * 8, point: productPoint, into: to + v * 8, row: yRow, column: outStride,
              scratch: scratch)
          }
        }
      }
    }
  }

  func winogradWeightGradient(
    _ x: Pointer, xRow: Int, _ dy: Pointer, dyRow: Int, rows: Int, columns: Int, into dw: Pointer,
    scratch: Pointer
  ) {
    let tiles = (f: rows / Winograd.outputs, t: columns / Winograd.outputs)
    let count = tiles.f * tiles.t
    let (point, gradientPoint) = (inPoint(count), outPoint(count))
    let inputs = scratch + Winograd.scratchCount
    let gradients = inputs + Winograd.points * point
    transformInputs(x, xRow: xRow, tiles, into: inputs, point: point, scratch: scratch)
    for i in 0..<tiles.f {
      for j in 0..<tiles.t {
        let from: Pointer = dy + (i * 4 * dyRow + j * 4 * outStride)
        let to: Pointer = gradients + (i * tiles.t + j) * outStride
        for v in 0..<outVectors {
          Winograd.transformOutputGradient(
            from + v * 8, row: dyRow, column: outStride, into: to + v * 8, point: gradientPoint,
            scratch: scratch)
        }
      }
    }
    PanelProduct.forEachPanel(outVectors) { start, width in
      let sums = dw + start * 8 * Winograd.points * gradientRows
      for p in 0..<Winograd.points {
        PanelProduct.multiply(
          width: width, rows: inChannels, steps: count, inputs + p * point, aRow: 1,
          aStep: inStride, gradients + p * gradientPoint + start * 8, bStep: outStride,
          into: sums + p * gradientRows * width * 8, cRow: width * 8, adding: true)
      }
    }
  }

  private func transformInputs(
    _ x: Pointer, xRow: Int, _ tiles: (f: Int, t: Int), into inputs: Pointer, point: Int,
    scratch: Pointer
  ) {
    for i in 0..<tiles.f {
      for j in 0..<tiles.t {
        let from: Pointer = x + (i * 4 * xRow + j * 4 * inStride)
        let to: Pointer = inputs + (i * tiles.t + j) * inStride
        for v in 0..<(inStride / 8) {
          Winograd.transformInput(
            from + v * 8, row: xRow, column: inStride, into: to + v * 8, point: point,
            scratch: scratch)
        }
      }
    }
  }
}
