import Kernels
import Layers

/// Runs a network forward and backward over a few clips, in one arena planned from the network.
///
/// No tensor is allocated once it stands. In training every layer keeps its output and what its
/// backward pass needs; gradients of activations take turns in two windows. In evaluation outputs
/// take turns as well, and what layers keep is overwritten by the next.
package final class Executor {
  package let network: Network
  package let capacity: Int
  /// `[capacity, …]`: the caller fills the first clips before every pass; evaluation overwrites them.
  package let input: Tensor
  /// `[capacity, tags]`, likewise, for training.
  package let labels: Tensor
  private let loss: Loss
  private let trains: Bool
  private let pool: ThreadPool
  private let plan: Plan
  private let arena: Storage
  /// The network's flat vector, which passes read; the caller's, who may put another in its place.
  package var weights: Storage {
    willSet { Self.require(newValue.count >= network.weightCount, newValue, "weights") }
  }

  /// What one lane gives to a step, in one vector: gradient, batch statistics, loss.
  ///
  /// Statistics are weighted by the lane's share of the step's clips and the loss is divided by all
  /// of them, so that the sum over lanes is the step's gradient, mean statistics and mean loss.
  ///
  /// The caller may have it made elsewhere.
  package var contribution: Storage {
    willSet { Self.require(newValue.count == contribution.count, newValue, "a contribution") }
  }

  package static func contributionCount(_ network: Network) -> Int { network.weightCount + 1 }

  /// - Parameters:
  ///   - clips: the most a pass will see
  ///   - trains: false saves most of the memory and allows `logits` alone
  ///   - weights: the network's flat vector, which passes read; the caller's
  package init(
    _ network: Network, clips: Int, loss: Loss, trains: Bool, weights: Storage, pool: ThreadPool
  ) {
    precondition(clips > 0, "Executor: \(clips) clips")
    Self.require(weights.count >= network.weightCount, weights, "weights")
    self.network = network
    self.loss = loss
    self.trains = trains
    self.pool = pool
    self.weights = weights
    capacity = clips
    plan = Plan(network, clips: clips, trains: trains, threads: pool.threads)
    arena = Storage(count: plan.count)
    contribution = Storage(count: trains ? Self.contributionCount(network) : 0)
    input = Tensor(arena, offset: plan.outputs[0], shape: Shape([clips] + network.input.extents))
    labels = Tensor(arena, offset: plan.labels, shape: [clips, network.tags])
  }

  private static func require(_ fits: Bool, _ storage: Storage, _ role: String) {
    precondition(fits, "Executor: \(storage.count) floats as \(role)")
  }

  /// Bytes that an executor takes.
  package static func memory(_ network: Network, clips: Int, trains: Bool, threads: Int) -> Int {
    let plan = Plan(network, clips: clips, trains: trains, threads: threads)
    return (plan.count + (trains ? contributionCount(network) : 0)) * MemoryLayout<Float>.stride
  }

  /// Probabilities of the first `clips` clips of `input`, by the running statistics. `[clips, tags]`,
  /// valid until the next pass.
  package func probabilities(clips: Int) -> Tensor {
    let logits = forward(clips: clips, dropout: nil)
    loss.probabilities(logits)
    return logits
  }

  /// Logits of the first `clips` clips of `input`, by the running statistics.
  package func logits(clips: Int) -> Tensor { forward(clips: clips, dropout: nil) }

  /// Fills `contribution` for the first `clips` clips of `input` and `labels`.
  ///
  /// - Parameters:
  ///   - clips: zero gives a contribution of zeros
  ///   - clipsInStep: of all lanes
  ///   - dropout: decides what is dropped
  /// - Returns: the logits, `[clips, tags]`
  @discardableResult
  package func train(clips: Int, clipsInStep: Int, dropout: DropoutStreams) -> Tensor {
    precondition(trains, "Executor: made for evaluation")
    let whole = Tensor(contribution, shape: [1, contribution.count]).matrix()
    guard clips > 0 else {
      whole.fill(0)
      return Tensor(arena, offset: plan.labels, shape: [0, network.tags])
    }
    let logits = forward(clips: clips, dropout: dropout)
    contribution.base[contribution.count - 1] = loss.share(
      logits: logits, labels: Tensor(arena, offset: plan.labels, shape: [clips, network.tags]),
      gradient: Tensor(arena, offset: plan.gradients[0], shape: logits.shape),
      clipsInStep: clipsInStep)
    for (turn, place) in network.layers.indices.reversed().enumerated() {
      let pass = pass(
        place, clips: clips, stream: dropout[place],
        dy: plan.gradients[turn % 2], dx: place > 0 ? plan.gradients[(turn + 1) % 2] : nil)
      network.layers[place].backward(pass)
    }
    whole.columns(network.parameterCount..<network.weightCount).scale(
      Float(clips) / Float(clipsInStep))
    return logits
  }

  private func forward(clips: Int, dropout: DropoutStreams?) -> Tensor {
    precondition(clips <= capacity, "Executor: \(clips) clips, room for \(capacity)")
    for place in network.layers.indices {
      network.layers[place].forward(
        pass(place, clips: clips, stream: dropout?[place], dy: nil, dx: nil))
    }
    return Tensor(
      arena, offset: plan.outputs[network.layers.count], shape: [clips, network.tags])
  }

  private func pass(_ place: Int, clips: Int, stream: RandomStream?, dy: Int?, dx: Int?) -> Pass {
    let layer = network.layers[place]
    let windows = plan.windows[place]
    func activation(_ offset: Int, _ shape: Shape) -> Tensor {
      Tensor(arena, offset: offset, shape: Shape([clips] + shape.extents))
    }
    func named(_ windows: ArraySlice<Network.Window>, _ flat: Storage) -> [Tensor] {
      windows.map { Tensor(flat, offset: $0.offset, shape: $0.shape) }
    }
    let parameters = network.parameters[windows.parameters]
    let statistics = network.statistics[windows.statistics]
    let trains = stream != nil
    return Pass(
      clips: clips, training: stream, x: activation(plan.outputs[place], layer.input),
      y: activation(plan.outputs[place + 1], layer.output),
      parameters: named(parameters, weights), statistics: named(statistics, weights),
      batchStatistics: trains ? named(statistics, contribution) : [],
      saved: Tensor(arena, offset: windows.saved, shape: [windows.savedCount]),
      scratch: Tensor(arena, offset: plan.scratch, shape: [plan.scratchCount]),
      dy: dy.map { activation($0, layer.output) }, dx: dx.map { activation($0, layer.input) },
      gradients: trains ? named(parameters, contribution) : [], pool: pool)
  }
}

/// The streams that decide what dropout drops: those of one lane at one step, one for each layer.
package struct DropoutStreams: Sendable {
  package let seed: UInt64
  package let step: Int
  package let lane: Int

  package init(seed: UInt64, step: Int, lane: Int) {
    self.seed = seed
    self.step = step
    self.lane = lane
  }

  /// The stream of the layer at `place` in its network.
  package subscript(place: Int) -> RandomStream {
    RandomStream(seed: seed, purpose: .dropout, time: step, lane: lane, place: place)
  }
}

/// Where everything lies in the arena.
private struct Plan {
  /// Of one layer: its tensors among the network's, and what it keeps.
  struct Windows {
    let parameters, statistics: Range<Int>
    let saved, savedCount: Int
  }

  private(set) var count = 0
  /// Offset of the input of layer 0, then of every layer's output.
  private(set) var outputs: [Int] = []
  private(set) var windows: [Windows] = []
  private(set) var labels = 0
  private(set) var gradients: [Int] = []
  private(set) var scratch = 0
  private(set) var scratchCount = 0

  init(_ network: Network, clips: Int, trains: Bool, threads: Int) {
    let layers = network.layers
    let sizes = [network.input.count] + layers.map(\.output.count)
    let largest = clips * (sizes.max() ?? 0)
    let saved = layers.map { $0.savedCount(clips: clips, trains: trains) }
    labels = reserve(clips * network.tags)
    if trains {
      outputs = sizes.map { size in reserve(clips * size) }
      gradients = [reserve(largest), reserve(largest)]
    } else {
      let turns = [reserve(largest), reserve(largest)]
      outputs = sizes.indices.map { turns[$0 % 2] }
    }
    let shared = trains ? 0 : reserve(saved.max() ?? 0)
    var (parameter, statistic) = (0, 0)
    for (layer, savedCount) in zip(layers, saved) {
      windows.append(
        Windows(
          parameters: parameter..<(parameter + layer.parameters.count),
          statistics: statistic..<(statistic + layer.statistics.count),
          saved: trains ? reserve(savedCount) : shared, savedCount: savedCount))
      parameter += layer.parameters.count
      statistic += layer.statistics.count
    }
    scratchCount = layers.map { $0.scratchCount(clips: clips, threads: threads) }.max() ?? 0
    scratch = reserve(scratchCount)
  }

  private mutating func reserve(_ floats: Int) -> Int {
    defer { count += Cutter.rounded(floats) }
    return count
  }
}
