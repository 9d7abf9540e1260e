import Kernels

/// A differentiable function: it holds sizes, never numbers.
///
/// Parameters, running statistics, activations and scratch live in flat storages that whoever runs
/// the layer owns (see `Models/Executor`); a pass hands the layer its windows on them. No tensor is
/// allocated in a pass. Shapes are those of one clip; a pass has `clips` of them.
///
/// A new layer is one file here and one line in the table of layer cases in the tests, which gives
/// it the shape, gradient and determinism checks.
package protocol Layer: Sendable {
  /// What a person calls it: `conv1`, `gru2`.
  var name: String { get }
  /// Kind and sizes in a few words, for tables: `3 × 3 convolution, …`.
  var summary: String { get }
  /// One clip's input and output.
  var input: Shape { get }
  var output: Shape { get }

  /// Tensors that are trained, in the order of `Pass.parameters`.
  var parameters: [Parameter] { get }
  /// Running statistics, in the order of `Pass.statistics`.
  var statistics: [Statistic] { get }

  /// Products summed in one clip's forward pass.
  var multiplyAdds: Int { get }

  /// Floats kept from forward to backward, or used in a forward pass of evaluation.
  func savedCount(clips: Int, trains: Bool) -> Int
  /// Floats used inside a pass, and free between passes.
  func scratchCount(clips: Int, threads: Int) -> Int

  /// Writes `pass.y`; in training also `pass.saved` and `pass.batchStatistics`.
  func forward(_ pass: Pass)

  /// Writes every gradient of the parameters, and `pass.dx` if there is one. May destroy `pass.dy`
  /// and `pass.saved`: it is called at most once after a forward pass in training.
  func backward(_ pass: Pass)
}

extension Layer {
  package var parameters: [Parameter] { [] }
  package var statistics: [Statistic] { [] }
  package var multiplyAdds: Int { 0 }
  package func savedCount(clips: Int, trains: Bool) -> Int { 0 }
  package func scratchCount(clips: Int, threads: Int) -> Int { 0 }
}

/// A tensor that is trained.
package struct Parameter: Sendable, Hashable {
  package enum Role: Sendable { case weight, bias, normalization }

  /// How its first values are drawn.
  package enum Initializer: Sendable, Hashable {
    case zero, one
    /// Uniform in ±√(6 / (fanIn + fanOut)).
    case glorotUniform(fanIn: Int, fanOut: Int)
    /// Each of `gates` blocks of rows is a random matrix with orthonormal rows or columns.
    case orthogonal(gates: Int)
  }

  package let name: String
  package let shape: Shape
  package let role: Role
  package let initializer: Initializer

  package init(_ name: String, _ shape: Shape, _ role: Role, _ initializer: Initializer) {
    self.name = name
    self.shape = shape
    self.role = role
    self.initializer = initializer
  }
}

/// A running statistic of batch normalization.
package struct Statistic: Sendable, Hashable {
  package let name: String
  package let shape: Shape
  package let initial: Float

  package init(_ name: String, _ shape: Shape, initial: Float) {
    self.name = name
    self.shape = shape
    self.initial = initial
  }
}

/// Everything a layer reads and writes in one pass over a few clips.
package struct Pass {
  package let clips: Int
  /// In training the stream that decides what dropout drops; nil means evaluation: nothing is
  /// dropped and running statistics stand for the batch's.
  package let training: RandomStream?
  /// `[clips, input…]` and `[clips, output…]`.
  package let x, y: Tensor
  package let parameters: [Tensor]
  package let statistics: [Tensor]
  /// This batch's own statistics (training).
  package let batchStatistics: [Tensor]
  package let saved, scratch: Tensor
  /// Backward only: gradients of the output, the input (nil if nobody needs it), the parameters.
  package let dy: Tensor?
  package let dx: Tensor?
  package let gradients: [Tensor]
  package let pool: ThreadPool

  package init(
    clips: Int, training: RandomStream?, x: Tensor, y: Tensor, parameters: [Tensor],
    statistics: [Tensor], batchStatistics: [Tensor], saved: Tensor, scratch: Tensor,
    dy: Tensor? = nil, dx: Tensor? = nil, gradients: [Tensor] = [], pool: ThreadPool
  ) {
    self.clips = clips
    self.training = training
    self.x = x
    self.y = y
    self.parameters = parameters
    self.statistics = statistics
    self.batchStatistics = batchStatistics
    self.saved = saved
    self.scratch = scratch
    self.dy = dy
    self.dx = dx
    self.gradients = gradients
    self.pool = pool
  }

  /// The gradient of the output, which a backward pass always has.
  package var outputGradient: Tensor {
    guard let dy else { preconditionFailure("a backward pass without the output's gradient") }
    return dy
  }
}

/// Cuts windows off a tensor, one after another, each on a 64-byte boundary of it.
package struct Cutter {
  private let whole: Tensor
  private var offset = 0

  package init(_ whole: Tensor) { self.whole = whole }

  package mutating func take(_ shape: Shape) -> Tensor {
    let piece = Tensor(whole.storage, offset: whole.offset + offset, shape: shape)
    offset += Self.rounded(shape.count)
    precondition(offset <= whole.count, "Cutter: \(offset) of \(whole.count) floats")
    return piece
  }

  /// Floats that a tensor for these windows needs.
  package static func count(_ shapes: Shape...) -> Int {
    shapes.reduce(0) { $0 + rounded($1.count) }
  }

  package static func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
}
