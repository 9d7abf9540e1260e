import Kernels
import Layers

/// A network: a list of layers, and where their tensors lie in flat vectors.
///
/// It holds sizes only. All parameters are one vector, all running statistics another; a gradient
/// has the parameters' layout. So an optimizer is one loop, a reduction one buffer, and a checkpoint
/// names over ranges.
package struct Network: Sendable {
  /// The registry's name: `crnn`.
  package let name: String
  package let layers: [any Layer]
  package let parameters: [Window]
  package let statistics: [Window]

  /// A named range of a flat vector.
  package struct Window: Sendable, Hashable {
    package let name: String
    package let shape: Shape
    package let offset: Int
    package var range: Range<Int> { offset..<(offset + shape.count) }
  }

  /// - Throws: `NetworkError` if two tensors have one name
  package init(name: String, layers: [any Layer]) throws(NetworkError) {
    precondition(!layers.isEmpty, "Network: no layers")
    self.name = name
    self.layers = layers
    var parameters: [Window] = []
    var statistics: [Window] = []
    for layer in layers {
      for p in layer.parameters { Self.append(p.name, p.shape, to: &parameters) }
      for s in layer.statistics { Self.append(s.name, s.shape, to: &statistics) }
    }
    let names = (parameters + statistics).map(\.name)
    precondition(Set(names).count == names.count, "Network \(name): a tensor's name comes twice")
    self.parameters = parameters
    self.statistics = statistics
  }

  private static func append(_ name: String, _ shape: Shape, to windows: inout [Window]) {
    let offset = windows.last.map { $0.range.upperBound } ?? 0
    windows.append(Window(name: name, shape: shape, offset: offset))
  }

  /// One clip's input and logits.
  package var input: Shape { layers[0].input }
  package var tags: Int { layers[layers.count - 1].output.count }

  /// Floats of the flat vectors.
  package var parameterCount: Int { parameters.last?.range.upperBound ?? 0 }
  package var statisticCount: Int { statistics.last?.range.upperBound ?? 0 }

  /// Weights and biases: the count by which the paper compares networks (batch normalization apart).
  package var weightsAndBiases: Int {
    layers.flatMap(\.parameters).filter { $0.role != .normalization }
      .reduce(0) { $0 + $1.shape.count }
  }

  /// Products summed in one clip's forward pass.
  package var multiplyAdds: Int { layers.reduce(0) { $0 + $1.multiplyAdds } }

  /// Names each tensor of `flat`, in order.
  package func tensors(_ windows: [Window], of flat: Storage) -> [Tensor] {
    windows.map { Tensor(flat, offset: $0.offset, shape: $0.shape) }
  }
}

/// A network that cannot be built as asked.
package struct NetworkError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
