import Kernels

/// Batch normalization of a mel map, frame by frame: each frame has its own mean and deviation over
/// the clips and bands of the batch.
///
/// Input and output `[channels, bands, frames]`; a frame of a channel counts as one feature. A frame
/// that is zero in every clip, such as padding, stays where its bias puts it: its variance is zero,
/// and so is the gradient of its weight.
///
/// The map is turned, so that the frames lie as `NormalizationKernel` wants its channels, and the
/// result is turned back.
package struct FrameNormalization: Layer {
  package let name: String
  package let input: Shape
  package var output: Shape { input }
  package var summary: String { "batch normalization of \(features) frames" }

  package init(name: String, input: Shape) {
    precondition(input.rank == 3, "FrameNormalization: input \(input)")
    self.name = name
    self.input = input
  }

  private var channels: Int { input[0] }
  private var bands: Int { input[1] }
  private var frames: Int { input[2] }
  private var features: Int { channels * frames }

  package var parameters: [Parameter] { BatchNorm.parameters(name, features) }
  package var statistics: [Statistic] { BatchNorm.statistics(name, features) }

  /// Kept: the turned input.
  package func savedCount(clips: Int, trains: Bool) -> Int {
    BatchNorm.savedCount(features) + Cutter.count([clips * input.count])
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Cutter.count([clips * input.count])
  }

  package func forward(_ pass: Pass) {
    let (norm, x) = saved(pass)
    let y = turned(pass.scratch, pass)
    let kernel = normalization(pass)
    turn(pass.x, into: x, pass)
    norm.prepare(
      kernel, raw: x, pass: pass, gamma: pass.parameters[0], beta: pass.parameters[1],
      count: pass.clips * bands)
    kernel.forward(x, clips: pass.clips, scale: norm.scale, shift: norm.shift, into: y)
    turnBack(y, into: pass.y, pass)
  }

  package func backward(_ pass: Pass) {
    let (norm, x) = saved(pass)
    let dy = turned(pass.scratch, pass)
    turn(pass.outputGradient, into: dy, pass)
    // in place: an element of dx needs that of dy alone
    norm.backward(normalization(pass), dy, x, pass: pass, into: pass.dx == nil ? nil : dy)
    if let dx = pass.dx { turnBack(dy, into: dx, pass) }
  }

  private func saved(_ pass: Pass) -> (norm: BatchNorm, x: Tensor) {
    var cutter = Cutter(pass.saved)
    let norm = cutter.take([BatchNorm.savedCount(features)])
    return (BatchNorm(norm, features), cutter.take([pass.clips, channels, frames, bands]))
  }

  private func turned(_ scratch: Tensor, _ pass: Pass) -> Tensor {
    var cutter = Cutter(scratch)
    return cutter.take([pass.clips, channels, frames, bands])
  }

  private func normalization(_ pass: Pass) -> any NormalizationKernel {
    kernels.normalization.init(
      channels: features, planeCount: bands, rowLength: bands, pool: pass.pool)
  }

  /// `[clips, channels, bands, frames]` to `[clips, channels, frames, bands]`
  private func turn(_ x: Tensor, into turned: Tensor, _ pass: Pass) {
    pass.pool.run(pass.clips * channels) { plane, _ in
      self.plane(turned, plane, columns: bands).transpose(
        self.plane(x, plane, columns: frames))
    }
  }

  private func turnBack(_ turned: Tensor, into x: Tensor, _ pass: Pass) {
    pass.pool.run(pass.clips * channels) { plane, _ in
      self.plane(x, plane, columns: frames).transpose(
        self.plane(turned, plane, columns: bands))
    }
  }

  /// One channel of one clip.
  private func plane(_ x: Tensor, _ place: Int, columns: Int) -> Matrix {
    let count = bands * frames
    return Tensor(
      x.storage, offset: x.offset + place * count, shape: [count / columns, columns]
    ).matrix()
  }
}
