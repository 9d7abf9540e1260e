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

  /// Drops or scales `count` values, the first of which has index `firstIndex` in the stream.
  func apply(to x: Pointer, count: Int, firstIndex: Int, dropped: (Int) -> Void) {
    forEachDraw(count: count, firstIndex: firstIndex) { i, draw in
      if draw < threshold {
        x[i] = 0
        dropped(i)
      } else {
        x[i] *= keepScale
      }
    }
  }

  /// Drops or scales every value of `x`; on a gradient it does what it did to the value.
  package func apply(to x: Tensor) {
    apply(to: x.base, count: x.count, firstIndex: 0) { _ in }
  }

  @inline(__always)
  private func forEachDraw(count: Int, firstIndex: Int, _ body: (Int, UInt32) -> Void) {
    var i = 0
    while i < count {
      let index = firstIndex + i
      let words = stream.block(index >> 3)
      var k = index & 7
      while k < 8 && i < count {
        let word = words[k >> 1]
        body(i, k & 1 == 0 ? word & 0xFFFF : word >> 16)
        k &+= 1
        i &+= 1
      }
    }
  }
}
