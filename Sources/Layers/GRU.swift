import Kernels

/// A layer of gated recurrent units over a sequence: `[T, inputs]` to `[T, hidden]`.
///
///     r, z = sigmoid(W x + U h + b)
///     n = tanh(W x + U (r ∘ h) + b)          reset before the product (Cho et al. 2014)
///     n = tanh(W x + b + r ∘ (U h + c))      reset after it (cuDNN, PyTorch)
///     h' = (1 − z) ∘ n + z ∘ h
///
/// The sigmoid of the gates r and z may be the hard one (see `Gate`). The state starts at zero. Gates lie in the order r, z, n, as in PyTorch; there is one bias a
/// gate, and with the reset after the product a second one of the recurrent product.
package struct GRU: Layer {
  package enum Reset: String, Sendable { case before, after }

  package let name: String
  package let input: Shape
  package let hidden: Int
  package let reset: Reset
  package let gate: Gate

  package init(
    name: String, input: Shape, hidden: Int, reset: Reset = .before, gate: Gate = .sigmoid
  ) {
    precondition(input.rank == 2 && hidden > 0, "GRU: \(input) to \(hidden)")
    self.name = name
    self.input = input
    self.hidden = hidden
    self.reset = reset
    self.gate = gate
  }

  private var steps: Int { input[0] }
  package var output: Shape { [steps, hidden] }
  package var summary: String {
    "GRU" + (reset == .after ? ", reset after the product" : "") + gate.remark
  }
  package var multiplyAdds: Int { steps * 3 * hidden * (input[1] + hidden) }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight_ih_l0", [3 * hidden, input[1]], .weight,
        .glorotUniform(fanIn: input[1], fanOut: hidden)),
      Parameter("\(name).weight_hh_l0", [3 * hidden, hidden], .weight, .orthogonal(gates: 3)),
      Parameter("\(name).bias_ih_l0", [3 * hidden], .bias, .zero),
    ] + (reset == .after ? [Parameter("\(name).bias_hh_l0", [3 * hidden], .bias, .zero)] : [])
  }

  /// Kept: the gates of every step and, beside them, r ∘ h (before) or U h + c (after).
  package func savedCount(clips: Int, trains: Bool) -> Int {
    Cutter.count([clips, steps, 3 * hidden], [clips, steps, hidden])
  }

  package func scratchCount(clips: Int, threads: Int) -> Int {
    Cutter.count(
      [clips, steps, 3 * hidden], [clips, steps, hidden], [clips, steps, hidden], [clips, hidden],
      [clips, hidden], [clips, hidden])
  }

  private var rz: Range<Int> { 0..<(2 * hidden) }
  private var r: Range<Int> { 0..<hidden }
  private var z: Range<Int> { hidden..<(2 * hidden) }
  private var n: Range<Int> { (2 * hidden)..<(3 * hidden) }

  package func forward(_ pass: Pass) {
    let (gates, beside) = saved(pass)
    let recurrent = pass.parameters[1].matrix()
    let all = gates.matrix(rowAxes: 2)
    all.product(pass.x.matrix(rowAxes: 2), pass.parameters[0].matrix().transposed)
    all.add(row: pass.parameters[2])
    if reset == .after { addRecurrentBias(all, pass.parameters[3]) }
    for t in 0..<steps {
      let gate = gates.step(t)
      let h = pass.y.step(t)
      let product = beside.step(t)
      product.fill(0)
      if t > 0 {
        let previous = pass.y.step(t - 1)
        gate.columns(rz).product(previous, recurrent.rows(rz).transposed, adding: true)
        if reset == .after { product.product(previous, recurrent.rows(n).transposed) }
      }
      self.gate.squash(gate.columns(rz))
      switch reset {
      case .before:
        if t > 0 {
          product.hadamard(gate.columns(r), pass.y.step(t - 1))
          gate.columns(n).product(product, recurrent.rows(n).transposed, adding: true)
        }
      case .after:
        product.add(row: window(pass.parameters[3], n))
        gate.columns(n).addHadamard(gate.columns(r), product)
      }
      gate.columns(n).tanh()
      h.fill(0)
      h.addComplementHadamard(gate.columns(z), gate.columns(n))
      if t > 0 { h.addHadamard(gate.columns(z), pass.y.step(t - 1)) }
    }
  }

  package func backward(_ pass: Pass) {
    let (gates, beside) = saved(pass)
    let recurrent = pass.parameters[1].matrix()
    var cutter = Cutter(pass.scratch)
    let slopes = cutter.take([pass.clips, steps, 3 * hidden])
    let previous = cutter.take([pass.clips, steps, hidden])
    let products = cutter.take([pass.clips, steps, hidden])
    let dh = cutter.take([pass.clips, hidden]).matrix()
    let carry = cutter.take([pass.clips, hidden]).matrix()
    let work = cutter.take([pass.clips, hidden]).matrix()
    for t in 0..<steps {
      if t == 0 { previous.step(0).fill(0) } else { previous.step(t).copy(pass.y.step(t - 1)) }
    }
    carry.fill(0)
    for t in (0..<steps).reversed() {
      let (gate, slope, h) = (gates.step(t), slopes.step(t), previous.step(t))
      let (dr, dz, dn) = (slope.columns(r), slope.columns(z), slope.columns(n))
      dh.copy(pass.outputGradient.step(t))
      dh.add(carry)
      // h' = (1 − z) ∘ n + z ∘ h
      carry.hadamard(dh, gate.columns(z))
      dn.fill(0)
      dn.addComplementHadamard(gate.columns(z), dh)
      dn.multiplyTanhSlope(gate.columns(n))
      work.difference(h, gate.columns(n))
      dz.hadamard(dh, work)
      self.gate.multiplySlope(dz, gate.columns(z))
      switch reset {
      case .before:
        work.product(dn, recurrent.rows(n))
        dr.hadamard(work, h)
        carry.addHadamard(work, gate.columns(r))
      case .after:
        dr.hadamard(dn, beside.step(t))
        products.step(t).hadamard(dn, gate.columns(r))
        carry.product(products.step(t), recurrent.rows(n), adding: true)
      }
      self.gate.multiplySlope(dr, gate.columns(r))
      carry.product(slope.columns(rz), recurrent.rows(rz), adding: true)
    }
    let all = slopes.matrix(rowAxes: 2)
    let recurrentGradient = pass.gradients[1].matrix()
    pass.gradients[0].matrix().product(all.transposed, pass.x.matrix(rowAxes: 2))
    recurrentGradient.rows(rz).product(
      all.columns(rz).transposed, previous.matrix(rowAxes: 2))
    all.columnSums(into: pass.gradients[2])
    switch reset {
    case .before:
      recurrentGradient.rows(n).product(
        all.columns(n).transposed, beside.matrix(rowAxes: 2))
    case .after:
      recurrentGradient.rows(n).product(
        products.matrix(rowAxes: 2).transposed, previous.matrix(rowAxes: 2))
      all.columns(rz).columnSums(into: window(pass.gradients[3], rz))
      products.matrix(rowAxes: 2).columnSums(into: window(pass.gradients[3], n))
    }
    pass.dx?.matrix(rowAxes: 2).product(all, pass.parameters[0].matrix())
  }

  private func saved(_ pass: Pass) -> (gates: Tensor, beside: Tensor) {
    var cutter = Cutter(pass.saved)
    return (
      cutter.take([pass.clips, steps, 3 * hidden]), cutter.take([pass.clips, steps, hidden])
    )
  }

  private func addRecurrentBias(_ all: Matrix, _ bias: Tensor) {
    all.columns(rz).add(row: window(bias, rz))
  }

  private func window(_ x: Tensor, _ range: Range<Int>) -> Tensor {
    Tensor(x.storage, offset: x.offset + range.lowerBound, shape: [range.count])
  }
}
