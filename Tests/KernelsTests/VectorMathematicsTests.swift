import Foundation
import Kernels
import Testing

/// The polynomials against the C library in double precision, over dense sweeps.
///
/// `exp`, `expm1`, `log` and `log1p` have no interface of their own: `sigmoid` is made of the first,
/// `elu` and `tanh` of the second, the losses of all the others.
@Suite("Vector mathematics")
struct VectorMathematicsTests {
  struct Sweep: Sendable, CustomTestStringConvertible {
    let name: String
    let apply: @Sendable (Matrix) -> Void
    let exact: @Sendable (Double) -> Double
    let range: ClosedRange<Float>
    /// Largest error, relative to the exact value.
    let bound: Double
    var testDescription: String { "\(name) over \(range)" }
  }

  static let sweeps = [
    Sweep(
      name: "sigmoid", apply: { $0.sigmoid() }, exact: { 1 / (1 + exp(-$0)) }, range: -87...87,
      bound: 2e-7),
    Sweep(
      name: "sigmoid", apply: { $0.sigmoid() }, exact: { 1 / (1 + exp(-$0)) }, range: -1...1,
      bound: 2e-7),
    Sweep(name: "tanh", apply: { $0.tanh() }, exact: { tanh($0) }, range: -40...40, bound: 2e-7),
    Sweep(name: "tanh", apply: { $0.tanh() }, exact: { tanh($0) }, range: -1...1, bound: 2e-7),
    Sweep(
      name: "tanh", apply: { $0.tanh() }, exact: { tanh($0) }, range: -1e-3...1e-3, bound: 2e-7),
    // elu of what is not positive is expm1
    Sweep(name: "elu", apply: { $0.elu() }, exact: { expm1($0) }, range: -40...0, bound: 1e-7),
    Sweep(name: "elu", apply: { $0.elu() }, exact: { expm1($0) }, range: -1...0, bound: 1e-7),
    Sweep(name: "elu", apply: { $0.elu() }, exact: { expm1($0) }, range: -1e-5...0, bound: 1e-7),
    Sweep(name: "elu", apply: { $0.elu() }, exact: { $0 }, range: 0...1e4, bound: 0),
  ]

  @Test("errors stay within the stated bounds", arguments: sweeps)
  func errors(_ sweep: Sweep) {
    let count = 400_003
    let step = (sweep.range.upperBound - sweep.range.lowerBound) / Float(count - 1)
    let arguments = (0..<count).map {
      min(sweep.range.lowerBound + Float($0) * step, sweep.range.upperBound)
    }
    let x = Tensor(arguments, shape: [1, count])
    sweep.apply(x.matrix())
    var worst = (error: 0.0, argument: Float.nan)
    for (argument, value) in zip(arguments, x.values) {
      let exact = sweep.exact(Double(argument))
      let error = exact == 0 ? abs(Double(value)) : abs((Double(value) - exact) / exact)
      if !(error <= worst.error) { worst = (error, argument) }
    }
    #expect(worst.error <= sweep.bound, "worst at \(worst.argument)")
  }

  /// A single logit against label 0 loses log(1 + eˣ).
  @Test(
    "exp and log1p stay within the stated bounds",
    arguments: [-80...0, -1e-3...0, -16 ... -8, 0...80] as [ClosedRange<Float>])
  func softplus(range: ClosedRange<Float>) {
    let count = 50_001
    let (x, label, dx) = (Tensor(shape: [1, 1]), Tensor(shape: [1, 1]), Tensor(shape: [1, 1]))
    var worst = (error: 0.0, argument: Float.nan)
    for i in 0..<count {
      let share = Float(i) / Float(count - 1)
      let argument = range.lowerBound + share * (range.upperBound - range.lowerBound)
      x.base[0] = argument
      let value = x.matrix().binaryCrossEntropy(
        labels: label.matrix(), gradient: dx.matrix(), scale: 1)
      let exact = max(Double(argument), 0) + log1p(exp(-abs(Double(argument))))
      let error = abs((value - exact) / exact)
      if !(error <= worst.error) { worst = (error, argument) }
    }
    // exp within 1e-7, log1p within twice that.
    #expect(worst.error <= 3e-7, "worst at \(worst.argument)")
  }

  /// Two logits whose first is the label lose log(e⁰ + eˣ): the argument runs from 1 to 2.
  @Test("log stays within the stated bounds")
  func logarithm() {
    let label = Tensor([1, 0], shape: [1, 2])
    let dx = Tensor(shape: [1, 2])
    for i in 0..<50_001 {
      let second = -Float(i) / 5000
      let x = Tensor([0, second], shape: [1, 2])
      let value = x.matrix().softmaxCrossEntropy(
        labels: label.matrix(), gradient: dx.matrix(), scale: 1)
      // 1 + eˣ is rounded before its logarithm is taken: an absolute error of 2⁻²⁴ of it.
      #expect(abs(value - log1p(exp(Double(second)))) <= 2.5e-7)
    }
    // Wide sums: log K for K equal logits.
    for tags in [3, 10, 1000, 100_000] {
      let (x, labels) = (Tensor(shape: [1, tags]), Tensor(shape: [1, tags]))
      labels.base[0] = 1
      let value = x.matrix().softmaxCrossEntropy(
        labels: labels.matrix(), gradient: Tensor(shape: [1, tags]).matrix(), scale: 1)
      #expect(abs(value / log(Double(tags)) - 1) <= 1e-7)
    }
  }

  @Test("far arguments saturate, zero is exact")
  func saturation() {
    func values(_ apply: (Matrix) -> Void, _ arguments: [Float]) -> [Float] {
      let x = Tensor(arguments, shape: [1, arguments.count])
      apply(x.matrix())
      return x.values
    }
    let far: [Float] = [-1e38, -1e4, -200, 0, 200, 1e38]
    #expect(values({ $0.tanh() }, far) == [-1, -1, -1, 0, 1, 1])
    #expect(values({ $0.hardSigmoid() }, far) == [0, 0, 0, 0.5, 1, 1])
    #expect(values({ $0.hardSigmoid() }, [-2.5, -2.6, 2.5, 2.6]) == [0, 0, 1, 1])
    #expect(values({ $0.elu() }, far) == [-1, -1, -1, 0, 200, 1e38])
    let sigmoid = values({ $0.sigmoid() }, far)
    #expect(sigmoid[0..<3].allSatisfy { $0 >= 0 && $0 < 1e-37 })
    #expect(sigmoid[3...] == [0.5, 1, 1])
  }

  /// Where the clip holds a gate, and at its corners, the output is exactly 0 or 1.
  @Test("a hard sigmoid's slope is a fifth between the corners, and zero from them on")
  func hardSlope() {
    let arguments: [Float] = [-1e30, -2.5, -2.4999, -1, 0, 1, 2.4999, 2.5, 1e30]
    let y = Tensor(arguments, shape: [1, arguments.count])
    y.matrix().hardSigmoid()
    let slope = Tensor(arguments.map { _ in 1 }, shape: y.shape)
    slope.matrix().multiplyHardSigmoidSlope(y.matrix())
    #expect(slope.values == [0, 0, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0])
  }

  @Test("NaN stays NaN and an infinity becomes NaN, alone among its neighbours", arguments: 0..<11)
  func notFinite(place: Int) {
    let functions: [(Matrix) -> Void] = [
      { $0.sigmoid() }, { $0.hardSigmoid() }, { $0.tanh() }, { $0.elu() }, { $0.relu() },
    ]
    for apply in functions {
      for value in [Float.nan, .infinity, -.infinity] {
        let x = Tensor.noise([1, 11], seed: place)
        x.base[place] = value
        apply(x.matrix())
        #expect(x.values.indices.filter { x.values[$0].isNaN } == [place])
      }
    }
  }
}
