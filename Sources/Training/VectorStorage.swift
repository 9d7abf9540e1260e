import Cluster
import Kernels

/// Vectors of messages, as kernels see them.
extension Storage {
  /// - Precondition: it has an element at least
  convenience init(_ buffer: VectorBuffer) { self.init(buffer.elements, of: buffer) }

  /// Where the vector lies, or a copy of it if that is no buffer.
  convenience init(_ vector: FloatVector) {
    if let buffer = vector.buffer { self.init(buffer) } else { self.init(vector.array) }
  }
}
