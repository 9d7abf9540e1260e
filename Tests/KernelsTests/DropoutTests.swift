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

  /// The channel block drops plane by plane, whole tensors are dropped in one go. Planes of 15
  /// values start in the middle of the stream's blocks of eight.
  @Test("the mask does not depend on how the indices are split", arguments: [1, 2, 3])
  func split(threads: Int) {
    let shape: Shape = [3, 5, 3, 5]
    let x = Tensor.noise(shape, seed: 3, in: 1...2)
    let y = Fenced(shape)
    let (ones, zeros) = (
      Tensor(Array(repeating: 1, count: 5), shape: [5]), Tensor(shape: [5])
    )
    let choices = Fenced([ChannelBlock.choiceCount(windows: 75, clips: 3)])
    let dropout = Dropout(rate: 0.4, stream: Self.stream)
    withPool(threads: threads) { pool in
      // Positive values pass through windows of one value, scale 1 and ELU unchanged.
      ChannelBlock(
        channels: 5, bands: 3, frames: 5, poolF: 1, poolT: 1, averages: false, pool: pool
      ).forward(
        x, scale: ones, shift: zeros, choices: choices.tensor, dropout: dropout, into: y.tensor)
    }
    dropout.apply(to: x)
    #expect(y.tensor.values == x.values)
    #expect(y.isIntact && choices.isIntact)
  }
}
