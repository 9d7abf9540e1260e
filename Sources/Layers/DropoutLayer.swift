import Kernels

/// Dropout between dense layers: in training it drops values at `rate`, in evaluation it copies.
package struct DropoutLayer: Layer {
  package let name: String
  package let input: Shape
  package let rate: Float

  package init(name: String, input: Shape, rate: Float) {
    self.name = name
    self.input = input
    self.rate = rate
  }

  package var output: Shape { input }
  package var summary: String { "dropout \(rate)" }

  package func forward(_ pass: Pass) { copy(pass.x, to: pass.y, pass) }

  package func backward(_ pass: Pass) {
    if let dx = pass.dx { copy(pass.outputGradient, to: dx, pass) }
  }

  /// What is dropped depends on the stream alone: the gradient meets the same mask as the value.
  private func copy(_ from: Tensor, to: Tensor, _ pass: Pass) {
    to.matrix().copy(from.matrix())
    if let stream = pass.training { Dropout(rate: rate, stream: stream).apply(to: to) }
  }
}
