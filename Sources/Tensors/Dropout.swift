/// Inverted dropout: each value is dropped with probability `rate`, the others grow by 1/(1 − rate).
///
/// Whether value i is dropped is a function of the random stream and of i: 16 random bits a value,
/// so that the rate is met to 1/65,536.
package struct Dropout {
  package let stream: RandomStream
  /// Draws of 16 bits below it drop.
  package let threshold: UInt32
  package let keepScale: Float

  /// - Precondition: 0 ≤ rate < 1
  package init(rate: Float, stream: RandomStream) {
    precondition(rate >= 0 && rate < 1, "Dropout: rate \(rate)")
    self.stream = stream
    // A rate next to one keeps one value in 65,536, so that the scale stays finite.
    threshold = min(UInt32((rate * 65_536).rounded()), 65_535)
    keepScale = 65_536 / Float(65_536 - threshold)
  }
}
