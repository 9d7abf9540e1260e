import Kernels
import Testing

@Suite("Dropout")
struct DropoutTests {
  static let stream = RandomStream(seed: 11, purpose: .dropout, time: 3, lane: 2, place: 1)

  @Test(
    "the rate is met and what is kept grows by it", arguments: [0.1, 0.25, 0.5, 0.9] as [Float])
  func rate(rate: Float) {
    let count = 200_000
    let x = Tensor.noise([count], seed: 1, in: 1...2)
    let before = x.values
    let dropout = Dropout(rate: rate, stream: Self.stream)
    dropout.apply(to: x)
    let dropped = x.values.filter { $0 == 0 }.count
    // Five standard deviations of a binomial count.
    let deviation = (Float(count) * rate * (1 - rate)).squareRoot()
    #expect(abs(Float(dropped) - Float(count) * rate) < 5 * deviation)
    #expect(zip(x.values, before).allSatisfy { $0 == 0 || $0 == $1 * dropout.keepScale })
    // The rate is a multiple of 1/65,536, so the growth is off by that over the share kept.
    #expect(abs(dropout.keepScale * (1 - rate) - 1) < 1 / 65_536 / (1 - rate))
  }

  @Test("what is dropped is where 16 bits of the stream are below the rate")
  func bitsOfTheStream() {
    let x = Tensor(Array(repeating: 1, count: 1003), shape: [1003])
    let dropout = Dropout(rate: 0.3, stream: Self.stream)
    dropout.apply(to: x)
    let threshold = UInt32((0.3 * 65_536).rounded())
    for (index, value) in x.values.enumerated() {
      let word = Self.stream.word(index / 2)
      let draw = index % 2 == 0 ? word & 0xFFFF : word >> 16
      #expect((value == 0) == (draw < threshold))
    }
  }

  @Test("values and gradients meet the same mask; another stream has another")
  func mask() {
    func mask(_ values: [Float], _ stream: RandomStream) -> [Bool] {
      let x = Tensor(values, shape: [values.count])
      Dropout(rate: 0.5, stream: stream).apply(to: x)
      return x.values.map { $0 == 0 }
    }
    let values = mask(noiseValues(501, seed: 1, in: 1...2), Self.stream)
    #expect(values == mask(noiseValues(501, seed: 2, in: -9 ... -1), Self.stream))
    let others = [
      RandomStream(seed: 11, purpose: .dropout, time: 4, lane: 2, place: 1),
      RandomStream(seed: 11, purpose: .dropout, time: 3, lane: 1, place: 1),
      RandomStream(seed: 11, purpose: .dropout, time: 3, lane: 2, place: 2),
    ]
    for other in others { #expect(values != mask(noiseValues(501, seed: 1, in: 1...2), other)) }
  }

  @Test("a rate of zero changes nothing; a rate next to one stays finite")
  func extremes() {
    let x = Tensor.noise([100], seed: 1)
    let before = x.values
    Dropout(rate: 0, stream: Self.stream).apply(to: x)
    #expect(x.values == before)
    let nearlyAll = Dropout(rate: Float(1).nextDown, stream: Self.stream)
    nearlyAll.apply(to: x)
    #expect(nearlyAll.keepScale.isFinite && x.values.allSatisfy { $0.isFinite })
  }

  /// The fused block drops row by row, whole tensors are dropped in one go. Rows of 5 values start
  /// in the middle of the stream's blocks of eight.
  @Test("the mask does not depend on how the indices are split", arguments: [1, 2, 3])
  func split(threads: Int) {
    let example = FusedCase(channels: (2, 5), map: (3, 5), kernel: (3, 3), pool: (1, 1))
    let dropout = Dropout(rate: 0.4, stream: Self.stream)
    let dropped = withPool(threads: threads) { example.run($0, dropout: dropout).y }
    let whole = Tensor(withPool { example.run($0).y }, shape: [dropped.count])
    dropout.apply(to: whole)
    #expect(dropped == whole.values)
  }
}
