import Kernels

/// A plain recurrent layer over a sequence: `[T, inputs]` to `[T, hidden]`,
/// h' = tanh(W x + U h + b). The state starts at zero.
package struct TanhRecurrence: Layer {
  package let name: String
  package let input: Shape
  package let hidden: Int

  package init(name: String, input: Shape, hidden: Int) {
    precondition(input.rank == 2 && hidden > 0, "TanhRecurrence: \(input) to \(hidden)")
    self.name = name
    self.input = input
    self.hidden = hidden
  }

  private var steps: Int { input[0] }
  package var output: Shape { [steps, hidden] }
  package var summary: String { "tanh recurrence" }
  package var multiplyAdds: Int { steps * hidden * (input[1] + hidden) }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight_ih_l0", [hidden, input[1]], .weight,
        .glorotUniform(fanIn: input[1], fanOut: hidden)),
      Parameter("\(name).weight_hh_l0", [hidden, hidden], .weight, .orthogonal(gates: 1)),
      Parameter("\(name).bias_ih_l0", [hidden], .bias, .zero),
    ]
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Cutter.count([clips, steps, hidden], [clips, steps, hidden])
  }

  package func forward(_ pass: Pass) {
    let all = pass.y.matrix(rowAxes: 2)
    all.product(pass.x.matrix(rowAxes: 2), pass.parameters[0].matrix().transposed)
    all.add(row: pass.parameters[2])
    for t in 0..<steps {
      let h = pass.y.step(t)
      if t > 0 {
        h.product(
          pass.y.step(t - 1), pass.parameters[1].matrix().transposed, adding: true)
      }
      h.tanh()
    }
  }

  package func backward(_ pass: Pass) {
    var cutter = Cutter(pass.scratch)
    let slopes = cutter.take([pass.clips, steps, hidden])
    let previous = cutter.take([pass.clips, steps, hidden])
    for t in (0..<steps).reversed() {
      let slope = slopes.step(t)
      slope.copy(pass.outputGradient.step(t))
      if t + 1 < steps {
        slope.product(slopes.step(t + 1), pass.parameters[1].matrix(), adding: true)
      }
      slope.multiplyTanhSlope(pass.y.step(t))
      if t == 0 { previous.step(0).fill(0) } else { previous.step(t).copy(pass.y.step(t - 1)) }
    }
    let all = slopes.matrix(rowAxes: 2)
    pass.gradients[0].matrix().product(all.transposed, pass.x.matrix(rowAxes: 2))
    pass.gradients[1].matrix().product(all.transposed, previous.matrix(rowAxes: 2))
    all.columnSums(into: pass.gradients[2])
    pass.dx?.matrix(rowAxes: 2).product(all, pass.parameters[0].matrix())
  }
}
