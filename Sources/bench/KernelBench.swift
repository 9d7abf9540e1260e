import ArgumentParser
import Cluster
import Foundation
import Kernels
import Layers
import Models
import Training

/// Where a step's time goes, layer by layer, beside this machine's own matrix product and memory copy.
struct KernelBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Time every layer's passes beside this machine's matrix product and memory copy.",
    discussion: """
      Layers run whole, as in a step: a convolution block with its statistics, normalization, pooling \
      and dropout. Its data gradient is what the backward pass takes longer for it. Operations are \
      those of the direct convolution: an algorithm that saves some may pass the matrix product. Bytes \
      are those that must be read or written at least once: what goes in and out and what is kept for \
      the backward pass. A copy reads and writes, and both count.
      """)

  @OptionGroup var networks: NetworkOptions
  @Option(help: "Clips in a pass.")
  var clips = 4
  @Option(help: "Rounds timed, after one that is not; in each all take a turn, the fastest counts.")
  var passes = 5
  @Flag(help: "One JSON object a network instead of a table.")
  var json = false

  func validate() throws {
    guard clips > 0, passes > 0 else {
      throw ValidationError("--clips and --passes must be positive")
    }
  }

  func run() {
    Program.run {
      for subject in try networks.subjects { try measure(subject) }
    }
  }

  private func measure(_ subject: NetworkOptions.Subject) throws {
    let pool = ThreadPool(threads: networks.threads)
    defer { pool.stop() }
    let layers = LayerTrial.all(of: subject.network, clips: clips, pool: pool)
    let rest = RestOfStep(subject, clips: clips, pool: pool)
    let (product, copy) = (ProductRate(pool), CopyRate(pool))
    for round in 0...passes {
      product.measure()
      copy.measure()
      for layer in layers { layer.measure(counts: round > 0) }
      rest.measure()
    }
    let table = KernelTable(
      figures: layers.flatMap(\.figures) + rest.figures, clips: clips,
      product: product.gigaflops, copy: copy.gigabytesPerSecond)
    if json {
      try printJSON(
        [
          "network": subject.network.name, "size": networks.size, "threads": networks.threads,
          "clips": clips, "passes": passes, "kernels": kernels.name,
        ].merging(table.object) { $1 })
    } else {
      print(
        "\(subject.network.name) \(networks.size), \(clips) clips, threads \(pool.threads), "
          + "\(kernels.name) kernels")
      print(table.text)
    }
  }
}

/// What one pass of one layer took, and what it had to do.
struct KernelFigure {
  let layer, shape, pass: String
  let seconds: Double
  /// A product and its addition are two.
  let operations: Int
  let bytes: Int
}

/// One layer and all that its passes need, as `Executor` gives it: timed pass by pass.
private final class LayerTrial {
  private let layer: any Layer
  private let clips: Int
  private let forward, backward, withoutInput: Pass
  private let upstream: Tensor
  private let needsInput: Bool
  private var times = (forward: Fastest(), backward: Fastest(), withoutInput: Fastest())

  /// - Parameters:
  ///   - parameters: windows of `weights`; gradients lie alike in `gradients`
  ///   - needsInput: somebody needs the gradient of the input, as all but the first layer's
  private init(
    _ layer: any Layer, parameters: ArraySlice<Network.Window>,
    statistics: ArraySlice<Network.Window>, weights: Storage, gradients: Storage, place: Int,
    clips: Int, pool: ThreadPool
  ) {
    self.layer = layer
    self.clips = clips
    needsInput = place > 0
    func values(_ shape: Shape) -> Tensor {
      let tensor = Tensor(shape: Shape([clips] + shape.extents))
      tensor.scatter(over: -1...1)
      return tensor
    }
    let (x, y, dy, dx) = (
      values(layer.input), values(layer.output), values(layer.output), values(layer.input)
    )
    upstream = values(layer.output)
    let saved = Tensor(shape: [layer.savedCount(clips: clips, trains: true)])
    let scratch = Tensor(shape: [layer.scratchCount(clips: clips, threads: pool.threads)])
    func named(_ windows: ArraySlice<Network.Window>, _ flat: Storage) -> [Tensor] {
      windows.map { Tensor(flat, offset: $0.offset, shape: $0.shape) }
    }
    func pass(dy: Tensor?, dx: Tensor?) -> Pass {
      Pass(
        clips: clips, training: DropoutStreams(seed: 1, step: 0, lane: 0)[place], x: x, y: y,
        parameters: named(parameters, weights), statistics: named(statistics, weights),
        batchStatistics: named(statistics, gradients), saved: saved, scratch: scratch, dy: dy,
        dx: dx, gradients: named(parameters, gradients), pool: pool)
    }
    forward = pass(dy: nil, dx: nil)
    backward = pass(dy: dy, dx: dx)
    withoutInput = pass(dy: dy, dx: nil)
  }

  static func all(of network: Network, clips: Int, pool: ThreadPool) -> [LayerTrial] {
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: 1)
    let gradients = Storage(count: network.weightCount)
    var (parameters, statistics) = (network.parameters[...], network.statistics[...])
    return network.layers.enumerated().map { place, layer in
      defer {
        parameters = parameters.dropFirst(layer.parameters.count)
        statistics = statistics.dropFirst(layer.statistics.count)
      }
      return LayerTrial(
        layer, parameters: parameters.prefix(layer.parameters.count),
        statistics: statistics.prefix(layer.statistics.count), weights: weights,
        gradients: gradients, place: place, clips: clips, pool: pool)
    }
  }

  /// Every pass once. A backward pass may destroy what the forward pass kept, so each has its own.
  func measure(counts: Bool) {
    var now = times
    now.forward.time { layer.forward(forward) }
    if needsInput {
      refill()
      now.backward.time { layer.backward(backward) }
      layer.forward(forward)
    }
    if layer is ConvolutionBlock || !needsInput {
      refill()
      now.withoutInput.time { layer.backward(withoutInput) }
    }
    if counts { times = now }
  }

  private func refill() {
    _ = withoutInput.outputGradient.buffer.update(fromContentsOf: upstream.buffer)
  }

  var figures: [KernelFigure] {
    let floats = MemoryLayout<Float>.stride
    let (input, output) = (layer.input.count * clips, layer.output.count * clips)
    let kept = layer.savedCount(clips: clips, trains: true)
    let weights = layer.parameters.reduce(0) { $0 + $1.shape.count }
    let operations = 2 * layer.multiplyAdds * clips
    func figure(_ pass: String, _ seconds: Double, products: Int, _ floatsMoved: Int)
      -> KernelFigure
    {
      KernelFigure(
        layer: layer.name, shape: shape, pass: pass, seconds: seconds,
        operations: products * operations, bytes: floats * (floatsMoved + weights))
    }
    let all = input + output + kept
    let forward = figure("forward", times.forward.seconds, products: 1, all)
    guard layer is ConvolutionBlock else {
      return [
        forward,
        needsInput
          ? figure("backward", times.backward.seconds, products: 2, all + input)
          : figure("backward", times.withoutInput.seconds, products: 1, all),
      ]
    }
    let weight = figure("weight gradient", times.withoutInput.seconds, products: 1, all)
    guard needsInput else { return [forward, weight] }
    let more = max(times.backward.seconds - times.withoutInput.seconds, 0)
    return [forward, weight, figure("data gradient", more, products: 1, input)]
  }

  private var shape: String {
    guard let block = layer as? ConvolutionBlock else { return "\(layer.input) → \(layer.output)" }
    let shape = block.shape
    return "\(shape.inChannels) → \(shape.outChannels), \(shape.inF) × \(shape.inT)"
  }
}

/// What a step does beside the layers' passes.
private final class RestOfStep {
  private let subject: NetworkOptions.Subject
  private let clips: Int
  private let pool: ThreadPool
  private let state: RunState
  private let sum: Storage
  private let logits, labels, gradient: Tensor
  private var times = (loss: Fastest(), check: Fastest(), update: Fastest(), hash: Fastest())

  init(_ subject: NetworkOptions.Subject, clips: Int, pool: ThreadPool) {
    self.subject = subject
    self.clips = clips
    self.pool = pool
    state = RunState(subject.network, subject.configuration, stepsPerEpoch: 1000)
    sum = Storage(count: Executor.contributionCount(subject.network))
    Tensor(sum, shape: [sum.count]).scatter(over: 0...1e-3)
    let shape: Shape = [clips, subject.network.tags]
    (logits, labels, gradient) = (Tensor(shape: shape), Tensor(shape: shape), Tensor(shape: shape))
    logits.scatter(over: -4...4)
    labels.scatter(over: 0...1)
  }

  func measure() {
    let whole = Tensor(sum, shape: [sum.count])
    times.loss.time {
      _ = subject.configuration.trainingLoss.share(
        logits: logits, labels: labels, gradient: gradient, clipsInStep: clips)
    }
    times.check.time { _ = whole.firstNotFinite }
    times.update.time { _ = state.apply(sum, stepsPerEpoch: 1000, pool: pool) }
    times.hash.time {
      _ = contentHash(Span(_unsafeElements: UnsafeBufferPointer(state.weights.buffer)))
    }
  }

  var figures: [KernelFigure] {
    func figure(_ name: String, _ count: Int, _ time: Fastest, floats: Int) -> KernelFigure {
      KernelFigure(
        layer: name, shape: "\(count)", pass: "", seconds: time.seconds, operations: 0,
        bytes: floats * MemoryLayout<Float>.stride)
    }
    let network = subject.network
    return [
      figure("loss", logits.count, times.loss, floats: 3 * logits.count),
      figure("finite?", sum.count, times.check, floats: sum.count),
      // The gradient twice, weights and two moments read and written.
      figure(
        "norm, Adam", network.parameterCount, times.update, floats: 8 * network.parameterCount),
      figure("hash", network.weightCount, times.hash, floats: network.weightCount),
    ]
  }
}

/// Figures beside the machine's own, for people and for programs.
private struct KernelTable {
  let figures: [KernelFigure]
  let clips: Int
  /// GFLOP/s and GB/s of the machine.
  let product, copy: Double

  private func milliseconds(_ figure: KernelFigure) -> Double {
    1000 * figure.seconds / Double(clips)
  }
  /// In 10⁹ a second; nil where the clock saw no difference.
  private func rate(_ count: Int, _ figure: KernelFigure) -> Double? {
    count > 0 && figure.seconds > 0 ? Double(count) / figure.seconds / 1e9 : nil
  }
  private var total: Double { figures.reduce(0) { $0 + milliseconds($1) } }

  var object: [String: Any] {
    [
      "productGigaflops": product, "copyGigabytesPerSecond": copy, "millisecondsPerClip": total,
      "rows": figures.map { figure in
        var row: [String: Any] = [
          "layer": figure.layer, "shape": figure.shape, "pass": figure.pass,
          "millisecondsPerClip": milliseconds(figure),
        ]
        if let rate = rate(figure.bytes, figure) {
          row["gigabytesPerSecond"] = rate
          row["shareOfCopy"] = rate / copy
        }
        if let rate = rate(figure.operations, figure) {
          row["gigaflops"] = rate
          row["shareOfProduct"] = rate / product
        }
        return row
      },
    ]
  }

  var text: String {
    func line(_ cells: [String]) -> String {
      zip(cells, [-11, -33, -15, 9, 9, 11, 8, 8]).map { cell, width in
        let space = String(repeating: " ", count: max(abs(width) - cell.count, 0))
        return width < 0 ? cell + space : space + cell
      }.joined(separator: " ")
    }
    let head = ["layer", "shape", "pass", "ms/clip", "GFLOP/s", "of product", "GB/s", "of copy"]
    let rows = figures.map { figure in
      func cells(_ count: Int, of whole: Double) -> [String] {
        rate(count, figure).map {
          [String(format: "%.1f", $0), String(format: "%.0f %%", 100 * $0 / whole)]
        } ?? ["", ""]
      }
      return line(
        [figure.layer, figure.shape, figure.pass, String(format: "%.3f", milliseconds(figure))]
          + cells(figure.operations, of: product) + cells(figure.bytes, of: copy))
    }
    let end = [
      line(["all", "", "", String(format: "%.3f", total), "", "", "", ""]),
      line([
        "machine", "", "", "", String(format: "%.1f", product), "", String(format: "%.1f", copy),
        "",
      ]),
    ]
    return ([line(head)] + rows + end).joined(separator: "\n")
  }
}
