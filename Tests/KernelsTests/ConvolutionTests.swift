import Kernels
import Testing

@Suite("Convolution")
struct ConvolutionTests {
  @Test("the output is the sum over the kernel, plus the bias", arguments: ConvolutionCase.all)
  func forward(_ example: ConvolutionCase) {
    let (x, w, bias) = (example.x.values, example.weight.values, example.bias.values)
    var expected = Array(repeating: ExactSum(), count: example.dy.count)
    example.forEachProduct { y, input, weight in
      expected[y].add(Double(x[input]) * Double(w[weight]))
    }
    expectClose(example.forward(bias: nil), expected, "without bias")

    let positions = example.shape.outF * example.shape.outT
    for i in expected.indices {
      expected[i].add(Double(bias[i / positions % example.shape.outChannels]))
    }
    expectClose(example.forward(bias: example.bias), expected, "with bias")
  }

  @Test("an input's gradient sums over the outputs it reached", arguments: ConvolutionCase.all)
  func inputGradient(_ example: ConvolutionCase) {
    let (dy, w) = (example.dy.values, example.weight.values)
    var expected = Array(repeating: ExactSum(), count: example.x.count)
    example.forEachProduct { y, input, weight in
      expected[input].add(Double(dy[y]) * Double(w[weight]))
    }
    expectClose(example.inputGradient(), expected, "input gradient")
  }

  @Test("a weight's gradient sums over clips and positions", arguments: ConvolutionCase.all)
  func weightGradient(_ example: ConvolutionCase) {
    let (dy, x) = (example.dy.values, example.x.values)
    var expected = Array(repeating: ExactSum(), count: example.weight.count)
    example.forEachProduct { y, input, weight in
      expected[weight].add(Double(dy[y]) * Double(x[input]))
    }
    expectClose(example.weightGradient(), expected, "weight gradient")
  }

  @Test("the bits do not depend on the number of threads", arguments: ConvolutionCase.all)
  func threads(_ example: ConvolutionCase) {
    expectSameBits("output") { example.forward(bias: example.bias, $0) }
    expectSameBits("input gradient") { example.inputGradient($0) }
    expectSameBits("weight gradient") { example.weightGradient($0) }
  }

  @Test("a clip's bits do not depend on the clips beside it")
  func clips() {
    let three = ConvolutionCase(3, 5, map: (7, 11), kernel: (3, 3), clips: 3)
    let one = ConvolutionCase(3, 5, map: (7, 11), kernel: (3, 3), clips: 1)
    // The noise of the first clip is the same in both.
    let (together, alone) = (three.forward(bias: nil), one.forward(bias: nil))
    #expect(bits(Array(together.prefix(alone.count))) == bits(alone))
  }

  @Test("same padding keeps the size and puts the extra zero after; valid padding takes it off")
  func sizes() {
    let same = ConvolutionCase(1, 1, map: (7, 9), kernel: (3, 4)).shape
    #expect(same.outF == 7 && same.outT == 9 && same.padF == 1 && same.padT == 1)
    let valid = ConvolutionCase(2, 3, map: (96, 9), kernel: (96, 4), paddingF: .valid).shape
    #expect(valid.outF == 1 && valid.outT == 9 && valid.padF == 0)
    #expect(valid.inner == 2 * 96 * 4 && valid.weightCount == 3 * valid.inner)
    #expect(valid.multiplyAdds == 9 * valid.weightCount)
  }
}

/// A convolution, its operands, and the three passes in windows of exactly the stated sizes.
struct ConvolutionCase: Sendable, CustomTestStringConvertible {
  let shape: ConvolutionShape
  let clips: Int

  static let all = [
    ConvolutionCase(1, 1, map: (1, 1), kernel: (1, 1), clips: 1),
    ConvolutionCase(3, 5, map: (7, 11), kernel: (1, 1)),
    // maps smaller than the kernel
    ConvolutionCase(1, 1, map: (1, 1), kernel: (3, 3)),
    ConvolutionCase(2, 3, map: (2, 2), kernel: (3, 3)),
    ConvolutionCase(2, 3, map: (3, 1), kernel: (5, 5)),
    ConvolutionCase(3, 2, map: (5, 2), kernel: (1, 4)),
    ConvolutionCase(1, 2, map: (1, 2), kernel: (1, 4)),
    // one channel on either side
    ConvolutionCase(1, 7, map: (9, 13), kernel: (3, 3), clips: 3),
    ConvolutionCase(7, 1, map: (9, 13), kernel: (3, 3), clips: 3),
    // even kernels, and kernels without padding
    ConvolutionCase(3, 5, map: (5, 13), kernel: (1, 4)),
    ConvolutionCase(1, 5, map: (5, 13), kernel: (1, 4)),
    ConvolutionCase(2, 3, map: (6, 5), kernel: (4, 2)),
    ConvolutionCase(2, 3, map: (6, 9), kernel: (5, 3), paddingF: .valid, paddingT: .valid),
    ConvolutionCase(1, 3, map: (6, 9), kernel: (2, 4), paddingT: .valid),
    // over the whole band axis, and with one band left over
    ConvolutionCase(1, 6, map: (96, 37), kernel: (96, 4), paddingF: .valid),
    ConvolutionCase(3, 2, map: (97, 11), kernel: (96, 4), paddingF: .valid),
    // several tiles, whose ends fall inside rows
    ConvolutionCase(16, 9, map: (24, 61), kernel: (3, 3)),
    ConvolutionCase(1, 2, map: (20, 1441), kernel: (3, 3)),
    ConvolutionCase(67, 65, map: (7, 29), kernel: (3, 3), clips: 1),
    ConvolutionCase(33, 67, map: (3, 121), kernel: (1, 4)),
  ]

  init(
    _ inChannels: Int, _ outChannels: Int, map: (f: Int, t: Int), kernel: (f: Int, t: Int),
    paddingF: ConvolutionShape.Padding = .same, paddingT: ConvolutionShape.Padding = .same,
    clips: Int = 2
  ) {
    shape = ConvolutionShape(
      inChannels: inChannels, outChannels: outChannels, inF: map.f, inT: map.t,
      kernelF: kernel.f, kernelT: kernel.t, paddingF: paddingF, paddingT: paddingT)
    self.clips = clips
  }

  var testDescription: String {
    "\(clips) × \(shape.inChannels)→\(shape.outChannels), \(shape.inF) × \(shape.inT), "
      + "kernel \(shape.kernelF) × \(shape.kernelT), padded by \(shape.padF) and \(shape.padT)"
  }

  var x: Tensor { .noise([clips, shape.inChannels, shape.inF, shape.inT], seed: 1) }
  var weight: Tensor {
    .noise([shape.outChannels, shape.inChannels, shape.kernelF, shape.kernelT], seed: 2)
  }
  var bias: Tensor { .noise([shape.outChannels], seed: 3) }
  var dy: Tensor { .noise([clips, shape.outChannels, shape.outF, shape.outT], seed: 4) }

  /// The definition: every product that a pass sums, as positions in y, x and w.
  func forEachProduct(_ body: (_ y: Int, _ x: Int, _ w: Int) -> Void) {
    let s = shape
    for n in 0..<clips {
      for o in 0..<s.outChannels {
        for f in 0..<s.outF {
          for t in 0..<s.outT {
            let y = ((n * s.outChannels + o) * s.outF + f) * s.outT + t
            for i in 0..<s.inChannels {
              for kf in 0..<s.kernelF {
                for kt in 0..<s.kernelT {
                  let (row, column) = (f + kf - s.padF, t + kt - s.padT)
                  guard (0..<s.inF).contains(row), (0..<s.inT).contains(column) else { continue }
                  body(
                    y, ((n * s.inChannels + i) * s.inF + row) * s.inT + column,
                    ((o * s.inChannels + i) * s.kernelF + kf) * s.kernelT + kt)
                }
              }
            }
          }
        }
      }
    }
  }

  func forward(bias: Tensor?, _ pool: ThreadPool? = nil) -> [Float] {
    run(into: dy.shape, pool) { convolution, y, scratch in
      convolution.forward(x, weight: weight, bias: bias, into: y, scratch: scratch)
    }
  }

  func inputGradient(_ pool: ThreadPool? = nil) -> [Float] {
    run(into: x.shape, pool) { convolution, dx, scratch in
      convolution.inputGradient(dy, weight: weight, into: dx, scratch: scratch)
    }
  }

  func weightGradient(_ pool: ThreadPool? = nil) -> [Float] {
    run(into: weight.shape, pool) { convolution, dw, scratch in
      convolution.weightGradient(x, dy, into: dw, scratch: scratch)
    }
  }

  private func run(
    into shape: Shape, _ pool: ThreadPool?, _ pass: (Convolution, Tensor, Tensor) -> Void
  ) -> [Float] {
    guard let pool else { return withPool { run(into: shape, $0, pass) } }
    let result = Fenced(shape)
    let scratch = Fenced([
      Convolution.scratchCount(self.shape, clips: clips, threads: pool.threads)
    ])
    pass(Convolution(self.shape, pool: pool), result.tensor, scratch.tensor)
    #expect(result.isIntact && scratch.isIntact, "written outside")
    return result.tensor.values
  }
}
