import Cluster
import Foundation

/// Something that stands in the way of more workers.
package struct PlanLimit: Codable, Equatable, Sendable {
  /// The most workers for which it does not.
  package let workers: Int
  package let what: String
  /// What to turn.
  package let advice: String
}

extension RunPlan {
  /// What breaks as workers are added, in the order in which it does. Beyond the configuration's lanes each worker is
  /// taken to have one, since `training.lanes` would be raised for them.
  package var limits: [PlanLimit] {
    ([lanesLimit, clipsLimit, peersLimit] + exchangeLimits + descriptorLimits + [memoryLimit])
      .compactMap(\.self)
      .sorted { $0.workers < $1.workers }
  }

  /// Nobody has tried more.
  static let horizon = 4096

  private var lanesLimit: PlanLimit {
    PlanLimit(
      workers: lanes,
      what: "lanes: a run has \(lanes), further workers are spares", advice: "training.lanes")
  }

  private var clipsLimit: PlanLimit {
    let most = max(1, clips.train / configuration.training.clipsPerLane)
    return PlanLimit(
      workers: most,
      what: "clips: a step takes all \(clips.train)", advice: "training.clipsPerLane, lower")
  }

  private var peersLimit: PlanLimit {
    let most = EndpointSettings().maximumPeers
    return PlanLimit(
      workers: most, what: "connections: a coordinator takes \(most)",
      advice: "fewer workers, more --threads each")
  }

  private func model(filled workers: Int) -> StepModel {
    model(workers: workers, lanes: max(lanes, workers))
  }

  private var exchangeLimits: [PlanLimit?] {
    guard cluster.link != nil else {
      return [
        limit("processors: messages take longer than computing", "training.clipsPerLane") {
          let step = $0.step(.star)
          return step.wayIn + step.wayOut + step.sum <= step.compute
        }
      ]
    }
    return [
      limit(
        "the coordinator's link (star) is busy for longer than computing takes",
        "--topology sharded, training.wire"
      ) {
        let step = $0.step(.star)
        return step.link <= step.compute
      },
      limit(
        "the coordinator's processor (star) is busy for longer than computing takes",
        "--topology sharded"
      ) {
        let step = $0.step(.star)
        return step.processing <= step.compute
      },
      limit(
        "messages of all to all (sharded) take longer than computing", "training.clipsPerLane"
      ) {
        let step = $0.step(.sharded)
        return step.processing <= step.compute
      },
    ]
  }

  /// The most workers with which `holds`; nil if it always does as far as anybody looks.
  private func limit(
    _ what: String, _ advice: String, while holds: (StepModel) -> Bool
  ) -> PlanLimit? {
    guard !holds(model(filled: Self.horizon)) else { return nil }
    let most = largest { holds(model(filled: $0)) }
    return PlanLimit(workers: most, what: what, advice: advice)
  }

  /// The largest number up to the horizon for which `holds`, which holds for all below; by bisection.
  private func largest(where holds: (Int) -> Bool) -> Int {
    var (low, high) = (0, Self.horizon)
    while high - low > 1 {
      let middle = (low + high) / 2
      if holds(middle) { low = middle } else { high = middle }
    }
    return low
  }

  private var descriptorLimits: [PlanLimit?] {
    func limit(_ what: String, _ advice: String, _ needed: (Int) -> Int) -> PlanLimit? {
      let most = largest { needed($0) <= descriptors }
      return most < Self.horizon - 1 ? PlanLimit(workers: most, what: what, advice: advice) : nil
    }
    let ofCoordinator = limit(
      "files: the coordinator may have \(descriptors)", "ulimit -Hn there", coordinatorDescriptors)
    guard cluster.link != nil else { return [ofCoordinator] }
    let ofWorkers = limit(
      "files (sharded): a worker, connected to all others, may have \(descriptors)",
      "ulimit -Hn there"
    ) { Self.workerDescriptors(owners: $0) }
    return [ofCoordinator, ofWorkers]
  }

  private var memoryLimit: PlanLimit? {
    let most = largest {
      let workers = cluster.link == nil ? $0 * workerBytes(.star) : 0
      return coordinatorBytes(workers: $0, lanes: max(lanes, $0), .star) + workers <= memory
    }
    guard most < Self.horizon - 1 else { return nil }
    let whose = cluster.link == nil ? "coordinator and workers" : "the coordinator (star)"
    return PlanLimit(
      workers: most,
      what: "memory: \(whose) would take more than \(MemoryBudget.text(memory))",
      advice: cluster.link == nil ? "more machines, training.clipsPerLane" : "--topology sharded")
  }
}
