import Kernels
import Testing

@Suite("Random streams")
struct PhiloxTests {
  struct KnownAnswer: Sendable {
    let counter: SIMD4<UInt32>
    let key: SIMD2<UInt32>
    let answer: SIMD4<UInt32>
  }

  /// philox4x32-10 of `kat_vectors` in the Random123 distribution.
  static let knownAnswers = [
    KnownAnswer(
      counter: .zero, key: .zero,
      answer: SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
    KnownAnswer(
      counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max),
      answer: SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)),
    KnownAnswer(
      counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344),
      key: SIMD2(0xA409_3822, 0x299F_31D0),
      answer: SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)),
  ]

  @Test("Philox gives the published answers", arguments: knownAnswers)
  func answers(_ known: KnownAnswer) {
    #expect(Philox(key: known.key)(known.counter) == known.answer)
  }

  @Test("words are the blocks' words, also far beyond 2³² words")
  func words() {
    let stream = RandomStream(seed: 1, purpose: .shuffle)
    for start in [0, 4 << 32] {
      for index in start..<(start + 12) {
        #expect(stream.word(index) == stream.block(index / 4)[index % 4])
        #expect(stream.uniform(index) == Float(stream.word(index) >> 8) / 16_777_216)
      }
    }
    #expect(stream.block(0) != stream.block(1 << 32))
  }

  @Test("streams that differ in one thing share nothing")
  func apart() {
    var streams: [RandomStream] = []
    for seed in [UInt64(0), 1, 2, 1 << 32, .max] {
      for purpose in [RandomStream.Purpose.initialWeights, .shuffle, .dropout, .crop, .mask] {
        streams.append(RandomStream(seed: seed, purpose: purpose))
      }
    }
    for time in [1, 2, 1 << 32] {
      streams.append(RandomStream(seed: 1, purpose: .dropout, time: time))
    }
    for lane in [1, 2, 65_535] {
      streams.append(RandomStream(seed: 1, purpose: .dropout, lane: lane))
      streams.append(RandomStream(seed: 1, purpose: .dropout, place: lane))
    }
    let words = streams.flatMap { stream in (0..<64).map { stream.word($0) } }
    // About 1,700 words of 32 bits: one chance meeting in 3,000 such sets, and these are fixed.
    #expect(Set(words).count == words.count)
  }

  @Test("numbers below a bound are the words' share of it", arguments: [1, 2, 3, 1366, 1 << 32])
  func below(bound: Int) {
    let stream = RandomStream(seed: 5, purpose: .crop)
    for index in 0..<1000 {
      let expected = Double(stream.word(index)) / 0x1p32 * Double(bound)
      #expect(stream.below(bound, index) == Int(expected))
    }
  }

  @Test("uniform numbers are even over [0, 1)")
  func uniform() {
    let stream = RandomStream(seed: 5, purpose: .initialWeights)
    let count = 100_000
    var bins = [Int](repeating: 0, count: 20)
    for index in 0..<count {
      let u = stream.uniform(index)
      #expect(u >= 0 && u < 1)
      bins[Int(u * 20)] += 1
    }
    // 5,000 a bin expected, deviation 69: five of them.
    #expect(bins.allSatisfy { abs($0 - count / 20) < 345 }, "\(bins)")
  }
}
