import Cluster
import Training

/// Runs to look at.
enum Samples {
  /// Before anything is known.
  static let nothing = RunView()

  /// In the middle, with everything that can be seen.
  static func busy(name: String = "run", host: String = "host", steps: Int = 50) -> RunView {
    var view = RunView()
    view.job = RunView.Job(
      run: name, network: "crnn", weightsAndBiases: 245_426, tags: ["rock", "pop"], epochs: 4,
      stepsPerEpoch: steps, totalSteps: 4 * steps, lanes: 4, clipsPerLane: 2)
    view.begin(
      RunState.Position(), best: nil,
      history: [
        RunState.Validation(
          step: 1, epoch: 0, trainLoss: nil, loss: 0.7, rocAUC: nil, prAUC: nil, learningRate: 1)
      ])
    var position = RunState.Position()
    for step in 0..<steps {
      position.advance(stepsPerEpoch: steps, updated: true)
      view.append(
        StepReport(
          step: step, epoch: 0, loss: 1 / Double(step + 1), learningRate: 1e-3, gradientNorm: 2),
        reaching: position, clips: 8, seconds: 0.25, dataWaitShare: 0.125)
    }
    view.append(
      RunState.Validation(
        step: steps, epoch: 1, trainLoss: 0.5, loss: 0.4, rocAUC: 0.875, prAUC: 0.5,
        learningRate: 1e-3), areas, best: EarlyStopping.Best(score: 0.875, step: steps, epoch: 1))
    view.workers = workers(host)
    view.traffic.sentBytes = 1_000_000
    view.traffic.receivedBytes = 2_000_000
    view.append(CrewEvent(.death, "worker \(host):7 is lost: no sign of life"))
    view.append(CrewEvent(.recovery, "step 3 is whole"))
    return view
  }

  /// One that computes, one without lanes, one that goes, one that comes.
  private static func workers(_ host: String) -> [Membership.Member] {
    var membership = Membership(tree: LaneTree(lanes: 1))
    let peers = (0..<4).map { PeerID(bytes: [UInt8($0)]) }
    for (number, peer) in peers.enumerated() {
      membership.join(
        peer, Hello(build: "", host: host, processID: number, threads: 2, processor: "Zen"))
      if number < 3 { membership.set(.ready, for: peer) }
    }
    membership.observe(peers[0], secondsPerLane: 0.5)
    membership.assign()
    membership.set(.draining, for: peers[2])
    return membership.members
  }

  /// Of the first tag; the second has no clip that lacks it.
  private static var areas: [RankingMetrics.Tag] {
    let ranking = try? RankingMetrics(scores: [1, 1, 0, 1], labels: [1, 1, 0, 1], tagCount: 2)
    return ranking?.tags ?? []
  }
}
