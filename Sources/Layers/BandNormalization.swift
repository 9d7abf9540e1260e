import Kernels

/// Batch normalization of a mel map, band by band: each of the bands has its own mean and deviation
/// over the clips and frames of the batch.
///
/// Input and output `[channels, bands, frames]`; a band of a channel counts as one feature.
package struct BandNormalization: Layer {
  package let name: String
  package let input: Shape
  package var output: Shape { input }
  package var summary: String { "batch normalization of \(features) bands" }

  package init(name: String, input: Shape) {
    precondition(input.rank == 3, "BandNormalization: input \(input)")
    self.name = name
    self.input = input
  }

  private var features: Int { input[0] * input[1] }

  package var parameters: [Parameter] { BatchNorm.parameters(name, features) }
  package var statistics: [Statistic] { BatchNorm.statistics(name, features) }

  package func savedCount(clips: Int, trains: Bool) -> Int { BatchNorm.savedCount(features) }

  package func forward(_ pass: Pass) {
    let kernel = normalization(pass)
    let norm = BatchNorm(pass.saved, features)
    norm.prepare(
      kernel, raw: pass.x, pass: pass, gamma: pass.parameters[0], beta: pass.parameters[1],
      count: pass.clips * input[2])
    kernel.forward(pass.x, clips: pass.clips, scale: norm.scale, shift: norm.shift, into: pass.y)
  }

  package func backward(_ pass: Pass) {
    BatchNorm(pass.saved, features).backward(
      normalization(pass), pass.outputGradient, pass.x, pass: pass, into: pass.dx)
  }

  private func normalization(_ pass: Pass) -> any NormalizationKernel {
    kernels.normalization.init(
      channels: features, planeCount: input[2], rowLength: input[2], pool: pass.pool)
  }
}
