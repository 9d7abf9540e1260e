/// Two real Fourier transforms for the price of one complex one, by FFTW in double precision.
///
/// Frames a and b go in as the real and the imaginary part of one signal z = a + ib. Because a real
/// signal's spectrum is conjugate-symmetric, Z[k] and Z[−k] give both back:
/// A[k] = (Z[k] + Z̄[−k])/2 and B[k] = (Z[k] − Z̄[−k])/2i. FFTW's complex code is vectorized where its
/// real code hardly is, so that doubles cost what a real transform in single precision would, and a
/// loud frame leaves about 10⁻³² of its power in its neighbour.
///
/// The plan is an estimate, not a measurement, and the buffers have FFTW's own alignment: the same
/// processor always gets the same plan, and so the same bits.

import CFFTW
import Synchronization

/// FFTW makes and destroys plans in shared tables; only executing one is safe without this lock.
private let planner = Mutex(())

struct PairTransform: ~Copyable {
  let length: Int
  /// `length` samples of both frames, to be filled before `execute`, which leaves them alone.
  let input: UnsafeMutablePointer<SIMD2<Double>>
  /// Z, `length` complex numbers.
  let output: UnsafeMutablePointer<SIMD2<Double>>
  private let plan: fftw_plan

  init(length: Int) throws(AudioError) {
    let bytes = length * MemoryLayout<SIMD2<Double>>.stride
    let parts = planner.withLock {
      _ -> (OpaquePointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer)? in
      guard let input = fftw_malloc(bytes) else { return nil }
      guard let output = fftw_malloc(bytes) else {
        fftw_free(input)
        return nil
      }
      guard
        let plan = fftw_plan_dft_1d(
          Int32(length), input.assumingMemoryBound(to: fftw_complex.self),
          output.assumingMemoryBound(to: fftw_complex.self),
          FFTW_FORWARD, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT)
      else {
        fftw_free(input)
        fftw_free(output)
        return nil
      }
      return (plan, input, output)
    }
    guard let (plan, input, output) = parts else {
      throw AudioError(
        .library, attempt: "make features",
        detail: "FFTW has no plan or no memory for a transform of \(length) samples")
    }
    self.length = length
    self.plan = plan
    self.input = input.bindMemory(to: SIMD2<Double>.self, capacity: length)
    self.output = output.bindMemory(to: SIMD2<Double>.self, capacity: length)
  }

  func execute() { fftw_execute(plan) }

  /// Four times the power of both frames in a bin from 0 to `length / 2`:
  /// |Z[k] + Z̄[−k]|² and |Z[k] − Z̄[−k]|².
  @inline(__always)
  func fourfoldPower(ofBin bin: Int) -> SIMD2<Double> {
    let (z, mirrored) = (output[bin], output[bin == 0 ? 0 : length - bin])
    let (sum, difference) = (z + mirrored, z - mirrored)
    return sum * sum + SIMD2(difference.y, difference.x) * SIMD2(difference.y, difference.x)
  }

  deinit {
    planner.withLock { _ in fftw_destroy_plan(plan) }
    fftw_free(input)
    fftw_free(output)
  }
}
