import Foundation
import Kernels
import Testing

/// Every function of matrices, at every length of row from empty to five vectors: whole vectors,
/// ragged ends, and rows that do not touch.
@Suite("Arithmetic of matrices element by element")
struct ElementwiseTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let run: @Sendable (_ z: Matrix, _ x: Matrix, _ y: Matrix) -> Void
    let expected: @Sendable (_ z: Double, _ x: Double, _ y: Double) -> Double
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "fill") { z, _, _ in
      z.fill(2.5)
    } expected: { _, _, _ in
      2.5
    },
    Case(name: "copy") { z, x, _ in
      z.copy(x)
    } expected: { _, x, _ in
      x
    },
    Case(name: "add") { z, x, _ in
      z.add(x)
    } expected: { z, x, _ in
      z + x
    },
    Case(name: "scale") { z, _, _ in
      z.scale(-1.75)
    } expected: { z, _, _ in
      z * -1.75
    },
    Case(name: "hadamard") { z, x, y in
      z.hadamard(x, y)
    } expected: { _, x, y in
      x * y
    },
    Case(name: "hadamard in place") { z, x, _ in
      z.hadamard(z, x)
    } expected: { z, x, _ in
      z * x
    },
    Case(name: "add hadamard") { z, x, y in
      z.addHadamard(x, y)
    } expected: { z, x, y in
      z + x * y
    },
    Case(name: "add complement hadamard") { z, x, y in
      z.addComplementHadamard(x, y)
    } expected: { z, x, y in
      z + (1 - x) * y
    },
    Case(name: "blend") { z, x, _ in
      z.blend(x, share: 0.3)
    } expected: { z, x, _ in
      0.7 * z + 0.3 * x
    },
    Case(name: "difference") { z, x, y in
      z.difference(x, y)
    } expected: { _, x, y in
      x - y
    },
    Case(name: "sigmoid") { z, _, _ in
      z.sigmoid()
    } expected: { z, _, _ in
      1 / (1 + exp(-z))
    },
    Case(name: "hard sigmoid") { z, _, _ in
      z.hardSigmoid()
    } expected: { z, _, _ in
      min(max(0.2 * z + 0.5, 0), 1)
    },
    Case(name: "tanh") { z, _, _ in
      z.tanh()
    } expected: { z, _, _ in
      tanh(z)
    },
    Case(name: "elu") { z, _, _ in
      z.elu()
    } expected: { z, _, _ in
      z > 0 ? z : expm1(z)
    },
    Case(name: "relu") { z, _, _ in
      z.relu()
    } expected: { z, _, _ in
      max(z, 0)
    },
    Case(name: "sigmoid's slope") { z, x, _ in
      z.multiplySigmoidSlope(x)
    } expected: { z, x, _ in
      z * x * (1 - x)
    },
    Case(name: "hard sigmoid's slope") { z, x, _ in
      z.multiplyHardSigmoidSlope(x)
    } expected: { z, x, _ in
      x > 0 && x < 1 ? 0.2 * z : 0
    },
    Case(name: "tanh's slope") { z, x, _ in
      z.multiplyTanhSlope(x)
    } expected: { z, x, _ in
      z * (1 - x * x)
    },
    Case(name: "elu's slope") { z, x, _ in
      z.multiplyELUSlope(x)
    } expected: { z, x, _ in
      x > 0 ? z : z * (x + 1)
    },
    Case(name: "relu's slope") { z, x, _ in
      z.multiplyReLUSlope(x)
    } expected: { z, x, _ in
      x > 0 ? z : 0
    },
  ]

  @Test("each function equals its formula at every length, inside its window", arguments: cases)
  func function(_ function: Case) {
    for columns in 0...40 {
      let z = Window((3, columns), seed: 10 + columns, in: -3...3)
      let x = Window((3, columns), seed: 100 + columns)
      let y = Window((3, columns), seed: 200 + columns)
      let expected = (0..<(3 * columns)).map { i in
        function.expected(Double(z.values[i]), Double(x.values[i]), Double(y.values[i]))
      }
      let (xBefore, yBefore) = (x.values, y.values)
      function.run(z.matrix, x.matrix, y.matrix)
      // Values are at most 4 and a function rounds a handful of times: 4 · 4 · 2⁻²⁴.
      expectClose(z.values, expected, within: { _ in 1e-6 }, "\(columns) columns")
      #expect(x.values == xBefore && y.values == yBefore)
      #expect(z.marginIsIntact && x.marginIsIntact && y.marginIsIntact)
    }
  }

  @Test("an element's bits do not depend on where in its row it lies", arguments: cases)
  func position(_ function: Case) {
    let (zs, xs, ys) = (
      noiseValues(40, seed: 1, in: -3...3), noiseValues(40, seed: 2), noiseValues(40, seed: 3)
    )
    func run(_ range: Range<Int>) -> [UInt32] {
      let z = Tensor(Array(zs[range]), shape: [1, range.count])
      function.run(
        z.matrix(), Tensor(Array(xs[range]), shape: [1, range.count]).matrix(),
        Tensor(Array(ys[range]), shape: [1, range.count]).matrix())
      return bits(z.values)
    }
    let whole = run(0..<40)
    for start in 0..<9 {
      for end in (start + 1)...40 { #expect(run(start..<end) == Array(whole[start..<end])) }
    }
  }

  @Test("a row is added to every row; rows are summed from the first to the last")
  func rows() {
    for columns in 0...40 {
      let x = Window((4, columns), seed: columns)
      let before = x.values
      let bias = Tensor.noise([columns], seed: 50)
      let sums = Fenced([columns])
      x.matrix.columnSums(into: sums.tensor)
      x.matrix.add(row: bias)
      for c in 0..<columns {
        let column = (0..<4).map { before[$0 * columns + c] }
        #expect(sums.tensor.values[c] == ((column[0] + column[1]) + column[2]) + column[3])
        for r in 0..<4 { #expect(x[r, c] == column[r] + bias.values[c]) }
      }
      #expect(x.marginIsIntact && sums.isIntact)
    }
  }
}
