import Foundation
import Kernels
import Testing

@Suite("Batch normalization of channels")
struct ChannelNormalizationTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let clips, channels, rows, rowLength: Int
    /// The map's values lie within one around it.
    var offset: Float = 0
    var testDescription: String { "\(clips) × \(channels) × \(rows) × \(rowLength), at \(offset)" }

    var planeCount: Int { rows * rowLength }
    var shape: Shape { [clips, channels, rows, rowLength] }
    var x: Tensor { .noise(shape, seed: 1, in: (offset - 1)...(offset + 1)) }

    func kernel(_ pool: ThreadPool) -> any NormalizationKernel {
      kernels.normalization.init(
        channels: channels, planeCount: planeCount, rowLength: rowLength, pool: pool)
    }

    /// The values of a channel, as positions in the map.
    func positions(_ channel: Int) -> [Int] {
      (0..<clips).flatMap { n in
        let start = (n * channels + channel) * planeCount
        return start..<(start + planeCount)
      }
    }
  }

  static let cases = [
    Case(clips: 1, channels: 1, rows: 1, rowLength: 1),
    Case(clips: 3, channels: 5, rows: 7, rowLength: 1),
    Case(clips: 2, channels: 3, rows: 4, rowLength: 7),
    Case(clips: 2, channels: 1, rows: 3, rowLength: 16),
    Case(clips: 1, channels: 4, rows: 5, rowLength: 47),
    Case(clips: 3, channels: 2, rows: 1, rowLength: 1366),
    Case(clips: 2, channels: 3, rows: 96, rowLength: 121, offset: 300),
  ]

  @Test("mean and biased variance are those of the definition", arguments: cases)
  func statistics(_ example: Case) {
    let x = example.x.values.map(Double.init)
    let (mean, variance) = (Fenced([example.channels]), Fenced([example.channels]))
    withPool {
      example.kernel($0).statistics(
        of: example.x, clips: example.clips, mean: mean.tensor, variance: variance.tensor)
    }
    for c in 0..<example.channels {
      let values = example.positions(c).map { x[$0] }
      let m = values.reduce(0, +) / Double(values.count)
      let v = values.map { ($0 - m) * ($0 - m) }.reduce(0, +) / Double(values.count)
      // Rounding of the values' magnitude, and of the square of their spread.
      #expect(abs(Double(mean.tensor.values[c]) - m) <= 2e-7 * (abs(m) + 1))
      #expect(abs(Double(variance.tensor.values[c]) - v) <= 1e-6 * v + 1e-9)
    }
    #expect(mean.isIntact && variance.isIntact)
  }

  @Test("fold gives 1/√(variance + ε) and the affine map made of it")
  func fold() {
    let names = (0..<4).map { Tensor.noise([5], seed: $0, in: 0.1...2) }
    let (scale, shift, inverse) = (Fenced([5]), Fenced([5]), Fenced([5]))
    Normalization.fold(
      mean: names[0], variance: names[1], gamma: names[2], beta: names[3], scale: scale.tensor,
      shift: shift.tensor, inverseDeviation: inverse.tensor)
    for c in 0..<5 {
      let (m, v, gamma, beta) = (
        Double(names[0].values[c]), Double(names[1].values[c]), Double(names[2].values[c]),
        Double(names[3].values[c])
      )
      let expected = 1 / (v + 1e-5).squareRoot()
      #expect(abs(Double(inverse.tensor.values[c]) - expected) < 1e-6 * expected)
      #expect(abs(Double(scale.tensor.values[c]) - gamma * expected) < 2e-6)
      #expect(abs(Double(shift.tensor.values[c]) - (beta - m * gamma * expected)) < 4e-6)
    }
    #expect(scale.isIntact && shift.isIntact && inverse.isIntact)
  }

  @Test("the map is scaled and shifted channel by channel", arguments: cases)
  func forward(_ example: Case) {
    let (scale, shift) = (
      Tensor.noise([example.channels], seed: 2), Tensor.noise([example.channels], seed: 3)
    )
    let y = Fenced(example.shape)
    withPool {
      example.kernel($0).forward(
        example.x, clips: example.clips, scale: scale, shift: shift, into: y.tensor)
    }
    let expected = example.x.values.enumerated().map { i, x in
      let c = i / example.planeCount % example.channels
      var sum = ExactSum()
      sum.add(Double(x) * Double(scale.values[c]))
      sum.add(Double(shift.values[c]))
      return sum
    }
    expectClose(y.tensor.values, expected, "scaled and shifted")
    #expect(y.isIntact)
  }

  @Test("gradients of γ, β and the input follow the definition", arguments: cases)
  func gradients(_ example: Case) {
    let run = Gradients(example)
    let results = withPool { run.compute($0) }
    let (x, dy, mean, inverse, scale) = (
      example.x.values.map(Double.init), run.dy.values.map(Double.init),
      run.mean.values.map(Double.init), run.inverse.values.map(Double.init),
      run.scale.values.map(Double.init)
    )
    for c in 0..<example.channels {
      let positions = example.positions(c)
      var (sum, products) = (ExactSum(), ExactSum())
      for i in positions {
        sum.add(dy[i])
        products.add(dy[i] * (x[i] - mean[c]) * inverse[c])
      }
      expectClose([results.dBeta[c]], [sum], "β of channel \(c)")
      // x − mean loses what their common offset has of rounding.
      expectClose([results.dGamma[c]], [products], allowance: 4e-6, "γ of channel \(c)")
      let count = Double(positions.count)
      let expected = positions.map { i in
        let normalized = (x[i] - mean[c]) * inverse[c]
        return scale[c] * (dy[i] - sum.value / count - normalized * products.value / count)
      }
      let magnitude = abs(Double(example.offset)) + 10
      expectClose(
        positions.map { results.dx[$0] }, expected, within: { _ in 1e-6 * magnitude },
        "input of channel \(c)")
    }
  }

  @Test("the bits do not depend on the number of threads", arguments: cases)
  func threads(_ example: Case) {
    expectSameBits("statistics") { pool in
      let (mean, variance) = (Fenced([example.channels]), Fenced([example.channels]))
      example.kernel(pool).statistics(
        of: example.x, clips: example.clips, mean: mean.tensor, variance: variance.tensor)
      return mean.tensor.values + variance.tensor.values
    }
    expectSameBits("gradients") { pool in
      let results = Gradients(example).compute(pool)
      return results.dBeta + results.dGamma + results.dx
    }
  }

  /// The operands of a backward pass.
  struct Gradients {
    let example: Case
    let dy, mean, inverse, scale: Tensor

    init(_ example: Case) {
      self.example = example
      dy = .noise(example.shape, seed: 4)
      let around = (example.offset - 0.1)...(example.offset + 0.1)
      mean = .noise([example.channels], seed: 5, in: around)
      inverse = .noise([example.channels], seed: 6, in: 0.5...2)
      scale = .noise([example.channels], seed: 7)
    }

    func compute(_ pool: ThreadPool) -> (dBeta: [Float], dGamma: [Float], dx: [Float]) {
      let kernel = example.kernel(pool)
      let (dGamma, dBeta) = (Fenced([example.channels]), Fenced([example.channels]))
      let dx = Fenced(example.shape)
      kernel.gradientSums(
        dy, example.x, clips: example.clips, mean: mean, inverseDeviation: inverse,
        gammaGradient: dGamma.tensor, betaGradient: dBeta.tensor)
      kernel.inputGradient(
        dy, example.x, clips: example.clips, mean: mean, inverseDeviation: inverse, scale: scale,
        gammaGradient: dGamma.tensor, betaGradient: dBeta.tensor, into: dx.tensor)
      #expect(dGamma.isIntact && dBeta.isIntact && dx.isIntact)
      return (dBeta.tensor.values, dGamma.tensor.values, dx.tensor.values)
    }
  }
}
