/// Philox4x32-10: random numbers as a function of a key and a counter.
///
/// Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011). There is no
/// state to pass on: who knows the place of a number knows the number, on whichever machine.
package struct Philox: Sendable {
  package let key: SIMD2<UInt32>

  package init(key: SIMD2<UInt32>) { self.key = key }

  /// Four words of 32 random bits for one counter.
  package func callAsFunction(_ counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let first = UInt64(c.x) &* 0xD251_1F53
      let second = UInt64(c.z) &* 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: first))
      k = k &+ SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return c
  }
}

/// One stream of random numbers of a run: a function of (seed, purpose, time, lane, index).
package struct RandomStream: Sendable {
  /// What the numbers are for; streams of different purposes never meet.
  package enum Purpose: UInt32, Sendable {
    case initialWeights = 1
    case shuffle = 2
    case dropout = 3
    case crop = 4
    case mask = 5
  }

  /// The key, and the upper half of every counter.
  package let philox: Philox
  package let high: SIMD2<UInt32>

  /// - Parameters:
  ///   - seed: the run's seed
  ///   - time: epoch or step, or whatever orders the uses of this purpose
  ///   - lane: the lane, or a layer's place in its network: below 2^16
  ///   - place: tells apart streams of one lane, such as layers that drop: below 2^16
  package init(seed: UInt64, purpose: Purpose, time: Int = 0, lane: Int = 0, place: Int = 0) {
    precondition(lane >= 0 && lane < 1 << 16 && place >= 0 && place < 1 << 16, "RandomStream")
    // The purpose goes through the key: it is mixed with the seed, not added to it, so that
    // neighbouring seeds do not share streams.
    philox = Philox(
      key: Philox(
        key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))(
          SIMD4(purpose.rawValue, UInt32(truncatingIfNeeded: time >> 32), 0, 0)
        ).lowHalf)
    high = SIMD2(UInt32(lane) << 16 | UInt32(place), UInt32(truncatingIfNeeded: time))
  }

  /// Words 4·block … 4·block + 3 of the stream.
  package func block(_ block: Int) -> SIMD4<UInt32> {
    philox(
      SIMD4(
        UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32), high.x, high.y))
  }

  /// Word `index` of the stream.
  package func word(_ index: Int) -> UInt32 { block(index / 4)[index % 4] }

  /// Number `index` of the stream in 0..<bound, each as likely as another to a share of bound/2³².
  package func below(_ bound: Int, _ index: Int) -> Int {
    precondition(bound > 0 && bound <= 1 << 32, "RandomStream: below \(bound)")
    return Int((UInt64(word(index)) * UInt64(bound)) >> 32)
  }

  /// Number `index` of the stream in [0, 1), a multiple of 2^-24.
  package func uniform(_ index: Int) -> Float { Float(word(index) >> 8) * 0x1p-24 }
}
