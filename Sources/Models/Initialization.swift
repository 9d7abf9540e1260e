import Kernels
import Layers

extension Network {
  /// The first values of all weights: parameters are a function of the seed and of each tensor's
  /// place, running statistics start with mean zero and variance one.
  package func initialize(_ weights: Storage, seed: UInt64) {
    precondition(weights.count >= weightCount, "initialize: \(weights.count) floats")
    for (statistic, window) in zip(layers.flatMap(\.statistics), statistics) {
      Tensor(weights, offset: window.offset, shape: window.shape).matrix().fill(statistic.initial)
    }
    let roles = layers.flatMap(\.parameters)
    for (place, (parameter, window)) in zip(roles, parameters).enumerated() {
      let stream = RandomStream(seed: seed, purpose: .initialWeights, place: place)
      let values = Tensor(weights, offset: window.offset, shape: window.shape)
      switch parameter.initializer {
      case .zero: values.matrix().fill(0)
      case .one: values.matrix().fill(1)
      case .glorotUniform(let fanIn, let fanOut):
        let bound = (6 / Float(fanIn + fanOut)).squareRoot()
        for i in 0..<values.count { values.buffer[i] = (2 * stream.uniform(i) - 1) * bound }
      case .orthogonal(let gates):
        let rows = window.shape[0] / gates
        for gate in 0..<gates {
          let block = Self.orthogonal(
            rows: rows, columns: window.shape[1], stream, first: gate * rows * window.shape[1])
          for (i, value) in block.enumerated() {
            values.buffer[gate * rows * window.shape[1] + i] = value
          }
        }
      }
    }
  }

  /// A random matrix with orthonormal rows (or columns, where there are fewer of them), row-major:
  /// Gram and Schmidt's process, twice over for its rounding, on vectors of random direction.
  private static func orthogonal(rows: Int, columns: Int, _ stream: RandomStream, first: Int)
    -> [Float]
  {
    let (count, length) = (min(rows, columns), max(rows, columns))
    var vectors: [[Double]] = []
    for v in 0..<count {
      // Twelve uniform numbers sum to something near a normal one: no direction is preferred.
      var vector = (0..<length).map { i in
        (0..<12).reduce(-6.0) { $0 + Double(stream.uniform((first + v * length + i) * 12 + $1)) }
      }
      for _ in 0..<2 {
        for other in vectors {
          let dot = zip(vector, other).reduce(0) { $0 + $1.0 * $1.1 }
          for i in 0..<length { vector[i] -= dot * other[i] }
        }
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for i in 0..<length { vector[i] /= norm }
      }
      vectors.append(vector)
    }
    return (0..<rows).flatMap { r in
      (0..<columns).map { c in Float(rows <= columns ? vectors[r][c] : vectors[c][r]) }
    }
  }
}
