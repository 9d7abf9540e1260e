import Foundation
import Kernels
import Testing

/// A block of convolution, normalization, ELU, pool and dropout, as the kernels see it.
struct FusedCase: Sendable, CustomTestStringConvertible {
  let shape: ConvolutionShape
  let pool: (f: Int, t: Int)
  let averages: Bool
  let clips: Int
  /// Values of γ, in turn.
  let gammas: [Float]
  /// Inputs are rounded to multiples of it, which makes equal values.
  let grain: Float

  /// Each way to compute a window, widths that fill vectors and widths that do not, maps that end
  /// in the middle of a tile or of a pool, one and several windows.
  static let all = [
    FusedCase(channels: (1, 5), map: (7, 11), kernel: (3, 3), pool: (2, 2)),
    FusedCase(channels: (1, 48), map: (9, 50), kernel: (3, 3), pool: (2, 4)),
    FusedCase(channels: (1, 33), map: (3, 140), kernel: (1, 4), pool: (1, 5)),
    FusedCase(channels: (1, 24), map: (3, 30), kernel: (1, 4), pool: (1, 4)),
    FusedCase(channels: (1, 6), map: (11, 13), kernel: (5, 2), pool: (3, 3)),
    FusedCase(channels: (1, 9), map: (96, 21), kernel: (96, 4), valid: true, pool: (1, 4)),
    FusedCase(channels: (3, 5), map: (7, 11), kernel: (3, 3), pool: (2, 2)),
    FusedCase(channels: (5, 17), map: (1, 37), kernel: (1, 4), pool: (1, 4)),
    FusedCase(channels: (49, 24), map: (3, 70), kernel: (1, 4), pool: (1, 8)),
    FusedCase(channels: (16, 40), map: (2, 23), kernel: (1, 4), pool: (1, 1)),
    FusedCase(channels: (3, 4), map: (6, 9), kernel: (5, 2), pool: (3, 3), clips: 1),
    FusedCase(channels: (8, 8), map: (4, 4), kernel: (3, 3), pool: (4, 4)),
    FusedCase(channels: (8, 8), map: (8, 8), kernel: (3, 3), pool: (4, 4)),
    FusedCase(channels: (33, 66), map: (13, 22), kernel: (3, 3), pool: (3, 5), clips: 2),
    FusedCase(channels: (16, 9), map: (24, 61), kernel: (3, 3), pool: (4, 4), clips: 2),
    FusedCase(channels: (9, 24), map: (17, 130), kernel: (3, 3), pool: (3, 3), clips: 2),
    FusedCase(channels: (8, 13), map: (9, 10), kernel: (3, 3), pool: (2, 3), averages: true),
    FusedCase(channels: (1, 4), map: (5, 17), kernel: (1, 4), pool: (1, 8), averages: true),
    FusedCase(
      channels: (2, 6), map: (6, 10), kernel: (3, 3), pool: (2, 2), gammas: [-1, 0, 1, -0.5]),
    FusedCase(
      channels: (1, 9), map: (6, 10), kernel: (3, 3), pool: (3, 2), gammas: [0, -1], grain: 1),
  ]

  init(
    channels: (from: Int, to: Int), map: (f: Int, t: Int), kernel: (f: Int, t: Int),
    valid: Bool = false, pool: (f: Int, t: Int), averages: Bool = false, clips: Int = 3,
    gammas: [Float] = [0.8, -1.2, 1], grain: Float = 0
  ) {
    shape = ConvolutionShape(
      inChannels: channels.from, outChannels: channels.to, inF: map.f, inT: map.t,
      kernelF: kernel.f, kernelT: kernel.t, paddingF: valid ? .valid : .same)
    self.pool = pool
    self.averages = averages
    self.clips = clips
    self.gammas = gammas
    self.grain = grain
  }

  var testDescription: String {
    "\(shape.inChannels) to \(shape.outChannels), \(shape.inF) × \(shape.inT), kernel "
      + "\(shape.kernelF) × \(shape.kernelT), \(averages ? "average" : "maximum") over \(pool)"
  }

  var input: Shape { [clips, shape.inChannels, shape.inF, shape.inT] }
  var output: Shape { [clips, shape.outChannels, shape.outF / pool.f, shape.outT / pool.t] }

  var x: [Float] {
    noiseValues(input.count, seed: 1).map { grain > 0 ? ($0 / grain).rounded() * grain : $0 }
  }
  var weight: [Float] {
    let range = 1.5 / Float(shape.inner).squareRoot()
    let values = noiseValues(shape.weightCount, seed: 2, in: -range...range)
    return grain > 0 ? values.map { $0 > 0 ? 1 : -1 } : values
  }
  var gamma: [Float] { (0..<shape.outChannels).map { gammas[$0 % gammas.count] } }
  var beta: [Float] { noiseValues(shape.outChannels, seed: 3, in: -0.4...0.4) }
  var upstream: [Float] { noiseValues(output.count, seed: 4) }

  struct Results {
    var y, evaluated, mean, variance, dGamma, dBeta, dWeight, dx: [Float]
    var all: [Float] {
      y + evaluated + mean + variance + dGamma + dBeta + dWeight + dx
    }
  }

  /// Forward and backward; scratch and what is kept lie between fences and start as NaN.
  func run(_ pool: ThreadPool, dropout: Dropout? = nil, needsInputGradient: Bool = true) -> Results
  {
    let channels = shape.outChannels
    let (x, weight) = (
      Tensor(x, shape: input),
      Tensor(self.weight, shape: [channels, shape.inChannels, shape.kernelF, shape.kernelT])
    )
    let (gamma, beta) = (Tensor(gamma, shape: [channels]), Tensor(beta, shape: [channels]))
    let saved = Fenced([
      kernels.block.savedCount(
        shape, poolF: self.pool.f, poolT: self.pool.t, averages: averages, clips: clips)
    ])
    func scratch() -> Fenced {
      Fenced([
        kernels.block.scratchCount(
          shape, poolF: self.pool.f, poolT: self.pool.t, averages: averages, clips: clips,
          threads: pool.threads)
      ])
    }
    let (y, evaluated) = (Fenced(output), Fenced(output))
    let vectors = (0..<7).map { _ in Fenced([channels]) }
    let (mean, variance, scale, shift) = (
      vectors[0].tensor, vectors[1].tensor, vectors[2].tensor, vectors[3].tensor
    )
    let (inverse, dGamma, dBeta) = (vectors[4].tensor, vectors[5].tensor, vectors[6].tensor)
    let (dWeight, dx) = (Fenced(weight.shape), Fenced(input))
    let block = kernels.block.init(
      shape, poolF: self.pool.f, poolT: self.pool.t, averages: averages, clips: clips, pool: pool)
    // Another layer works in the scratch between any two of these.
    let spaces = (0..<5).map { _ in scratch() }
    block.convolve(
      x, weight: weight, gamma: gamma, saved: saved.tensor, mean: mean, variance: variance,
      scratch: spaces[0].tensor)
    Normalization.fold(
      mean: mean, variance: variance, gamma: gamma, beta: beta, scale: scale, shift: shift,
      inverseDeviation: inverse)
    block.activate(
      saved: saved.tensor, scale: scale, shift: shift, dropout: dropout, into: y.tensor,
      scratch: spaces[1].tensor)
    block.evaluate(
      x, weight: weight, scale: scale, shift: shift, into: evaluated.tensor,
      scratch: spaces[2].tensor)
    let known = NormalizedChannels(
      mean: mean, inverseDeviation: inverse, scale: scale, shift: shift)
    block.gradientSums(
      Tensor(upstream, shape: output), saved: saved.tensor, known,
      dropout: dropout, gammaGradient: dGamma, betaGradient: dBeta,
      scratch: spaces[3].tensor)
    block.gradients(
      x, weight: weight, saved: saved.tensor, known, gammaGradient: dGamma, betaGradient: dBeta,
      into: dWeight.tensor, dx: needsInputGradient ? dx.tensor : nil, scratch: spaces[4].tensor)
    let windows = [saved, y, evaluated, dWeight, dx] + vectors + spaces
    #expect(windows.allSatisfy { $0.isIntact }, "something was written outside its window")
    return Results(
      y: y.tensor.values, evaluated: evaluated.tensor.values, mean: mean.values,
      variance: variance.values, dGamma: dGamma.values, dBeta: dBeta.values,
      dWeight: dWeight.tensor.values, dx: needsInputGradient ? dx.tensor.values : [])
  }
}

/// The block in the order of its description and in double precision: every value of the raw map is
/// normalized and activated before anything is pooled.
private struct PlainBlock {
  var y, mean, variance, dGamma, dBeta, dWeight, dx: [Double]

  init(_ example: FusedCase) {
    let s = example.shape
    let (x, w) = (example.x.map(Double.init), example.weight.map(Double.init))
    let upstream = example.upstream.map(Double.init)
    let plane = s.outF * s.outT
    /// Calls `body(weight, output, input)` for every product of the convolution.
    func products(_ body: (Int, Int, Int) -> Void) {
      for n in 0..<example.clips {
        for o in 0..<s.outChannels {
          for i in 0..<s.inChannels {
            for (kf, kt) in (0..<s.kernelF).flatMap({ kf in (0..<s.kernelT).map { (kf, $0) } }) {
              let weight = ((o * s.inChannels + i) * s.kernelF + kf) * s.kernelT + kt
              for f in 0..<s.outF where (0..<s.inF).contains(f + kf - s.padF) {
                for t in 0..<s.outT where (0..<s.inT).contains(t + kt - s.padT) {
                  body(
                    weight, (n * s.outChannels + o) * plane + f * s.outT + t,
                    ((n * s.inChannels + i) * s.inF + f + kf - s.padF) * s.inT + t + kt - s.padT)
                }
              }
            }
          }
        }
      }
    }
    var raw = [Double](repeating: 0, count: example.clips * s.outChannels * plane)
    products { raw[$1] += w[$0] * x[$2] }

    let count = Double(example.clips * plane)
    func channel(_ at: Int) -> Int { at / plane % s.outChannels }
    var (mean, variance) = (
      [Double](repeating: 0, count: s.outChannels), [Double](repeating: 0, count: s.outChannels)
    )
    for at in raw.indices { mean[channel(at)] += raw[at] / count }
    for at in raw.indices {
      let difference = raw[at] - mean[channel(at)]
      variance[channel(at)] += difference * difference / count
    }
    let deviation = variance.map { ($0 + 1e-5).squareRoot() }
    let hat = raw.indices.map { (raw[$0] - mean[channel($0)]) / deviation[channel($0)] }
    let (gamma, beta) = (example.gamma.map(Double.init), example.beta.map(Double.init))
    let z = hat.indices.map { gamma[channel($0)] * hat[$0] + beta[channel($0)] }
    let activated = z.map { $0 > 0 ? $0 : expm1($0) }

    var dz = [Double](repeating: 0, count: raw.count)
    y = []
    let (outF, outT) = (s.outF / example.pool.f, s.outT / example.pool.t)
    for planeStart in stride(from: 0, to: raw.count, by: plane) {
      for (f, t) in (0..<outF).flatMap({ f in (0..<outT).map { (f, $0) } }) {
        let window = (0..<example.pool.f).flatMap { i in
          (0..<example.pool.t).map { j in
            planeStart + (f * example.pool.f + i) * s.outT + t * example.pool.t + j
          }
        }
        let dy = upstream[y.count]
        if example.averages {
          y.append(window.reduce(0) { $0 + activated[$1] } / Double(window.count))
          for at in window { dz[at] = dy / Double(window.count) * (z[at] > 0 ? 1 : exp(z[at])) }
        } else {
          // By the raw values, of which equal ones stay equal: the first among the largest, or
          // among the smallest where γ is negative.
          let sign = gamma[channel(planeStart)] < 0 ? -1.0 : 1.0
          var best = window[0]
          for at in window where raw[at] * sign > raw[best] * sign + 1e-9 { best = at }
          y.append(activated[best])
          dz[best] = dy * (z[best] > 0 ? 1 : exp(z[best]))
        }
      }
    }
    (dGamma, dBeta) = (mean.map { _ in 0 }, mean.map { _ in 0 })
    for at in dz.indices {
      dBeta[channel(at)] += dz[at]
      dGamma[channel(at)] += dz[at] * hat[at]
    }
    let (sum, productSum) = (dBeta, dGamma)
    let dRaw = dz.indices.map { at in
      let c = channel(at)
      return gamma[c] / deviation[c] * (dz[at] - sum[c] / count - hat[at] * productSum[c] / count)
    }
    var (dWeight, dx) = (w.map { _ in 0.0 }, x.map { _ in 0.0 })
    products {
      dWeight[$0] += dRaw[$1] * x[$2]
      dx[$2] += dRaw[$1] * w[$0]
    }
    (self.mean, self.variance, self.dWeight, self.dx) = (mean, variance, dWeight, dx)
  }
}

@Suite("The fused block")
struct FusedBlockTests {
  /// Direct sums are within 2e-6 of the largest value; Winograd's transforms cost another factor of
  /// three or four.
  @Test("forward and backward are those of the plain definition", arguments: FusedCase.all)
  func definition(_ example: FusedCase) {
    let plain = PlainBlock(example)
    let results = withPool { example.run($0) }
    func expect(_ actual: [Float], _ expected: [Double], _ relative: Double, _ what: Comment) {
      let largest = expected.map(abs).max() ?? 0
      expectClose(actual, expected, within: { _ in relative * largest + 1e-7 }, what)
    }
    expect(results.mean, plain.mean, 4e-6, "mean")
    expect(results.variance, plain.variance, 4e-6, "variance")
    expect(results.y, plain.y, 4e-6, "output")
    expect(results.evaluated, plain.y, 4e-6, "output of evaluation")
    expect(results.dBeta, plain.dBeta, 4e-6, "gradient of β")
    expect(results.dGamma, plain.dGamma, 4e-6, "gradient of γ")
    expect(results.dWeight, plain.dWeight, 1e-5, "gradient of the weight")
    expect(results.dx, plain.dx, 1e-5, "gradient of the input")
  }

  @Test("the bits do not depend on the number of threads", arguments: FusedCase.all)
  func threads(_ example: FusedCase) {
    expectSameBits("block") { pool in example.run(pool).all }
  }

  @Test("the same numbers come out without the input's gradient", arguments: FusedCase.all)
  func withoutInputGradient(_ example: FusedCase) {
    let (with, without) = withPool {
      (example.run($0), example.run($0, needsInputGradient: false))
    }
    #expect(bits(with.dWeight) == bits(without.dWeight))
  }

  @Test("a NaN in the input reaches the output", arguments: [0, 3, 5, 12])
  func notANumber(number: Int) {
    let example = FusedCase.all[number]
    var x = example.x
    x[x.count / 2] = .nan
    let y = Fenced(example.output)
    withPool { pool in
      let block = kernels.block.init(
        example.shape, poolF: example.pool.f, poolT: example.pool.t, averages: false,
        clips: example.clips, pool: pool)
      let channels = example.shape.outChannels
      block.evaluate(
        Tensor(x, shape: example.input),
        weight: Tensor(example.weight, shape: [example.shape.weightCount]),
        scale: Tensor(Array(repeating: 1, count: channels), shape: [channels]),
        shift: Tensor(shape: [channels]), into: y.tensor,
        scratch: Tensor(shape: [
          kernels.block.scratchCount(
            example.shape, poolF: example.pool.f, poolT: example.pool.t, averages: false,
            clips: example.clips, threads: 1)
        ]))
    }
    #expect(y.tensor.values.contains { $0.isNaN })
  }
}
