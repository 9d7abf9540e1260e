import CVector
import Foundation
import KernelsPortable
// Whoever computes needs tensors: one import gives both.
@_exported import Tensors

#if arch(x86_64)
  import x86v3Kernels
#endif

/// The kernels that this process computes with.
///
/// - Precondition: `KernelChoice.made` is a success; programs refuse to start otherwise
package let kernels: any KernelSet = {
  switch KernelChoice.made {
  case .success(let kernels): return kernels
  case .failure(let refusal): preconditionFailure("nobody asked before computing: \(refusal)")
  }
}()

/// The one place that decides which kernels a process computes with: AVX2's where the processor has it,
/// the portable ones elsewhere, or those that `TUTTI_KERNELS` names.
package enum KernelChoice {
  /// A wish that cannot be fulfilled.
  package struct Refusal: Error, CustomStringConvertible {
    package let description: String
  }

  /// This process's choice.
  package static let made = Result {
    try choose(
      wish: ProcessInfo.processInfo.environment["TUTTI_KERNELS"],
      processorHasAVX2: cv_cpu_is_x86_64_v3() != 0)
  }

  /// - Parameter wish: `avx2`, `portable`, or nothing
  package static func choose(
    wish: String?, processorHasAVX2: Bool
  ) throws(Refusal) -> any KernelSet {
    switch wish {
    case nil, "": return processorHasAVX2 ? avx2 ?? portable : portable
    case "portable": return portable
    case "avx2":
      guard let avx2 else {
        throw Refusal(description: "TUTTI_KERNELS=avx2: this build is for processors without AVX2")
      }
      guard processorHasAVX2 else {
        throw Refusal(
          description: "TUTTI_KERNELS=avx2: this processor lacks AVX2, FMA or what came with them "
            + "(x86-64-v3); without TUTTI_KERNELS the portable kernels are used")
      }
      return avx2
    case .some(let wish):
      throw Refusal(description: "TUTTI_KERNELS is portable or avx2, not \(wish)")
    }
  }

  private static let portable: any KernelSet = KernelsPortable.VectorKernels()
  #if arch(x86_64)
    private static let avx2: (any KernelSet)? = x86v3Kernels.VectorKernels()
  #else
    private static let avx2: (any KernelSet)? = nil
  #endif
}
