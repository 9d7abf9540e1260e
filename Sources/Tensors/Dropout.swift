import CVector

/// Inverted dropout: each value is dropped with probability `rate`, the others grow by 1/(1 − rate).
///
/// Whether value i is dropped is a function of the random stream and of i: 16 random bits a value,
/// so that the rate is met to 1/65,536.
package struct Dropout {
  package let stream: RandomStream
  private let threshold: UInt32
  package let keepScale: Float

  /// - Precondition: 0 ≤ rate < 1
  package init(rate: Float, stream: RandomStream) {
    precondition(rate >= 0 && rate < 1, "Dropout: rate \(rate)")
    self.stream = stream
    // A rate next to one keeps one value in 65,536, so that the scale stays finite.
    threshold = min(UInt32((rate * 65_536).rounded()), 65_535)
    keepScale = 65_536 / Float(65_536 - threshold)
  }

  /// Drops or scales `count` values, the first of which has index `firstIndex` in the stream; on a
  /// gradient it does what it did to the value.
  func apply(to x: Pointer, count: Int, firstIndex: Int) {
    var index = firstIndex
    let end = firstIndex + count
    while index < end {
      // A group of the stream's words makes 64 draws.
      let group = index >> 6
      let stop = min((group + 1) << 6, end)
      stream.withWords(ofGroup: group) { words in
        let draws = UnsafeRawPointer(words).assumingMemoryBound(to: UInt16.self)
        forVectors(stop &- index) { i in
          kept(Vector(loading: x, index &- firstIndex &+ i), draws + (index &+ i) & 63)
            .store(x, index &- firstIndex &+ i)
        } ragged: { i, n in
          for k in i..<(i &+ n) {
            let at = index &- firstIndex &+ k
            x[at] = draws[(index &+ k) & 63] < threshold ? 0 : x[at] * keepScale
          }
        }
      }
      index = stop
    }
  }

  @inline(__always)
  private func kept(_ x: Vector, _ draws: UnsafePointer<UInt16>) -> Vector {
    cv_where_at_least(
      cv_load_shorts(draws), Int32(truncatingIfNeeded: threshold), x * splat(keepScale))
  }

  /// Drops or scales every value of `x`.
  package func apply(to x: Tensor) { apply(to: x.base, count: x.count, firstIndex: 0) }
}
