import Cluster
import Testing
import Training

@Suite("What is seen of a run")
struct RunViewTests {
  static func job(steps: Int) -> RunView.Job {
    RunView.Job(
      run: "run", network: "crnn", weightsAndBiases: 1, tags: ["a", "b"], epochs: 1,
      stepsPerEpoch: steps, totalSteps: steps, lanes: 4, clipsPerLane: 2)
  }

  private func member(_ isReady: Bool) -> [Membership.Member] {
    var membership = Membership(tree: LaneTree(lanes: 4))
    let peer = PeerID(bytes: [1])
    membership.join(
      peer, Hello(build: "", host: "host", processID: 1, threads: 1, processor: ""))
    if isReady { membership.set(.ready, for: peer) }
    return membership.members
  }

  @Test("without a worker that is ready it waits, whatever it is at", arguments: [false, true])
  func waiting(isReady: Bool) {
    var view = RunView()
    #expect(view.phase == .starting)
    view.begin(RunState.Position(), best: nil, history: [])
    #expect(view.phase == .waiting)
    view.workers = member(isReady)
    #expect(view.phase == (isReady ? .training : .waiting))
    _ = view.enter(.saving)
    #expect(view.phase == .saving)
  }

  @Test("a loop is stuck when it has long not waited for anything, and only then")
  func stuck() {
    var view = RunView()
    let start = ContinuousClock.now
    let late = start + RunView.longestActivity + .seconds(1)
    #expect(view.stuck(at: late) == nil)  // a start may take its time
    view.begin(RunState.Position(), best: nil, history: [])
    view.sleep(false, at: start)
    #expect(view.stuck(at: start + .seconds(1)) == nil)
    #expect(view.stuck(at: late) == RunView.longestActivity + .seconds(1))
    view.sleep(true, at: start)
    #expect(view.stuck(at: late) == nil)
    view.sleep(false, at: start)
    _ = view.enter(.ended)
    #expect(view.stuck(at: late) == nil)
  }

  @Test("speed and remaining time come from the steps")
  func speed() throws {
    var view = RunView()
    view.job = Self.job(steps: 100)
    #expect(view.secondsLeft == nil && view.clipsPerSecond == nil)
    view.begin(RunState.Position(), best: nil, history: [])
    var position = RunState.Position()
    for step in 0..<10 {
      position.advance(stepsPerEpoch: 100, updated: true)
      view.append(
        StepReport(step: step, epoch: 0, loss: 1, learningRate: 1e-3, gradientNorm: 1),
        reaching: position, clips: 8, seconds: 0.5, dataWaitShare: nil)
    }
    #expect(view.position.step == 10)
    #expect(view.clipsPerSecond == 16)
    // What was made here took no time beside the steps that it is said to have taken.
    #expect(view.secondsLeft == 45)
    #expect(view.lossCurve.points.count == 10)
    _ = view.enter(.ended)
    #expect(view.secondsLeft == nil)
  }

  @Test("of many events the last stay, and all are counted")
  func incidents() {
    var view = RunView()
    for number in 0..<1000 { view.append(CrewEvent(.death, "number \(number)")) }
    #expect(view.incidents.count == RunView.maximumIncidents)
    #expect(view.incidents.last?.sentence == "number 999")
    #expect(view.incidentCounts[.death] == 1000)
  }

  @Test("a status is read while it is written, by many")
  func threads() async {
    let status = RunStatus()
    status.update { $0.begin(RunState.Position(), best: nil, history: []) }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<1000 {
            let view = status.view
            #expect(view.lossCurve.points.count <= 600)
            #expect(view.position.step >= (view.lossCurve.points.last?.step ?? 0))
          }
        }
      }
      group.addTask {
        var position = RunState.Position()
        for step in 0..<5000 {
          position.advance(stepsPerEpoch: 100, updated: true)
          let reached = position
          status.update {
            $0.append(
              StepReport(step: step, epoch: 0, loss: 1, learningRate: 1, gradientNorm: 1),
              reaching: reached, clips: 8, seconds: 0.5, dataWaitShare: nil)
          }
        }
      }
    }
    #expect(status.view.position.step == 5000)
  }
}
