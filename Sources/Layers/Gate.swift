import Kernels

/// What squashes the gates of a recurrent unit into 0…1.
package enum Gate: String, Sendable, CaseIterable {
  /// 1 / (1 + e⁻ᵃ)
  case sigmoid
  /// clip(0.2 a + 0.5, 0, 1), as the first versions of Keras had it
  case hardSigmoid

  /// For a layer's summary: empty for the usual one.
  var remark: String { self == .hardSigmoid ? ", hard sigmoid" : "" }

  func squash(_ gates: Matrix) {
    switch self {
    case .sigmoid: gates.sigmoid()
    case .hardSigmoid: gates.hardSigmoid()
    }
  }

  /// From the gradient of squashed gates to that of what they were: slope ∘= dy/da.
  func multiplySlope(_ slope: Matrix, _ squashed: Matrix) {
    switch self {
    case .sigmoid: slope.multiplySigmoidSlope(squashed)
    case .hardSigmoid: slope.multiplyHardSigmoidSlope(squashed)
    }
  }
}
