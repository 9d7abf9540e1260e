import ArgumentParser
import Foundation
import Kernels
import Models

/// One worker's part of a training step, without network or disk.
struct Step: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time forward and backward passes of a network.")

  @Option(help: "k1c2, k2c1, k2c2, crnn, mlp or rnn.")
  var network = "crnn"
  @Option(help: "0.1M, 0.25M, 0.5M, 1M or 3M.")
  var size = "0.25M"
  @Option(help: "Threads that share the work.")
  var threads = 1
  @Option(help: "Clips in a pass.")
  var clips = 2
  @Option(help: "Passes timed, after one that is not.")
  var passes = 5
  @Flag(help: "One JSON object instead of lines.")
  var json = false

  func validate() throws {
    guard threads > 0, clips > 0, passes > 0 else {
      throw ValidationError("--threads, --clips and --passes must be positive")
    }
    if case .failure(let refusal) = KernelChoice.made { throw ValidationError("\(refusal)") }
  }

  func run() throws {
    let pool = ThreadPool(threads: threads)
    defer { pool.stop() }
    let network = try Architectures.network(
      NetworkSettings(network: network, widths: .size(size), tags: 50))
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: 1)
    func executor(trains: Bool) -> Executor {
      let executor = Executor(
        network, clips: clips, loss: Loss(.binary), trains: trains, weights: weights, pool: pool)
      fill(executor)
      return executor
    }

    let reference = productRate()
    let training = executor(trains: true)
    let train = seconds {
      training.train(
        clips: clips, clipsInStep: clips, dropout: DropoutStreams(seed: 1, step: 0, lane: 0))
    }
    let inference = executor(trains: false)
    let infer = seconds {
      fill(inference)
      _ = inference.probabilities(clips: clips)
    }
    // forward, and two products of the same size backward
    let rate = 6 * Double(network.multiplyAdds * clips) / train / 1e9
    if json {
      let object: [String: Any] = [
        "network": network.name, "size": size, "threads": threads, "clips": clips,
        "kernels": kernels.name,
        "trainClipsPerSecond": Double(clips) / train,
        "inferenceClipsPerSecond": Double(clips) / infer,
        "trainGigaflops": rate, "productGigaflops": reference,
        "peakMemoryBytes": peakMemoryBytes(),
      ]
      let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      print(String(decoding: data, as: UTF8.self))
    } else {
      let text = String(
        format:
          "%@ %@, %d clips, threads %d, %@ kernels: train %.2f clips/s, inference %.2f clips/s; "
          + "%.1f GFLOP/s, %.0f %% of this machine's matrix product (%.1f on one thread)",
        network.name, size, clips, threads, kernels.name, Double(clips) / train,
        Double(clips) / infer, rate,
        100 * rate / reference / Double(threads), reference)
      print(text)
    }
  }

  private func fill(_ executor: Executor) {
    let stream = RandomStream(seed: 7, purpose: .initialWeights)
    for i in 0..<executor.input.count {
      executor.input.buffer[i] = Float((i &* 2_654_435_761) >> 8 & 0xFFFF) / 1024 - 50
    }
    for i in 0..<executor.labels.count { executor.labels.buffer[i] = stream.uniform(i).rounded() }
  }

  /// GFLOP/s of a square matrix product on one thread.
  private func productRate() -> Double {
    let n = 1024
    let storage = Storage(count: 3 * n * n)
    let square = (0..<3).map { Tensor(storage, offset: $0 * n * n, shape: [n, n]).matrix() }
    square[0].fill(1)
    square[1].fill(0.5)
    let time = seconds { square[2].product(square[0], square[1]) }
    return 2 * Double(n * n * n) / time / 1e9
  }

  /// The fastest of the timed passes: what the machine can do when nobody disturbs.
  private func seconds(_ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    let times = (0..<passes).map { _ in clock.measure(body) }
    return times.min().map { $0 / .seconds(1) } ?? .nan
  }

  private func peakMemoryBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Int(usage.ru_maxrss) * 1024
  }
}
