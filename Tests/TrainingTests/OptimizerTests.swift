import Foundation
import Kernels
import Testing
import Training

/// Adam as its paper writes it, in double precision, one number at a time.
private struct ReferenceAdam {
  var (w, m, v): ([Double], [Double], [Double])
  let settings: Configuration.Optimizer
  var updates = 0

  init(_ w: [Float], _ settings: Configuration.Optimizer) {
    self.w = w.map(Double.init)
    (m, v) = (w.map { _ in 0 }, w.map { _ in 0 })
    self.settings = settings
  }

  mutating func update(_ gradient: [Float], rate: Double, clipNorm: Double?) {
    updates += 1
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let scale = clipNorm.map { min(1, $0 / norm) } ?? 1
    for i in w.indices {
      let g = Double(gradient[i]) * scale
      m[i] = settings.beta1 * m[i] + (1 - settings.beta1) * g
      v[i] = settings.beta2 * v[i] + (1 - settings.beta2) * g * g
      let mean = m[i] / (1 - pow(settings.beta1, Double(updates)))
      let square = v[i] / (1 - pow(settings.beta2, Double(updates)))
      w[i] -= rate * mean / (square.squareRoot() + settings.epsilon)
    }
  }
}

@Suite struct OptimizerTests {
  /// Gradients of all sizes, from 1e-6 to 10, and some that are zero.
  private static func gradient(_ count: Int, step: Int) -> [Float] {
    let stream = RandomStream(seed: 4, purpose: .shuffle, time: step)
    return (0..<count).map { i in
      i % 17 == 0 ? 0 : (2 * stream.uniform(i) - 1) * pow(10, Float(i % 8) - 6)
    }
  }

  // 16,384 is the block of one thread; the others leave ragged ends
  @Test(
    "twenty updates follow double precision", arguments: [1, 7, 8, 100, 40_003],
    [Double?.none, 0.5, 1e9])
  func updates(count: Int, clipNorm: Double?) throws {
    var settings = Configuration().optimizer
    settings.beta1 = 0.8
    settings.beta2 = 0.99
    let start = (0..<count).map { Float($0 % 13) / 13 - 0.5 }
    let parameters = Tensor(start, shape: [count])
    let optimizer = Optimizer(settings, clipNorm: clipNorm, count: count)
    var reference = ReferenceAdam(start, settings)
    let pool = ThreadPool(threads: 1)
    for step in 0..<20 {
      let gradient = Self.gradient(count, step: step)
      let rate = 0.01 / Double(step + 1)
      let norm = optimizer.update(
        parameters, into: parameters, gradient: Tensor(gradient, shape: [count]), updates: step,
        rate: rate, pool: pool)
      let exact = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      // a vector's sums of 4,096 squares round in single precision
      #expect(abs(norm - exact) <= 1e-6 * exact)
      reference.update(gradient, rate: rate, clipNorm: clipNorm)
    }
    func expectNear(
      _ found: [Float], _ exact: [Double], relative: Double, absolute: Double, _ name: String
    ) {
      let differ = zip(found, exact).count {
        !(abs(Double($0) - $1) <= relative * abs($1) + absolute)
      }
      #expect(differ == 0, "\(name): \(differ) of \(count)")
    }
    // twenty roundings of the weight itself, at most 0.5 in size
    expectNear(parameters.values, reference.w, relative: 0, absolute: 2e-6, "weights")
    expectNear(
      optimizer.firstMoment.values, reference.m, relative: 1e-5, absolute: 1e-6, "first moment")
    expectNear(
      optimizer.secondMoment.values, reference.v, relative: 1e-5, absolute: 1e-20, "second moment")
  }

  @Test("threads do not change a bit")
  func threads() {
    let count = 50_001
    func trained(threads: Int) -> [[Float]] {
      let pool = ThreadPool(threads: threads, spins: 0)
      defer { pool.stop() }
      let parameters = Tensor(shape: [count])
      let optimizer = Optimizer(Configuration().optimizer, clipNorm: 2, count: count)
      for step in 0..<3 {
        optimizer.update(
          parameters, into: parameters,
          gradient: Tensor(Self.gradient(count, step: step), shape: [count]), updates: step,
          rate: 0.001, pool: pool)
      }
      return [parameters.values, optimizer.firstMoment.values, optimizer.secondMoment.values]
    }
    #expect(trained(threads: 2) == trained(threads: 1))
    #expect(trained(threads: 3) == trained(threads: 1))
  }

  @Test("a gradient within the norm is left as it is, a zero gradient moves nothing")
  func clipping() {
    let pool = ThreadPool(threads: 1)
    func moved(_ gradient: [Float], clipNorm: Double?) -> [Float] {
      let parameters = Tensor(shape: [gradient.count])
      let optimizer = Optimizer(
        Configuration().optimizer, clipNorm: clipNorm, count: gradient.count)
      optimizer.update(
        parameters, into: parameters, gradient: Tensor(gradient, shape: [gradient.count]),
        updates: 0, rate: 0.1, pool: pool)
      return optimizer.firstMoment.values + parameters.values
    }
    let gradient: [Float] = [3, 0, -4]
    #expect(moved(gradient, clipNorm: 5) == moved(gradient, clipNorm: nil))
    #expect(moved(gradient, clipNorm: 2.5) == moved(gradient.map { $0 / 2 }, clipNorm: nil))
    #expect(moved([0, 0], clipNorm: 1).allSatisfy { $0 == 0 })
  }
}
