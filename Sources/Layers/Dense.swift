import Kernels

/// A dense layer: y = W x + b. The input may have any shape; it is read as one vector a clip.
package struct Dense: Layer {
  package let name: String
  package let input: Shape
  package let outputs: Int

  package init(name: String, input: Shape, outputs: Int) {
    precondition(outputs > 0 && input.count > 0, "Dense: \(input) to \(outputs)")
    self.name = name
    self.input = input
    self.outputs = outputs
  }

  package var output: Shape { [outputs] }
  package var summary: String { "dense" }
  package var multiplyAdds: Int { input.count * outputs }

  package var parameters: [Parameter] {
    [
      Parameter(
        "\(name).weight", [outputs, input.count], .weight,
        .glorotUniform(fanIn: input.count, fanOut: outputs)),
      Parameter("\(name).bias", [outputs], .bias, .zero),
    ]
  }

  package func forward(_ pass: Pass) {
    let y = pass.y.matrix()
    y.product(pass.x.matrix(), pass.parameters[0].matrix().transposed)
    y.add(row: pass.parameters[1])
  }

  package func backward(_ pass: Pass) {
    let dy = pass.outputGradient.matrix()
    pass.gradients[0].matrix().product(dy.transposed, pass.x.matrix())
    dy.columnSums(into: pass.gradients[1])
    pass.dx?.matrix().product(dy, pass.parameters[0].matrix())
  }
}
