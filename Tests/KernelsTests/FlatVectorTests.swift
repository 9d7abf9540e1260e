import Foundation
import Kernels
import Testing

@Suite("Passes over flat vectors")
struct FlatVectorTests {
  static let counts = [0, 1, 7, 8, 9, 40, 4095, 4096, 4099, 16_384, 50_003]

  @Test("three Adam updates follow Kingma and Ba", arguments: counts)
  func adam(count: Int) {
    var w = noiseValues(count, seed: 1).map(Double.init)
    var m = Array(repeating: 0.0, count: count)
    var v = m
    let results = withPool { updated(count: count, $0) }
    for step in 1...3 {
      let g = noiseValues(count, seed: 10 + step).map { Double($0) * 0.5 }
      for i in 0..<count {
        m[i] = 0.9 * m[i] + 0.1 * g[i]
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i]
        let (mean, square) = (
          m[i] / (1 - pow(0.9, Double(step))), v[i] / (1 - pow(0.999, Double(step)))
        )
        w[i] -= 0.01 * mean / (square.squareRoot() + 1e-8)
      }
    }
    // 1 − β₂ in single precision is off by 3e-5 of itself, and so is the second moment; the update
    // is at most 0.01 a step and takes the root of that.
    expectClose(results.w, w, within: { _ in 1e-6 }, "parameters")
    expectClose(results.m, m, within: { _ in 1e-6 }, "first moment")
    expectClose(results.v, v, within: { 1e-9 + 1e-4 * v[$0] }, "second moment")
  }

  @Test("an Adam update may be made elsewhere, with the same bits", arguments: counts)
  func adamElsewhere(count: Int) {
    withPool { pool in
      func update(_ w: Tensor, into next: Tensor) {
        w.adam(
          into: next, gradient: .noise([count], seed: 2), firstMoment: Tensor(shape: [count]),
          secondMoment: Tensor(shape: [count]), scale: 1, rate: 0.01, beta1: 0.9, beta2: 0.999,
          epsilon: 1e-8, firstCorrection: 0.1, secondCorrection: 0.001, pool: pool)
      }
      let (here, there) = (Tensor.noise([count], seed: 1), Fenced([count]))
      let before = here.values
      update(here, into: there.tensor)
      #expect(here.values == before)
      #expect(there.isIntact, "written outside")
      update(here, into: here)
      #expect(here.values.map(\.bitPattern) == there.tensor.values.map(\.bitPattern))
    }
  }

  @Test("the bits do not depend on the number of threads", arguments: counts)
  func threads(count: Int) {
    expectSameBits("Adam") { pool in
      let results = updated(count: count, pool)
      return results.w + results.m + results.v
    }
  }

  @Test("the sum of squares is that of the definition", arguments: counts)
  func sumOfSquares(count: Int) {
    let x = Tensor.noise([count], seed: 1)
    let exact = x.values.map { Double($0) * Double($0) }.reduce(0, +)
    // 512 additions of one lane before double takes over.
    #expect(abs(x.sumOfSquares() - exact) <= 1e-5 * exact)
  }

  @Test("the first value that is not finite is found wherever it lies", arguments: 0..<19)
  func firstNotFinite(place: Int) {
    for value in [Float.nan, .infinity, -.infinity] {
      let x = Tensor.noise([19], seed: 1)
      #expect(x.firstNotFinite == nil)
      x.base[place] = value
      x.base[18] = value
      #expect(x.firstNotFinite == place)
    }
    #expect(Tensor(shape: [0]).firstNotFinite == nil)
  }

  private func updated(count: Int, _ pool: ThreadPool) -> (w: [Float], m: [Float], v: [Float]) {
    let (w, m, v) = (Fenced([count]), Fenced([count]), Fenced([count]))
    _ = w.tensor.buffer.update(from: noiseValues(count, seed: 1))
    m.tensor.buffer.update(repeating: 0)
    v.tensor.buffer.update(repeating: 0)
    for step in 1...3 {
      w.tensor.adam(
        into: w.tensor, gradient: .noise([count], seed: 10 + step), firstMoment: m.tensor,
        secondMoment: v.tensor,
        scale: 0.5, rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
        firstCorrection: Float(1 - pow(0.9, Double(step))),
        secondCorrection: Float(1 - pow(0.999, Double(step))), pool: pool)
    }
    #expect(w.isIntact && m.isIntact && v.isIntact, "written outside")
    return (w.tensor.values, m.tensor.values, v.tensor.values)
  }
}
