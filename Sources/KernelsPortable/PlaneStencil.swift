import Tensors

/// The input's gradient as far as it follows from the input itself: tap by tap, how much of each value
/// around an output, and how much in any case.
struct PlaneStencil {
  /// `[tap][tap']`, then `[tap]`.
  let values: Pointer

  /// Σ over channels of w[tap] · slope · w[tap'], and of w[tap] · offset.
  init(
    weight: Pointer, taps: Int, channels: Int, slope: Pointer, offset: Pointer,
    into values: Pointer
  ) {
    for tap in 0..<taps {
      for other in 0...taps {
        var sum = 0.0
        for c in 0..<channels {
          let w = weight + c * taps
          let factor = other < taps ? slope[c] * w[other] : offset[c]
          sum += Double(w[tap]) * Double(factor)
        }
        values[other < taps ? tap * taps + other : taps * taps + tap] = Float(sum)
      }
    }
    self.values = values
  }
}
