import Kernels

/// A layer of long short-term memory over a sequence: `[T, inputs]` to `[T, hidden]`.
///
///     i, f, o = sigmoid(W x + U h + b),  g = tanh(W x + U h + b)
///     c' = f ∘ c + i ∘ g,  h' = o ∘ tanh(c')
///
/// The sigmoid of the gates i, f and o may be the hard one (see `Gate`). State and cell start at zero.
/// Gates lie in the order i, f, g, o, as in PyTorch, with one bias each.
package struct LSTM: Layer {
  package let name: String
  package let input: Shape
  package let hidden: Int
  package let gate: Gate

  package init(name: String, input: Shape, hidden: Int, gate: Gate = .sigmoid) {
    precondition(input.rank == 2 && hidden > 0, "LSTM: \(input) to \(hidden)")
    self.name = name
    self.input = input
    self.hidden = hidden
    self.gate = gate
  }

  private var steps: Int { input[0] }
  package var output: Shape { [steps, hidden] }
  package var summary: String { "LSTM" + gate.remark }
  package var multiplyAdds: Int { steps * 4 * hidden * (input[1] + hidden) }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight_ih_l0", [4 * hidden, input[1]], .weight,
        .glorotUniform(fanIn: input[1], fanOut: hidden)),
      Parameter("\(name).weight_hh_l0", [4 * hidden, hidden], .weight, .orthogonal(gates: 4)),
      Parameter("\(name).bias_ih_l0", [4 * hidden], .bias, .zero),
    ]
  }

  /// Kept: gates, cells and their tanh.
  package func savedCount(clips: Int, trains: Bool) -> Int {
    Cutter.count(
      [clips, steps, 4 * hidden], [clips, steps, hidden], [clips, steps, hidden])
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Cutter.count(
      [clips, steps, 4 * hidden], [clips, steps, hidden], [clips, hidden], [clips, hidden],
      [clips, hidden])
  }

  private func columns(_ gate: Int) -> Range<Int> { (gate * hidden)..<((gate + 1) * hidden) }

  package func forward(_ pass: Pass) {
    let (gates, cells, squashed) = saved(pass)
    let recurrent = pass.parameters[1].matrix()
    let all = gates.matrix(rowAxes: 2)
    all.product(pass.x.matrix(rowAxes: 2), pass.parameters[0].matrix().transposed)
    all.add(row: pass.parameters[2])
    for t in 0..<steps {
      let (gate, cell) = (gates.step(t), cells.step(t))
      if t > 0 { gate.product(pass.y.step(t - 1), recurrent.transposed, adding: true) }
      self.gate.squash(gate.columns(columns(0)))
      self.gate.squash(gate.columns(columns(1)))
      gate.columns(columns(2)).tanh()
      self.gate.squash(gate.columns(columns(3)))
      cell.hadamard(gate.columns(columns(0)), gate.columns(columns(2)))
      if t > 0 { cell.addHadamard(gate.columns(columns(1)), cells.step(t - 1)) }
      squashed.step(t).copy(cell)
      squashed.step(t).tanh()
      pass.y.step(t).hadamard(gate.columns(columns(3)), squashed.step(t))
    }
  }

  package func backward(_ pass: Pass) {
    let (gates, cells, squashed) = saved(pass)
    let recurrent = pass.parameters[1].matrix()
    var cutter = Cutter(pass.scratch)
    let slopes = cutter.take([pass.clips, steps, 4 * hidden])
    let previous = cutter.take([pass.clips, steps, hidden])
    let dh = cutter.take([pass.clips, hidden]).matrix()
    let dc = cutter.take([pass.clips, hidden]).matrix()
    let carriedState = cutter.take([pass.clips, hidden]).matrix()
    for t in 0..<steps {
      if t == 0 { previous.step(0).fill(0) } else { previous.step(t).copy(pass.y.step(t - 1)) }
    }
    carriedState.fill(0)
    // dc carries from step to step in place: it holds dc ∘ f of the later step
    dc.fill(0)
    for t in (0..<steps).reversed() {
      let (gate, slope) = (gates.step(t), slopes.step(t))
      dh.copy(pass.outputGradient.step(t))
      dh.add(carriedState)
      let output = slope.columns(columns(3))
      output.hadamard(dh, squashed.step(t))
      self.gate.multiplySlope(output, gate.columns(columns(3)))
      // h' = o ∘ tanh(c')
      dh.hadamard(dh, gate.columns(columns(3)))
      dh.multiplyTanhSlope(squashed.step(t))
      dc.add(dh)
      let (i, f, g) = (
        slope.columns(columns(0)), slope.columns(columns(1)), slope.columns(columns(2))
      )
      i.hadamard(dc, gate.columns(columns(2)))
      self.gate.multiplySlope(i, gate.columns(columns(0)))
      g.hadamard(dc, gate.columns(columns(0)))
      g.multiplyTanhSlope(gate.columns(columns(2)))
      if t > 0 { f.hadamard(dc, cells.step(t - 1)) } else { f.fill(0) }
      self.gate.multiplySlope(f, gate.columns(columns(1)))
      dc.hadamard(dc, gate.columns(columns(1)))
      carriedState.product(slope, recurrent)
    }
    let all = slopes.matrix(rowAxes: 2)
    pass.gradients[0].matrix().product(all.transposed, pass.x.matrix(rowAxes: 2))
    pass.gradients[1].matrix().product(all.transposed, previous.matrix(rowAxes: 2))
    all.columnSums(into: pass.gradients[2])
    pass.dx?.matrix(rowAxes: 2).product(all, pass.parameters[0].matrix())
  }

  private func saved(_ pass: Pass) -> (gates: Tensor, cells: Tensor, squashed: Tensor) {
    var cutter = Cutter(pass.saved)
    return (
      cutter.take([pass.clips, steps, 4 * hidden]), cutter.take([pass.clips, steps, hidden]),
      cutter.take([pass.clips, steps, hidden])
    )
  }
}
