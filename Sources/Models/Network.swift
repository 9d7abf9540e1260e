import Kernels
import Layers

/// A network: a list of layers, and where their tensors lie in flat vectors.
///
/// It holds sizes only. All parameters are one vector, followed by all running statistics: the
/// network's weights. A gradient has the same layout. So an optimizer is one loop, a reduction one
/// buffer, and a checkpoint names over ranges.
package struct Network: Sendable {
  /// The registry's name: `crnn`.
  package let name: String
  package let layers: [any Layer]
  package let parameters: [Window]
  package let statistics: [Window]
  /// Floats of the parameters, and of parameters and running statistics.
  package let parameterCount: Int
  package let weightCount: Int

  /// A named range of a flat vector.
  package struct Window: Sendable, Hashable {
    package let name: String
    package let shape: Shape
    package let offset: Int
    package var range: Range<Int> { offset..<(offset + shape.count) }
  }

  /// - Precondition: no two tensors have one name
  package init(name: String, layers: [any Layer]) {
    precondition(!layers.isEmpty, "Network: no layers")
    self.name = name
    self.layers = layers
    var parameters: [Window] = []
    var statistics: [Window] = []
    var offset = 0
    for p in layers.flatMap(\.parameters) {
      parameters.append(Window(name: p.name, shape: p.shape, offset: offset))
      offset += p.shape.count
    }
    parameterCount = offset
    for s in layers.flatMap(\.statistics) {
      statistics.append(Window(name: s.name, shape: s.shape, offset: offset))
      offset += s.shape.count
    }
    weightCount = offset
    let names = (parameters + statistics).map(\.name)
    precondition(Set(names).count == names.count, "Network \(name): a tensor's name comes twice")
    self.parameters = parameters
    self.statistics = statistics
  }

  /// One clip's input and logits.
  package var input: Shape { layers[0].input }
  package var tags: Int { layers[layers.count - 1].output.count }

  /// Weights and biases: the count by which the paper compares networks (batch normalization apart).
  package var weightsAndBiases: Int {
    layers.flatMap(\.parameters).filter { $0.role != .normalization }
      .reduce(0) { $0 + $1.shape.count }
  }

  /// Products summed in one clip's forward pass.
  package var multiplyAdds: Int { layers.reduce(0) { $0 + $1.multiplyAdds } }
}

/// A network that cannot be built as asked.
package struct NetworkError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
