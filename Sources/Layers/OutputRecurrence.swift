import Kernels

/// Recurrence from the output to the hidden layer: `[T, inputs]` to `[T, outputs]`,
///
///     h = tanh(W x + U o + b),   o' = V h + c
///
/// The hidden layer sees the last step only through its output (which starts at zero).
package struct OutputRecurrence: Layer {
  package let name: String
  /// Names V and c.
  package let outputName: String
  package let input: Shape
  package let hidden: Int
  package let outputs: Int

  package init(name: String, outputName: String, input: Shape, hidden: Int, outputs: Int) {
    precondition(
      input.rank == 2 && hidden > 0 && outputs > 0, "OutputRecurrence: \(input) to \(outputs)")
    self.name = name
    self.outputName = outputName
    self.input = input
    self.hidden = hidden
    self.outputs = outputs
  }

  private var steps: Int { input[0] }
  package var output: Shape { [steps, outputs] }
  package var summary: String { "tanh recurrence from the output" }
  package var multiplyAdds: Int { steps * hidden * (input[1] + 2 * outputs) }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight_ih_l0", [hidden, input[1]], .weight,
        .glorotUniform(fanIn: input[1], fanOut: hidden)),
      Parameter("\(name).weight_oh_l0", [hidden, outputs], .weight, .orthogonal(gates: 1)),
      Parameter("\(name).bias_ih_l0", [hidden], .bias, .zero),
      Parameter(
        "\(outputName).weight", [outputs, hidden], .weight,
        .glorotUniform(fanIn: hidden, fanOut: outputs)),
      Parameter("\(outputName).bias", [outputs], .bias, .zero),
    ]
  }

  /// Kept: the hidden states.
  package func savedCount(clips: Int, trains: Bool) -> Int { Cutter.count([clips, steps, hidden]) }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Cutter.count([clips, steps, hidden], [clips, steps, outputs], [clips, steps, outputs])
  }

  package func forward(_ pass: Pass) {
    let states = Tensor(
      pass.saved.storage, offset: pass.saved.offset, shape: [pass.clips, steps, hidden])
    let all = states.matrix(rowAxes: 2)
    all.product(pass.x.matrix(rowAxes: 2), pass.parameters[0].matrix().transposed)
    all.add(row: pass.parameters[2])
    for t in 0..<steps {
      let (h, o) = (states.step(t), pass.y.step(t))
      if t > 0 {
        h.product(
          pass.y.step(t - 1), pass.parameters[1].matrix().transposed, adding: true)
      }
      h.tanh()
      o.product(h, pass.parameters[3].matrix().transposed)
      o.add(row: pass.parameters[4])
    }
  }

  package func backward(_ pass: Pass) {
    let states = Tensor(
      pass.saved.storage, offset: pass.saved.offset, shape: [pass.clips, steps, hidden])
    var cutter = Cutter(pass.scratch)
    let slopes = cutter.take([pass.clips, steps, hidden])
    let outputSlopes = cutter.take([pass.clips, steps, outputs])
    let previous = cutter.take([pass.clips, steps, outputs])
    for t in (0..<steps).reversed() {
      let (slope, outputSlope) = (slopes.step(t), outputSlopes.step(t))
      outputSlope.copy(pass.outputGradient.step(t))
      if t + 1 < steps {
        outputSlope.product(slopes.step(t + 1), pass.parameters[1].matrix(), adding: true)
      }
      slope.product(outputSlope, pass.parameters[3].matrix())
      slope.multiplyTanhSlope(states.step(t))
      if t == 0 { previous.step(0).fill(0) } else { previous.step(t).copy(pass.y.step(t - 1)) }
    }
    let (all, allOutputs) = (slopes.matrix(rowAxes: 2), outputSlopes.matrix(rowAxes: 2))
    pass.gradients[0].matrix().product(all.transposed, pass.x.matrix(rowAxes: 2))
    pass.gradients[1].matrix().product(all.transposed, previous.matrix(rowAxes: 2))
    all.columnSums(into: pass.gradients[2])
    pass.gradients[3].matrix().product(allOutputs.transposed, states.matrix(rowAxes: 2))
    allOutputs.columnSums(into: pass.gradients[4])
    pass.dx?.matrix(rowAxes: 2).product(all, pass.parameters[0].matrix())
  }
}
