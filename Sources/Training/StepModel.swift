import Cluster

/// How long a step takes, computed from what its parts take.
///
/// ```
/// W  workers with lanes, at most L        M  bytes of a vector: weights out, a sum in
/// L  lanes; n of them with the busiest    B  bytes a second of a link, each way: 1448 of 1538 are payload
/// λ  latency, one way                     r  from thread to thread, out and in (measured)
/// t  a lane, with what shares its cores   u  a byte's processing, m a message's (measured)
/// f  bytes of a frame, 1 MiB at most      a  a byte added, c a byte copied and hashed (measured)
/// ```
/// A step is computing, way in, sum, update and way out, one after the other:
///
/// - computing: n·(t + a·M). Workers of one machine share its cores: t grows with threads over cores.
/// - star, out and in each: max(W·M/B + f·u/2, W·M·u + 2·W·m) + λ + r/2. All goes through the coordinator's link
///   and processor; the last frame is processed when it has come. What a worker adds up before its last
///   lane travels meanwhile, as far as the link can. Links carry both ways at once, and who has its weights
///   first sends while others still get theirs: from nothing, if all get them together, to (W−1)·M/B, if one
///   after the other. Half of that is taken off the way in.
/// - sharded, each: max(M/B + f·u/2, M·u + 2·W·m) + max(M·(W−1)/(W·B) + f·u/2, 2·M·(W−1)/W·u + 2·(W−1)·m) + 2·λ
///   + r: the coordinator's part, and that of the workers among each other; out, also c·M for the check.
/// - shared memory: out c·M·(1 + ⌈W/cores⌉) + r/2 + 2·W·m; in r/2 + 2·W·m.
/// - sum: a·M for the last addition; in shared memory, where nobody has added while vectors came, for all.
/// - update: measured; it does not depend on W.
///
/// On machines of their own the coordinator does half of u and m, on two threads. Where all share one machine,
/// u and m are what an exchange takes there in all, and everybody's count.
///
/// Left out: checkpoints, reading clips as far as it is not hidden, other traffic on the links.
package struct StepModel {
  /// What is trained, as far as times depend on it.
  package struct Job: Equatable, Sendable {
    package var weights: Int
    /// Those of them that have gradients, which `wire` may round.
    package var parameters: Int
    package var lanes: Int
    package var wire = WireType.fp32

    package init(weights: Int, parameters: Int, lanes: Int, wire: WireType = .fp32) {
      (self.weights, self.parameters, self.lanes, self.wire) = (weights, parameters, lanes, wire)
    }

    var vectorBytes: Double { Double((weights + 1) * MemoryLayout<Float>.stride) }
    /// Of one lane's vector on its way.
    var laneBytes: Double {
      wire == .fp32 ? vectorBytes : vectorBytes - Double(parameters * 2)
    }
  }

  /// What it is trained on.
  package struct Cluster: Equatable, Sendable {
    package struct Link: Equatable, Sendable {
      package var bitsPerSecond: Double
      package var latencySeconds: Double
      package var isEncrypted: Bool

      package init(bitsPerSecond: Double, latencySeconds: Double, isEncrypted: Bool) {
        (self.bitsPerSecond, self.latencySeconds) = (bitsPerSecond, latencySeconds)
        self.isEncrypted = isEncrypted
      }

      /// Of payload: TCP over Ethernet with frames of 1500 bytes.
      var bytesPerSecond: Double { bitsPerSecond / 8 * 1448 / 1538 }
    }

    package var workers: Int
    package var workersPerHost: Int
    /// nil for workers that a coordinator starts beside itself.
    package var link: Link?
    /// Coordinator and all workers on the cores of one machine, with links all the same.
    package var isOneMachine: Bool

    package init(
      workers: Int, workersPerHost: Int = 1, link: Link? = nil, isOneMachine: Bool = false
    ) {
      (self.workers, self.workersPerHost) = (workers, workersPerHost)
      self.link = link
      self.isOneMachine = isOneMachine || link == nil
    }
  }

  package let job: Job
  package let cluster: Cluster
  package let rates: PlanRates

  package init(_ job: Job, _ cluster: Cluster, _ rates: PlanRates) {
    (self.job, self.cluster, self.rates) = (job, cluster, rates)
  }

  /// Seconds of a step and where they go; bytes that it moves.
  package struct Step: Codable, Equatable, Sendable {
    package var compute, wayIn, sum, update, wayOut: Double
    /// Of the ways: what the busiest link carries, and what processors do for it.
    package var link, processing: Double
    package var coordinatorSent, coordinatorReceived: Double
    /// Of the busiest worker.
    package var workerSent, workerReceived: Double
    package var seconds: Double { compute + wayIn + sum + update + wayOut }
  }

  package func step(_ topology: Topology) -> Step {
    guard let link = cluster.link else { return inSharedMemory() }
    return topology == .star || busy == 1 ? star(link) : sharded(link)
  }

  // MARK: Computing

  /// Workers that have lanes.
  package var busy: Int { min(cluster.workers, job.lanes) }

  /// How many times longer computing takes because others use the same cores.
  package var contention: Double {
    let together = cluster.isOneMachine ? busy : min(cluster.workersPerHost, busy)
    return max(1, Double(together * rates.subject.threads) / Double(rates.cores))
  }

  private var secondsPerLane: Double {
    rates.secondsPerLane * contention + rates.secondsPerByteAdded * job.vectorBytes
  }

  /// What the workers send: sums in all, those of the last to leave, and those of the busiest worker.
  private struct Sums {
    var bytes = 0.0
    var lastBytes = 0.0
    var count = 0
    var mostBytes = 0.0
    var mostLastBytes = 0.0
    var lanes = 0
  }

  private var sums: Sums {
    let tree = LaneTree(lanes: job.lanes)
    var sums = Sums()
    for lanes in assignLanes(lanes: job.lanes, workers: busy) {
      let bytes = tree.maximalSubtrees(covering: lanes).map {
        $0.count == 1 ? job.laneBytes : job.vectorBytes
      }
      let (all, last) = (bytes.reduce(0, +), bytes.last ?? 0)
      sums.bytes += all
      sums.lastBytes += last
      sums.count += bytes.count
      sums.mostBytes = max(sums.mostBytes, all)
      sums.mostLastBytes = max(sums.mostLastBytes, last)
      sums.lanes = max(sums.lanes, lanes.count)
    }
    return sums
  }

  // MARK: Ways

  /// One hop of all that travels in one direction.
  private struct Hop {
    var link: Double
    var processing: Double
    /// The part of the processing that comes after all else, that of the last frame.
    var last: Double
    var waiting: Double
    var seconds: Double { max(link + last, processing) + waiting }
  }

  /// - Parameters:
  ///   - bytes, messages: at the busiest host
  ///   - allBytes, allMessages: at all of them together, counted once
  ///   - streams, frame: connections whose last frame comes at the end, and its bytes
  private func hop(
    _ link: Cluster.Link, bytes: Double, messages: Double, allBytes: Double, allMessages: Double,
    streams: Int, frame: Double
  ) -> Hop {
    let byte = link.isEncrypted ? rates.encryptedByte : rates.plainByte
    let processing: Double
    let last: Double
    let frame = min(frame, Double(FrameHeader.maximumPayload))
    if cluster.isOneMachine {
      processing = allBytes * byte.seconds + allMessages * rates.message.seconds
      last = Double(streams) * frame * byte.seconds / 2
    } else {
      let half = Double(2 * min(2, rates.cores))
      processing =
        (bytes * byte.processorSeconds + messages * rates.message.processorSeconds) / half
      last = frame * byte.processorSeconds / 2
    }
    return Hop(
      link: bytes / link.bytesPerSecond, processing: processing, last: last,
      waiting: link.latencySeconds + rates.roundTripSeconds / 2)
  }

  private func star(_ link: Cluster.Link) -> Step {
    let (count, sums) = (Double(busy), sums)
    func way(_ bytes: Double) -> Hop {
      hop(
        link, bytes: bytes, messages: 2 * count, allBytes: bytes, allMessages: 2 * count,
        streams: busy, frame: job.vectorBytes)
    }
    let out = way(count * job.vectorBytes)
    var back = way(sums.lastBytes)
    back.link *= 1 - (count - 1) / count / 2
    let compute = Double(sums.lanes) * secondsPerLane
    let earlier = (sums.bytes - sums.lastBytes) / link.bytesPerSecond
    let late = max(0, earlier - (compute - secondsPerLane))
    return Step(
      compute: compute, wayIn: back.seconds + late,
      sum: rates.secondsPerByteAdded * job.vectorBytes, update: rates.updateSeconds,
      wayOut: out.seconds, link: out.link + back.link + late,
      processing: out.processing + back.processing,
      coordinatorSent: count * job.vectorBytes, coordinatorReceived: sums.bytes,
      workerSent: sums.mostBytes, workerReceived: job.vectorBytes)
  }

  private func sharded(_ link: Cluster.Link) -> Step {
    let (count, sums) = (Double(busy), sums)
    let others = (count - 1) / count
    let vector = job.vectorBytes
    // Each slice between the coordinator and its owner; and what its owner and all others exchange.
    let outer = hop(
      link, bytes: vector, messages: 2 * count, allBytes: vector, allMessages: 2 * count,
      streams: busy, frame: vector / count)
    func inner(_ bytes: Double) -> Hop {
      var hop = hop(
        link, bytes: 2 * bytes * others, messages: 2 * (count - 1),
        allBytes: count * bytes * others,
        allMessages: count * (count - 1), streams: busy * (busy - 1), frame: bytes / count)
      // In and out at the same time.
      hop.link /= 2
      return hop
    }
    let (out, back) = (inner(vector), inner(sums.mostLastBytes))
    let compute = Double(sums.lanes) * secondsPerLane
    let earlier = (sums.mostBytes - sums.mostLastBytes) * others / link.bytesPerSecond
    let late = max(0, earlier - (compute - secondsPerLane))
    let checked = cluster.isOneMachine ? count / Double(min(busy, rates.cores)) : 1
    return Step(
      compute: compute, wayIn: back.seconds + outer.seconds + late,
      sum: rates.secondsPerByteAdded * vector, update: rates.updateSeconds,
      wayOut: outer.seconds + out.seconds + rates.secondsPerByteCopied * vector * checked,
      link: 2 * outer.link + out.link + back.link + late,
      processing: 2 * outer.processing + out.processing + back.processing,
      coordinatorSent: vector, coordinatorReceived: vector,
      workerSent: (sums.mostBytes + vector) * others + vector / count,
      workerReceived: (sums.mostBytes + vector) * others + vector / count)
  }

  private func inSharedMemory() -> Step {
    let sums = sums
    let copy = rates.secondsPerByteCopied * job.vectorBytes
    // All workers and the coordinator read the new weights, and hash them.
    let rounds = Double((busy + rates.cores) / rates.cores)
    let messages = Double(2 * busy) * rates.message.seconds
    let way = rates.roundTripSeconds / 2 + messages
    return Step(
      compute: Double(sums.lanes) * secondsPerLane, wayIn: way,
      sum: rates.secondsPerByteAdded * job.vectorBytes * Double(max(1, sums.count - 1)),
      update: rates.updateSeconds, wayOut: way + copy * rounds, link: 0,
      processing: 2 * messages, coordinatorSent: 0, coordinatorReceived: 0, workerSent: 0,
      workerReceived: 0)
  }
}
