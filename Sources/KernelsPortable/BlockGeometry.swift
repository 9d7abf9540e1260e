import Tensors

/// How the work of a convolution block is cut: into windows of the map that stay in cache while all
/// that is to be done with them is done, and that hold whole pooling windows.
///
/// Everything here follows from the block's sizes alone, never from clips or threads: so do the bits.
struct BlockGeometry: Sendable {
  let shape: ConvolutionShape
  let poolF, poolT: Int
  let averages: Bool
  /// Of an only input channel each raw value is a few products, computed again sooner than read. Of
  /// these maps neither the values nor the gradients are kept.
  let forgetsRaw: Bool
  /// x to raw map.
  let convolution: WindowConvolution
  /// The raw map's gradient to x's.
  let reversed: WindowConvolution
  /// Outputs of a full window.
  let rows, columns: Int

  init(_ given: ConvolutionShape, poolF: Int, poolT: Int, averages: Bool) {
    let shape = given.bandsAsChannels
    self.shape = shape
    self.poolF = poolF
    self.poolT = poolT
    self.averages = averages
    forgetsRaw = shape.inChannels == 1 && !averages
    convolution = WindowConvolution(
      inChannels: shape.inChannels, outChannels: shape.outChannels, kernelF: shape.kernelF,
      kernelT: shape.kernelT, inStride: shape.inChannels == 1 ? 1 : nil,
      map: (shape.outF, shape.outT))
    reversed = WindowConvolution(
      inChannels: shape.outChannels, outChannels: shape.inChannels, kernelF: shape.kernelF,
      kernelT: shape.kernelT, map: (shape.outF, shape.outT))
    let unit = (
      f: leastCommonMultiple(convolution.granularity.f, poolF),
      t: leastCommonMultiple(convolution.granularity.t, poolT)
    )
    let limit =
      switch convolution.method {
      case .direct: max(65_536 / (convolution.inStride + convolution.outStride), 64)
      case .winograd3x3: 40 * 16
      case .winograd1x4: 96 * 5
      }
    // As wide as fits; then as high as fits.
    let widest = max(limit / unit.f / unit.t, 1) * unit.t
    let across = (shape.outT + widest - 1) / widest
    columns = ((shape.outT + across - 1) / across + unit.t - 1) / unit.t * unit.t
    let down = (shape.outF + unit.f - 1) / unit.f
    rows = min(max(limit / columns / unit.f, 1), down) * unit.f
  }

  var outF: Int { shape.outF / poolF }
  var outT: Int { shape.outT / poolT }
  var channels: Int { shape.outChannels }
  /// Floats of one position of the raw map.
  var stride: Int { convolution.outStride }
  var taps: Int { shape.kernelF * shape.kernelT }

  // MARK: Windows

  var windowsDown: Int { (shape.outF + rows - 1) / rows }
  var windowsAcross: Int { (shape.outT + columns - 1) / columns }
  var windows: Int { windowsDown * windowsAcross }

  /// The outputs of a window that lie in the map.
  func window(_ number: Int) -> Window {
    let (f, t) = (number / windowsAcross * rows, number % windowsAcross * columns)
    return Window(
      bands: f..<min(f + rows, shape.outF), frames: t..<min(t + columns, shape.outT))
  }

  struct Window {
    let bands, frames: Range<Int>
    var count: Int { bands.count * frames.count }
  }

  /// The window's outputs as they are computed: tiles are whole, also at the map's edge.
  func computed(_ window: Window) -> (rows: Int, columns: Int) {
    let unit = convolution.granularity
    return (
      (window.bands.count + unit.f - 1) / unit.f * unit.f,
      (window.frames.count + unit.t - 1) / unit.t * unit.t
    )
  }

  /// The widest halo that a window's gradient has, and its input where that needs a halo too.
  private var haloed: Int { (rows + shape.kernelF - 1) * (columns + shape.kernelT - 1) }
  private var haloedTwice: Int {
    (rows + 2 * (shape.kernelF - 1)) * (columns + 2 * (shape.kernelT - 1))
  }

  // MARK: Scratch of a thread, in floats

  var inputCount: Int {
    (forgetsRaw ? haloedTwice : haloed * convolution.inStride) + convolution.inSlack
  }
  var outputCount: Int { haloed * stride + convolution.outSlack }
  var inputGradientCount: Int {
    let reached = (rows + 2 * (poolF + shape.kernelF)) * (columns + 2 * (poolT + shape.kernelT))
    return (forgetsRaw ? reached * ChannelLast.stride(taps) : rows * columns * reversed.outStride)
      + reversed.outSlack
  }
  var windowScratchCount: Int {
    max(
      convolution.scratchCount(rows: rows, columns: columns),
      reversed.scratchCount(rows: rows, columns: columns))
  }

  /// Sums in which the weights' gradient is formed, each over a fixed part of all windows: enough
  /// for the threads of a machine, but not megabytes of sums to add up.
  var parts: Int { min(max(2_097_152 / convolution.gradientCount, 2), 8) }
}

extension ConvolutionShape {
  /// A kernel over all bands sees them as channels of a map of one band.
  var bandsAsChannels: ConvolutionShape {
    guard kernelF == inF, outF == 1, inF > 1 else { return self }
    return ConvolutionShape(
      inChannels: inChannels * inF, outChannels: outChannels, inF: 1, inT: inT, kernelF: 1,
      kernelT: kernelT)
  }
}

private func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
  var (x, y) = (a, b)
  while y != 0 { (x, y) = (y, x % y) }
  return a / x * b
}
