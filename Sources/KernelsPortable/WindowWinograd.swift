import Tensors

/// The passes of a window's convolution by Winograd's tiles: transforms before and after, and for each
/// of a tile's points one product of all tiles with all weights.
extension WindowConvolution {
  func forward<Tile: WinogradTile>(
    by _: Tile.Type, _ x: Pointer, xRow: Int, packed: Pointer, rows: Int, columns: Int,
    into y: Pointer, yRow: Int,
    scratch: Pointer
  ) {
    let tiles = (f: rows / Tile.outputs.f, t: columns / Tile.outputs.t)
    let count = tiles.f * tiles.t
    let point = inPoint(count)
    let inputs = scratch + Winograd.scratchCount
    let products = inputs + Tile.points * point
    transformInputs(
      by: Tile.self, x, xRow: xRow, tiles, into: inputs, point: point,
      scratch: scratch)
    PanelProduct.forEachPanel(outVectors) { start, width in
      let weights = packed + start * 8 * Tile.points * inChannels
      let columns = width * 8
      let productPoint = ((count + 6) * columns + 15) / 16 / 2 * 32 + 16
      for p in 0..<Tile.points {
        PanelProduct.multiply(
          width: width, rows: count, steps: inChannels, inputs + p * point, aRow: inStride,
          aStep: 1, weights + p * inChannels * columns, bStep: columns,
          into: products + p * productPoint, cRow: columns, adding: false)
      }
      for i in 0..<tiles.f {
        for j in 0..<tiles.t {
          let tile: Pointer = products + (i * tiles.t + j) * columns
          let to: Pointer =
            y + (i * Tile.outputs.f * yRow + j * Tile.outputs.t * outStride + start * 8)
          for v in 0..<width {
            Tile.transformOutput(
              tile + v * 8, point: productPoint, into: to + v * 8, row: yRow, column: outStride,
              scratch: scratch)
          }
        }
      }
    }
  }

  func addWeightGradient<Tile: WinogradTile>(
    by _: Tile.Type, _ x: Pointer, xRow: Int, _ dy: Pointer, dyRow: Int, rows: Int, columns: Int,
    into dw: Pointer,
    scratch: Pointer
  ) {
    let tiles = (f: rows / Tile.outputs.f, t: columns / Tile.outputs.t)
    let count = tiles.f * tiles.t
    let (point, gradientPoint) = (inPoint(count), outPoint(count))
    let inputs = scratch + Winograd.scratchCount
    let gradients = inputs + Tile.points * point
    transformInputs(
      by: Tile.self, x, xRow: xRow, tiles, into: inputs, point: point,
      scratch: scratch)
    for i in 0..<tiles.f {
      for j in 0..<tiles.t {
        let from: Pointer = dy + (i * Tile.outputs.f * dyRow + j * Tile.outputs.t * outStride)
        let to: Pointer = gradients + (i * tiles.t + j) * outStride
        for v in 0..<outVectors {
          Tile.transformOutputGradient(
            from + v * 8, row: dyRow, column: outStride, into: to + v * 8, point: gradientPoint,
            scratch: scratch)
        }
      }
    }
    PanelProduct.forEachPanel(outVectors) { start, width in
      let sums = dw + start * 8 * Tile.points * gradientRows
      for p in 0..<Tile.points {
        PanelProduct.multiply(
          width: width, rows: inChannels, steps: count, inputs + p * point, aRow: 1,
          aStep: inStride, gradients + p * gradientPoint + start * 8, bStep: outStride,
          into: sums + p * gradientRows * width * 8, cRow: width * 8, adding: true)
      }
    }
  }

  private func transformInputs<Tile: WinogradTile>(
    by _: Tile.Type, _ x: Pointer, xRow: Int, _ tiles: (f: Int, t: Int), into inputs: Pointer,
    point: Int,
    scratch: Pointer
  ) {
    for i in 0..<tiles.f {
      for j in 0..<tiles.t {
        let from: Pointer = x + (i * Tile.outputs.f * xRow + j * Tile.outputs.t * inStride)
        let to: Pointer = inputs + (i * tiles.t + j) * inStride
        for v in 0..<(inStride / 8) {
          Tile.transformInput(
            from + v * 8, row: xRow, column: inStride, into: to + v * 8, point: point,
            scratch: scratch)
        }
      }
    }
  }
}
