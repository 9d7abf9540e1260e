import Foundation
import Kernels
import Testing

/// The block takes the pool before the activation and only activates what the pool chose. Its
/// reference does what the networks' description says, in that order and in double precision.
@Suite("The channel block")
struct ChannelBlockTests {
  @Test("the output is dropout of pool of ELU of the scaled map", arguments: BlockCase.all)
  func forward(_ example: BlockCase) {
    let expected = PlainBlock(example).y
    let y = withPool { example.run($0).y }
    // Values are at most 4, times what the kept grow by, and a few roundings each.
    expectClose(y, expected, within: { _ in 4e-6 }, "output")
  }

  @Test("gradients of γ, β and the raw map follow the plain order", arguments: BlockCase.all)
  func backward(_ example: BlockCase) {
    let plain = PlainBlock(example)
    let results = withPool { example.run($0) }
    expectClose(results.dBeta, plain.dBeta, allowance: 4e-6, "β")
    expectClose(results.dGamma, plain.dGamma, allowance: 4e-6, "γ")
    expectClose(results.dRaw, plain.dRaw, within: { _ in 1e-5 }, "raw map")
  }

  @Test("the bits do not depend on the number of threads", arguments: BlockCase.all)
  func threads(_ example: BlockCase) {
    expectSameBits("block") { pool in
      let results = example.run(pool)
      return results.y + results.dBeta + results.dGamma + results.dRaw
    }
  }

  @Test("among equal values the first is chosen", arguments: [1, -1] as [Float])
  func ties(sign: Float) {
    let example = BlockCase(
      pool: (2, 2), map: (4, 4), gammas: [sign], clips: 1,
      raw: [1, 1, 2, 3, 1, 1, 3, 2, 0, 5, 4, 4, 5, 0, 4, 4])
    let results = withPool { example.run($0, dy: [1, 10, 100, 1000]) }
    // Where dz lands: add back the dense part, which two equal raw values share.
    let landed: [Int] = sign > 0 ? [0, 3, 9, 10] : [0, 2, 8, 10]
    let plain = PlainBlock(example, dy: [1, 10, 100, 1000])
    #expect(plain.chosen == landed)
    expectClose(results.dRaw, plain.dRaw, within: { _ in 1e-3 }, "raw map")
  }

  @Test(
    "NaN in a window is seen in its output, wherever it lies, and nowhere else",
    arguments: [false, true], [1, -1, 0] as [Float])
  func notANumber(averages: Bool, gamma: Float) {
    for place in 0..<6 {
      var example = BlockCase(
        pool: (2, 3), map: (4, 6), averages: averages, gammas: [gamma], clips: 1)
      // Window 1 has its corner at frame 3.
      example.raw[3 + place / 3 * 6 + place % 3] = .nan
      let y = withPool { example.run($0).y }
      #expect(y.map(\.isNaN) == [false, true, false, false], "NaN at \(place)")
    }
  }

  @Test("the last value of the largest window can be chosen: 255 marks the dropped")
  func largestWindow() {
    var example = BlockCase(pool: (15, 17), map: (15, 17), gammas: [1], clips: 1)
    example.raw[254] = 5
    #expect(PlainBlock(example).chosen == [254])
    let dRaw = withPool { example.run($0).dRaw }
    expectClose(dRaw, PlainBlock(example).dRaw, within: { _ in 1e-5 }, "raw map")
  }
}

/// A raw map and the numbers of its channels; the passes run in windows of exactly the stated size.
struct BlockCase: Sendable, CustomTestStringConvertible {
  let pool: (f: Int, t: Int)
  let map: (f: Int, t: Int)
  let averages: Bool
  let gammas: [Float]
  let clips: Int
  let rate: Float
  var raw: [Float]

  static let all = [
    BlockCase(pool: (1, 1), map: (3, 5), gammas: [1, -1, 0.5]),
    BlockCase(pool: (2, 2), map: (6, 8), gammas: [1, -1, 0]),
    BlockCase(pool: (2, 4), map: (7, 15), gammas: [0.7, -1.3, 0, 2, -0.2]),
    BlockCase(pool: (3, 5), map: (8, 19), gammas: [-1, 1], rate: 0.5),
    BlockCase(pool: (1, 8), map: (5, 37), gammas: [1, -0.5, 0, 1, 1, -1, 2], rate: 0.1),
    BlockCase(pool: (4, 4), map: (4, 4), gammas: [1, -1], rate: 0.25),
    BlockCase(pool: (2, 3), map: (6, 9), averages: true, gammas: [1, -1, 0]),
    BlockCase(pool: (3, 2), map: (7, 13), averages: true, gammas: [1, -1], rate: 0.5),
    BlockCase(pool: (1, 1), map: (3, 5), averages: true, gammas: [-2, 1]),
  ]

  init(
    pool: (f: Int, t: Int), map: (f: Int, t: Int), averages: Bool = false, gammas: [Float],
    clips: Int = 3, rate: Float = 0, raw: [Float]? = nil
  ) {
    self.pool = pool
    self.map = map
    self.averages = averages
    self.gammas = gammas
    self.clips = clips
    self.rate = rate
    self.raw = raw ?? noiseValues(clips * gammas.count * map.f * map.t, seed: 1, in: -2...2)
  }

  var testDescription: String {
    "\(clips) × \(map.f) × \(map.t), \(averages ? "average" : "max") pool \(pool.f) × \(pool.t), "
      + "γ \(gammas), dropout \(rate)"
  }

  var channels: Int { gammas.count }
  var windows: Int { (map.f / pool.f) * (map.t / pool.t) }
  var outCount: Int { clips * channels * windows }
  var dropout: Dropout? {
    rate > 0 ? Dropout(rate: rate, stream: RandomStream(seed: 3, purpose: .dropout)) : nil
  }

  // Numbers of the channels: mean, deviation and β are drawn, scale and shift follow.
  var mean: [Float] { noiseValues(channels, seed: 2) }
  var inverse: [Float] { noiseValues(channels, seed: 3, in: 0.5...1.5) }
  var scale: [Float] { zip(gammas, inverse).map { $0 * $1 } }
  var shift: [Float] {
    zip(noiseValues(channels, seed: 4), zip(mean, scale)).map { $0 - $1.0 * $1.1 }
  }
  var dy: [Float] { noiseValues(outCount, seed: 5) }

  struct Results {
    let y, dBeta, dGamma, dRaw: [Float]
  }

  /// One forward and one backward pass, by the kernel.
  func run(_ threads: ThreadPool, dy: [Float]? = nil) -> Results {
    let block = ChannelBlock(
      channels: channels, bands: map.f, frames: map.t, poolF: pool.f, poolT: pool.t,
      averages: averages, pool: threads)
    func row(_ values: [Float]) -> Tensor { Tensor(values, shape: [channels]) }
    let (scale, shift, mean, inverse) = (row(scale), row(shift), row(mean), row(inverse))
    let map = Fenced([clips, channels, self.map.f, self.map.t])
    _ = map.tensor.buffer.update(from: raw)
    let y = Fenced([outCount])
    let choices = Fenced([
      ChannelBlock.choiceCount(windows: channels * windows, clips: clips)
    ])
    block.forward(
      map.tensor, scale: scale, shift: shift, choices: choices.tensor, dropout: dropout,
      into: y.tensor)

    let gradient = Fenced([outCount])
    _ = gradient.tensor.buffer.update(from: dy ?? self.dy)
    let (dGamma, dBeta) = (Fenced([channels]), Fenced([channels]))
    block.gradientSums(
      gradient.tensor, raw: map.tensor, scale: scale, shift: shift, mean: mean,
      inverseDeviation: inverse, choices: choices.tensor, keepScale: dropout?.keepScale ?? 1,
      gammaGradient: dGamma.tensor, betaGradient: dBeta.tensor)
    block.rawGradient(
      inPlaceOf: map.tensor, dz: gradient.tensor, scale: scale, shift: shift, mean: mean,
      inverseDeviation: inverse, choices: choices.tensor, gammaGradient: dGamma.tensor,
      betaGradient: dBeta.tensor)
    #expect(
      [map, y, choices, gradient, dGamma, dBeta].allSatisfy { $0.isIntact }, "written outside")
    return Results(
      y: y.tensor.values, dBeta: dBeta.tensor.values, dGamma: dGamma.tensor.values,
      dRaw: map.tensor.values)
  }
}

/// The same in plain order and double precision: activate the whole map, pool it, drop; and back.
struct PlainBlock {
  var y: [Double] = []
  /// Maximum pooling: the position each window chose.
  var chosen: [Int] = []
  var dBeta, dGamma: [ExactSum]
  var dRaw: [Double]

  init(_ example: BlockCase, dy: [Float]? = nil) {
    let (map, pool) = (example.map, example.pool)
    let plane = map.f * map.t
    let channel = { (at: Int) in at / plane % example.channels }
    let raw = example.raw.map(Double.init)
    let (scale, shift) = (example.scale.map(Double.init), example.shift.map(Double.init))
    let z = raw.indices.map { scale[channel($0)] * raw[$0] + shift[channel($0)] }
    let kept = Tensor(Array(repeating: 1, count: example.outCount), shape: [example.outCount])
    example.dropout?.apply(to: kept)

    var dz = Array(repeating: 0.0, count: raw.count)
    let dy = dy ?? example.dy
    let (outF, outT) = (map.f / pool.f, map.t / pool.t)
    for w in 0..<example.outCount {
      let (planeIndex, f, t) = (w / (outF * outT), w / outT % outF, w % outT)
      let corner = planeIndex * plane + f * pool.f * map.t + t * pool.t
      let window = (0..<(pool.f * pool.t)).map { corner + $0 / pool.t * map.t + $0 % pool.t }
      let growth = Double(kept.values[w])
      let gradient = Double(dy[w]) * growth
      if example.averages {
        let share = 1 / Double(window.count)
        y.append(window.map { Self.elu(z[$0]) }.reduce(0, +) * share * growth)
        for at in window { dz[at] += gradient * share * Self.slope(z[at]) }
      } else {
        y.append(window.map { Self.elu(z[$0]) }.max()! * growth)
        // With γ = 0 every value is the maximum; the block takes the side of γ > 0.
        let order = { (at: Int) in scale[channel(at)] == 0 ? raw[at] : z[at] }
        let best = window.dropFirst().reduce(window[0]) { order($1) > order($0) ? $1 : $0 }
        chosen.append(best)
        dz[best] += gradient * Self.slope(z[best])
      }
    }

    dBeta = Array(repeating: ExactSum(), count: example.channels)
    dGamma = dBeta
    let normalized = raw.indices.map {
      (raw[$0] - Double(example.mean[channel($0)])) * Double(example.inverse[channel($0)])
    }
    for at in raw.indices {
      dBeta[channel(at)].add(dz[at])
      dGamma[channel(at)].add(dz[at] * normalized[at])
    }
    let count = Double(example.clips * plane)
    let (sums, products) = (dBeta.map(\.value), dGamma.map(\.value))
    dRaw = raw.indices.map { at in
      let c = channel(at)
      return scale[c] * (dz[at] - sums[c] / count - normalized[at] * products[c] / count)
    }
  }

  private static func elu(_ z: Double) -> Double { z > 0 ? z : expm1(z) }
  private static func slope(_ z: Double) -> Double { z > 0 ? 1 : exp(z) }
}
