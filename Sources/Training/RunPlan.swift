import Cluster
import Foundation
import Models

/// What training with some number of workers would take, by `StepModel`: times, traffic, memory, and what
/// stands in the way of more workers.
package struct RunPlan {
  package struct Clips: Equatable, Sendable {
    package var train: Int
    package var validation: Int
    /// Of one clip's features.
    package var bytes: Int
    package var tags: Int

    package init(train: Int, validation: Int, bytes: Int, tags: Int) {
      (self.train, self.validation) = (train, validation)
      (self.bytes, self.tags) = (bytes, tags)
    }
  }

  package let configuration: Configuration
  package let network: Models.Network
  package let clips: Clips
  package let cluster: StepModel.Cluster
  package let rates: PlanRates
  /// Of the machine that the coordinator is to run on, as far as this one tells.
  package var memory = MemoryBudget.machine.bytes
  package var descriptors = RunPlan.descriptorsAllowed

  package init(
    _ configuration: Configuration, _ network: Models.Network, _ clips: Clips,
    _ cluster: StepModel.Cluster, _ rates: PlanRates
  ) {
    (self.configuration, self.network, self.clips) = (configuration, network, clips)
    (self.cluster, self.rates) = (cluster, rates)
  }

  // MARK: Steps

  package var lanes: Int { configuration.training.lanes }

  /// The same cluster with another number of workers.
  ///
  /// - Parameter lanes: nil for the configuration's
  package func model(workers: Int, lanes: Int? = nil) -> StepModel {
    var cluster = cluster
    cluster.workers = workers
    return StepModel(
      StepModel.Job(
        weights: network.weightCount, parameters: network.parameterCount,
        lanes: lanes ?? self.lanes, wire: configuration.training.wire),
      cluster, rates)
  }

  /// Which way of adding is quicker with so many.
  package func topology(workers: Int) -> Topology {
    let model = model(workers: workers)
    return model.step(.sharded).seconds < model.step(.star).seconds ? .sharded : .star
  }

  package func step(workers: Int) -> StepModel.Step {
    model(workers: workers).step(topology(workers: workers))
  }

  /// A step's clips, on average over an epoch.
  package var clipsPerStep: Double { Double(clips.train) / Double(stepsPerEpoch) }

  package var stepsPerEpoch: Int {
    let largest = (clips.train + lanes - 1) / lanes
    let most = configuration.training.clipsPerLane
    return max(1, (largest + most - 1) / most)
  }

  /// One look at the validation split. Spares take part.
  package func validationSeconds(workers: Int) -> Double {
    let model = model(workers: workers)
    let share = Double((clips.validation + workers - 1) / workers)
    let orders = Double(clips.validation + 3) / 4 * 2
    return max(
      share * rates.secondsPerClip * model.contention, orders * rates.message.seconds)
  }

  package func epochSeconds(workers: Int) -> Double {
    let validations =
      switch configuration.training.validateEvery {
      case .epochs(let epochs): 1 / Double(epochs)
      case .steps(let steps): Double(stepsPerEpoch) / Double(steps)
      }
    return Double(stepsPerEpoch) * step(workers: workers).seconds
      + validations * validationSeconds(workers: workers)
  }

  /// What of a step takes the most: computing, as long as more workers shorten it.
  package func bound(workers: Int) -> String {
    let step = step(workers: workers)
    let ways = step.wayIn + step.wayOut
    if step.compute >= max(ways, step.sum + step.update) {
      if model(workers: workers).contention > 1 { return "cores" }
      return workers >= lanes ? "lanes" : "computing"
    }
    if step.sum + step.update > ways { return "coordinator" }
    if cluster.link == nil { return "processors" }
    if step.link >= ways / 2 { return "link" }
    return step.processing >= ways / 2 ? "processors" : "latency"
  }

  /// 1, 2, 4 and so on up to the workers asked for, and these.
  package var counts: [Int] {
    var counts: [Int] = []
    var count = 1
    while count < cluster.workers {
      counts.append(count)
      count *= 2
    }
    return counts + [cluster.workers]
  }

  /// From this number on twice as many workers shorten a step by less than a tenth.
  package var enough: Int {
    var count = 1
    while count < 1024,
      step(workers: 2 * count).seconds < 0.9 * step(workers: count).seconds
    {
      count *= 2
    }
    return count
  }

  // MARK: Memory and descriptors

  /// Of a process before it has a network: the program, its libraries and its threads.
  private static let processBytes = 45_000_000
  /// Of the coordinator for each worker, whatever the network.
  private static let peerBytes = 150_000
  /// What libzmq holds for a connection and a direction.
  private static let queueBytes = 16 << 20

  private var vectorBytes: Int { (network.weightCount + 1) * MemoryLayout<Float>.stride }

  package func workerBytes(_ topology: Topology) -> Int {
    let queues = 2 * min(vectorBytes, Self.queueBytes)
    let exchange = cluster.link == nil ? vectorBytes : queues + 2 * vectorBytes
    return Self.processBytes + exchange + (topology == .star ? 0 : 3 * vectorBytes)
      + LaneComputer.memory(
        network, clips: configuration.training.clipsPerLane, threads: rates.subject.threads)
  }

  /// At most: when all vectors are on their way at once.
  package func coordinatorBytes(workers: Int, lanes: Int, _ topology: Topology) -> Int {
    let own =
      Self.processBytes + workers * Self.peerBytes + 6 * vectorBytes
      + LaneProbe.memory(network, threads: 1)
      + 20 * clips.validation * clips.tags
    let busy = min(workers, lanes)
    if cluster.link == nil { return own + (2 + busy) * vectorBytes }
    if topology == .sharded { return own + 3 * vectorBytes }
    // In libzmq; put together from chunks; waiting for their siblings in the tree.
    let waiting = min(busy, (lanes + 1) / 2)
    return own + busy * (min(vectorBytes, Self.queueBytes) + vectorBytes) + waiting * vectorBytes
  }

  /// Files and connections of the coordinator. A worker of its own machine has a pipe and memory too.
  package func coordinatorDescriptors(workers: Int) -> Int {
    25 + (cluster.link == nil ? 3 : 1) * workers
  }

  /// Of a worker that shares vectors: it has a connection to each of the others.
  package static func workerDescriptors(owners: Int) -> Int { 27 + descriptorsPerLink * owners }
  private static let descriptorsPerLink = 7

  /// What a program may raise its limit to, and does.
  package static var descriptorsAllowed: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(min(limit.rlim_max, 65_536))
  }
}
