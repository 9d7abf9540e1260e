import CVector
import Tensors

/// The kernels as this module is compiled: the same source is compiled for every kind of processor, each
/// time as a module of its own (see Package.swift).
package struct VectorKernels: KernelSet {
  package init() {}

  package var name: String { String(cString: cv_compiled_for()) }

  package var block: any BlockKernel.Type { FusedBlock.self }
  package var normalization: any NormalizationKernel.Type { ChannelNormalization.self }

  package func drop(_ dropout: Dropout, _ x: Tensor) {
    dropout.apply(to: x.base, count: x.count, firstIndex: 0)
  }
}
