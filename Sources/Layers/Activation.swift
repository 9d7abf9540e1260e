import Kernels

/// ELU or ReLU, value by value.
package struct Activation: Layer {
  package enum Function: String, Sendable {
    case elu = "ELU"
    case relu = "ReLU"
  }

  package let name: String
  package let input: Shape
  package let function: Function

  package init(name: String, input: Shape, _ function: Function) {
    self.name = name
    self.input = input
    self.function = function
  }

  package var output: Shape { input }
  package var summary: String { function.rawValue }

  package func forward(_ pass: Pass) {
    let y = pass.y.matrix()
    y.copy(pass.x.matrix())
    switch function {
    case .elu: y.elu()
    case .relu: y.relu()
    }
  }

  package func backward(_ pass: Pass) {
    guard let dx = pass.dx?.matrix() else { return }
    dx.copy(pass.outputGradient.matrix())
    switch function {
    case .elu: dx.multiplyELUSlope(pass.y.matrix())
    case .relu: dx.multiplyReLUSlope(pass.y.matrix())
    }
  }
}
