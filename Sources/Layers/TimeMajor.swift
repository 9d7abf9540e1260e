import Kernels

/// A map read as a sequence: `[C, F, T]` to `[T, C · F]`, one vector a frame.
package struct TimeMajor: Layer {
  package let name: String
  package let input: Shape

  package init(name: String, input: Shape) {
    precondition(input.rank == 3, "TimeMajor: input \(input)")
    self.name = name
    self.input = input
  }

  package var output: Shape { [input[2], input[0] * input[1]] }
  package var summary: String { "frames as a sequence" }

  package func forward(_ pass: Pass) {
    for clip in 0..<pass.clips { sequence(pass.y, clip).transpose(map(pass.x, clip)) }
  }

  package func backward(_ pass: Pass) {
    guard let dx = pass.dx else { return }
    for clip in 0..<pass.clips {
      map(dx, clip).transpose(sequence(pass.outputGradient, clip))
    }
  }

  private func map(_ x: Tensor, _ clip: Int) -> Matrix {
    let height = input[0] * input[1]
    return x.reshaped([pass(x) * height, input[2]]).matrix()
      .rows((clip * height)..<((clip + 1) * height))
  }

  private func sequence(_ y: Tensor, _ clip: Int) -> Matrix {
    y.reshaped([pass(y) * input[2], input[0] * input[1]]).matrix()
      .rows((clip * input[2])..<((clip + 1) * input[2]))
  }

  private func pass(_ x: Tensor) -> Int { x.count / max(input.count, 1) }
}
