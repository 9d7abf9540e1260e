import Kernels

/// What a sequence says in the end: `[T, H]` to `[H]`, its last step or the mean of all steps.
///
/// A dense layer after the mean equals the mean of that layer at every step.
package struct StepReadout: Layer {
  package enum Choice: String, Sendable { case last, mean }

  package let name: String
  package let input: Shape
  package let choice: Choice

  package init(name: String, input: Shape, _ choice: Choice) {
    precondition(input.rank == 2 && input[0] > 0, "StepReadout: input \(input)")
    self.name = name
    self.input = input
    self.choice = choice
  }

  package var output: Shape { [input[1]] }
  package var summary: String { choice == .last ? "last step" : "mean over steps" }

  package func forward(_ pass: Pass) {
    let y = pass.y.matrix()
    switch choice {
    case .last: y.copy(pass.x.step(input[0] - 1))
    case .mean:
      y.fill(0)
      for t in 0..<input[0] { y.add(pass.x.step(t)) }
      y.scale(1 / Float(input[0]))
    }
  }

  package func backward(_ pass: Pass) {
    guard let dx = pass.dx else { return }
    let dy = pass.outputGradient.matrix()
    for t in 0..<input[0] {
      let step = dx.step(t)
      switch choice {
      case .last: if t == input[0] - 1 { step.copy(dy) } else { step.fill(0) }
      case .mean:
        step.copy(dy)
        step.scale(1 / Float(input[0]))
      }
    }
  }
}
