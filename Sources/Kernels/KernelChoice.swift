import COpenBLAS
import CVector

/// What the arithmetic was compiled for, and whether this processor has it.
package enum Processor {
  /// The instruction set of the kernels in this build.
  package static let instructionSet = String(cString: cv_instruction_set())

  /// Says what is missing, or nil when the build can run here.
  ///
  /// Every program asks before its first arithmetic: an instruction the processor does not know
  /// would end it without a word.
  package static var missing: String? {
    if cv_cpu_has_instruction_set() != 0 { return nil }
    return "this build needs a processor with \(instructionSet), and this one lacks it: "
      + "build Tutti on this machine with the instruction set in Package.swift lowered"
  }

  /// Splitting work is ours (see `ThreadPool`), so OpenBLAS gets one thread. Idempotent.
  package static func prepare() { _ = prepared }

  private static let prepared: Void = openblas_set_num_threads(1)
}
