/// A Fourier transform of real samples, by FFTW: the plan and its two buffers, owned together.
///
/// The plan is an estimate, not a measurement, and the buffers have FFTW's own alignment: the same
/// processor always gets the same plan, and so the same bits.

import CFFTW
import Synchronization

/// FFTW makes and destroys plans in shared tables; only executing one is safe without this lock.
private let planner = Mutex(())

struct RealTransform: ~Copyable {
  /// `length` samples, to be filled before `execute`, which leaves them in disorder.
  let input: UnsafeMutablePointer<Float>
  /// `length / 2 + 1` bins as (real, imaginary) pairs.
  let output: UnsafeMutablePointer<Float>
  private let plan: fftwf_plan

  init(length: Int) throws(AudioError) {
    let failure = AudioError(
      .library, attempt: "make features",
      detail: "FFTW has no plan or no memory for a transform of \(length) samples")
    let parts = planner.withLock {
      _ -> (OpaquePointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer)? in
      guard let input = fftwf_malloc(length * MemoryLayout<Float>.stride) else { return nil }
      guard let output = fftwf_malloc((length + 2) * MemoryLayout<Float>.stride) else {
        fftwf_free(input)
        return nil
      }
      guard
        let plan = fftwf_plan_dft_r2c_1d(
          Int32(length), input.assumingMemoryBound(to: Float.self),
          output.assumingMemoryBound(to: fftwf_complex.self),
          FFTW_ESTIMATE | FFTW_DESTROY_INPUT)
      else {
        fftwf_free(input)
        fftwf_free(output)
        return nil
      }
      return (plan, input, output)
    }
    guard let (plan, input, output) = parts else { throw failure }
    self.plan = plan
    self.input = input.bindMemory(to: Float.self, capacity: length)
    self.output = output.bindMemory(to: Float.self, capacity: length + 2)
  }

  func execute() { fftwf_execute(plan) }

  deinit {
    planner.withLock { _ in fftwf_destroy_plan(plan) }
    fftwf_free(input)
    fftwf_free(output)
  }
}
