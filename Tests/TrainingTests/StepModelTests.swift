import Cluster
import Foundation
import Testing
import Training

/// The plan's model with rates that are easy to reckon with: what must come out is written here by hand.
@Suite("The model of a step")
struct StepModelTests {
  /// A vector of 1,000,000 bytes.
  private static let weights = 249_999
  private typealias Link = StepModel.Cluster.Link

  private func rates(
    cores: Int = 2, threads: Int = 1, lane: Double = 0.1, byte: Double = 0, message: Double = 0
  ) -> PlanRates {
    PlanRates(
      subject: PlanRates.Subject(
        network: "mlp", weights: Self.weights, multiplyAdds: 1, clipsPerLane: 1, threads: threads),
      processor: "slate", cores: cores, secondsPerLane: lane, secondsPerClip: 0.01,
      updateSeconds: 0.003, secondsPerByteAdded: 1e-9, secondsPerByteCopied: 2e-9,
      roundTripSeconds: 0, message: .init(seconds: message, processorSeconds: message),
      plainByte: .init(seconds: byte, processorSeconds: byte),
      encryptedByte: .init(seconds: 10 * byte, processorSeconds: 10 * byte))
  }

  private func model(
    _ workers: Int, lanes: Int, perHost: Int = 1, link: Link?, isOneMachine: Bool = false,
    wire: WireType = .fp32, _ rates: PlanRates
  ) -> StepModel {
    StepModel(
      .init(weights: Self.weights, parameters: 200_000, lanes: lanes, wire: wire),
      .init(workers: workers, workersPerHost: perHost, link: link, isOneMachine: isOneMachine),
      rates)
  }

  /// Carries a million bytes of payload in 10 ms.
  private let link = Link(
    bitsPerSecond: 8e8 * 1538 / 1448, latencySeconds: 0.001, isEncrypted: false)

  private func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-9 + 1e-6 * abs(b) }

  @Test("the busiest worker's lanes decide how long is computed", arguments: 1...9)
  func computing(workers: Int) {
    let model = model(workers, lanes: 8, link: link, rates())
    let lanes = [8, 4, 3, 2, 2, 2, 2, 1, 1][workers - 1]
    #expect(near(model.step(.star).compute, Double(lanes) * 0.101))
    #expect(model.busy == min(workers, 8))
  }

  @Test("a star moves every vector through one link, slices only two")
  func links() {
    for workers in [1, 2, 4, 8] {
      let model = model(workers, lanes: 8, link: link, rates())
      let star = model.step(.star)
      #expect(near(star.wayOut, 0.001 + 0.01 * Double(workers)))
      // The first sends while the others still get their weights.
      let early = 0.005 * Double(workers - 1)
      #expect(near(star.wayIn, star.wayOut - early))
      #expect(star.coordinatorSent == 1e6 * Double(workers))
      #expect(star.coordinatorReceived == 1e6 * Double(workers))
      #expect(near(star.sum, 0.001) && star.update == 0.003)
      let sharded = model.step(.sharded)
      guard workers > 1 else {
        #expect(sharded == star)
        continue
      }
      let others = Double(workers - 1) / Double(workers)
      #expect(near(sharded.wayIn, 0.002 + 0.01 * (1 + others)))
      // Out, the whole is checked.
      #expect(near(sharded.wayOut, sharded.wayIn + 0.002))
      #expect(sharded.coordinatorSent == 1e6 && sharded.coordinatorReceived == 1e6)
      #expect(near(sharded.workerSent, 2e6 * others + 1e6 / Double(workers)))
    }
  }

  @Test("what is summed before the last lane travels while that is computed")
  func overlap() {
    // Of 8 lanes 2 workers have a half of the tree each; of 9 the ninth is a sum of its own.
    let even = model(2, lanes: 8, link: link, rates()).step(.star)
    #expect(even.coordinatorReceived == 2e6)
    let uneven = model(2, lanes: 9, link: link, rates()).step(.star)
    #expect(uneven.coordinatorReceived == 3e6)
    #expect(near(uneven.wayIn, even.wayIn))
    // With lanes that take no time it does not.
    let quick = model(2, lanes: 9, link: link, rates(lane: 0)).step(.star)
    #expect(quick.wayIn > uneven.wayIn + 0.005)
  }

  @Test("rounded lanes are shorter on their way in, sums are not")
  func wire() {
    let alone = model(8, lanes: 8, link: link, wire: .bf16, rates()).step(.star)
    #expect(alone.coordinatorReceived == 8 * 600_000)
    #expect(alone.coordinatorSent == 8e6)
    let pairs = model(4, lanes: 8, link: link, wire: .bf16, rates()).step(.star)
    #expect(pairs.coordinatorReceived == 4e6)
  }

  @Test("workers of one machine share its cores")
  func contention() {
    #expect(model(8, lanes: 8, link: link, rates()).contention == 1)
    #expect(model(8, lanes: 8, perHost: 4, link: link, rates()).contention == 2)
    #expect(model(2, lanes: 8, perHost: 4, link: link, rates()).contention == 1)
    #expect(model(8, lanes: 8, link: link, isOneMachine: true, rates()).contention == 4)
    #expect(model(8, lanes: 8, link: nil, rates()).contention == 4)
    #expect(model(8, lanes: 8, link: nil, rates(cores: 64, threads: 2)).contention == 1)
    #expect(model(64, lanes: 4, link: nil, rates()).contention == 2)
  }

  @Test("processors count where they are slower than the link, and keys cost what they cost")
  func processing() {
    // 80 ns a byte is a fifth of that at a coordinator on its own machine: half of it, on two threads.
    let slow = rates(byte: 8e-8)
    let star = model(4, lanes: 4, link: link, slow).step(.star)
    #expect(near(star.wayOut, 0.001 + 4e6 * 2e-8))
    let encrypted = Link(
      bitsPerSecond: link.bitsPerSecond, latencySeconds: 0.001, isEncrypted: true)
    #expect(
      model(4, lanes: 4, link: encrypted, slow).step(.star).wayOut > 5 * star.wayOut)
    // On one machine everybody's processing is one sum.
    let one = model(4, lanes: 4, link: link, isOneMachine: true, slow).step(.star)
    #expect(near(one.wayOut, 0.001 + 4e6 * 8e-8))
    // Where the link is slower, only the last frame's comes on top.
    let quick = model(4, lanes: 4, link: link, rates(byte: 8e-9)).step(.star)
    #expect(near(quick.wayOut, 0.001 + 0.04 + 1e6 * 4e-9))
    // Each worker has a message for each other.
    let chatty = rates(message: 1e-3)
    let few = model(8, lanes: 8, link: link, chatty).step(.sharded).processing
    let many = model(64, lanes: 64, link: link, chatty).step(.sharded).processing
    #expect(many > 7 * few)
  }

  @Test("more workers never make computing longer, and a faster link never a step")
  func monotone() {
    let rates = rates(byte: 1e-9, message: 2e-5)
    for topology in Topology.allCases {
      var last = Double.infinity
      for workers in 1...40 {
        let compute = model(workers, lanes: 32, link: link, rates).step(topology).compute
        #expect(compute <= last)
        last = compute
        let seconds = [1e8, 1e9, 1e10].map { bits in
          let link = Link(bitsPerSecond: bits, latencySeconds: 0, isEncrypted: true)
          return model(workers, lanes: 32, link: link, rates).step(topology).seconds
        }
        #expect(seconds == seconds.sorted(by: >))
      }
    }
  }
}

/// A whole plan, on rates of paper.
@Suite("A plan")
struct RunPlanTests {
  private func plan(
    workers: Int, lanes: Int = 64, lane: Double = 0.5, bandwidth: Double? = 1e9,
    clips: Int = 201_680
  ) throws -> RunPlan {
    let configuration = try Configuration(overrides: [
      "model.network=mlp", "model.size=0.25M", "training.lanes=\(lanes)", "training.clipsPerLane=4",
    ])
    let network = try configuration.network(tags: 50, bands: 96, frames: 1366)
    let rates = PlanRates(
      subject: PlanMeasurement(configuration, network, threads: 4).subject, processor: "slate",
      cores: 4, secondsPerLane: lane, secondsPerClip: 0.04, updateSeconds: 0.002,
      secondsPerByteAdded: 2e-10, secondsPerByteCopied: 3e-10, roundTripSeconds: 3e-4,
      message: .init(seconds: 3e-5, processorSeconds: 5e-5),
      plainByte: .init(seconds: 1e-9, processorSeconds: 2e-9),
      encryptedByte: .init(seconds: 3e-9, processorSeconds: 6e-9))
    var plan = RunPlan(
      configuration, network,
      RunPlan.Clips(train: clips, validation: 11_774, bytes: 96 * 1366 * 2, tags: 50),
      StepModel.Cluster(
        workers: workers,
        link: bandwidth.map { .init(bitsPerSecond: $0, latencySeconds: 1e-4, isEncrypted: true) }),
      rates)
    (plan.memory, plan.descriptors) = (1_000_000_000, 1024)
    return plan
  }

  @Test("an epoch is its steps and its validation")
  func epoch() throws {
    let plan = try plan(workers: 64)
    #expect(plan.stepsPerEpoch == 788)
    let validation = plan.validationSeconds(workers: 64)
    #expect(validation >= 11_774 / 64 * 0.04)
    let epoch = 788 * plan.step(workers: 64).seconds + validation
    #expect(abs(plan.epochSeconds(workers: 64) - epoch) < 1e-6)
    #expect(plan.counts == [1, 2, 4, 8, 16, 32, 64])
    #expect(try self.plan(workers: 5).counts == [1, 2, 4, 5])
  }

  @Test("workers beyond the lanes stand by, and doubling stops to pay")
  func enough() throws {
    let plan = try plan(workers: 64, lanes: 8)
    #expect(plan.step(workers: 64) == plan.step(workers: 8))
    #expect(plan.bound(workers: 64) == "lanes" && plan.bound(workers: 2) == "computing")
    #expect(plan.enough == 8)
    let slow = try self.plan(workers: 64, lane: 0.001, bandwidth: 1e7)
    #expect(slow.enough < 8)
    #expect(slow.bound(workers: 8) == "link")
    #expect(slow.topology(workers: 16) == .sharded)
  }

  @Test("what breaks is named in order, each with what to turn")
  func limits() throws {
    let plan = try plan(workers: 64, lanes: 8)
    let limits = plan.limits
    #expect(limits.map(\.workers) == limits.map(\.workers).sorted())
    for limit in limits { #expect(limit.workers > 0 && !limit.advice.isEmpty, "\(limit)") }
    func most(_ what: String) -> Int? { limits.first { $0.what.hasPrefix(what) }?.workers }
    #expect(most("lanes") == 8)
    #expect(most("connections") == 1024)
    #expect(most("clips") == 201_680 / 4)
    #expect(most("files:") == 999)
    // 500 ms of computing against 8.5 ms a vector each way.
    let star = try #require(most("the coordinator's link"))
    #expect((30...45).contains(star), "\(star)")
    #expect(most("memory") != nil)
  }

  @Test("the text fits a screen, and JSON has the rates that make the same plan")
  func output() throws {
    let plan = try plan(workers: 64)
    let lines = plan.text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 40)
    for part in ["star", "sharded", "64", "traffic", "memory", "what breaks first"] {
      #expect(plan.text.contains(part), "\(part)")
    }
    let folder = try TemporaryFolder()
    try Data(plan.json().utf8).write(to: URL(fileURLWithPath: folder / "rates.json"))
    #expect(try PlanRates(path: folder / "rates.json") == plan.rates)
    var other = plan.rates.subject
    other.threads = 3
    #expect(throws: TrainingError.self) { try plan.rates.require(other, path: "rates.json") }
    #expect(throws: TrainingError.self) { try PlanRates(path: folder / "nothing.json") }
    for name in ["cores", "threads"] {
      let json = try plan.json()
      let absurd = try json.replacing(
        Regex("\"\(name)\" ?: ?[0-9]+"), with: "\"\(name)\":\(Int.max)")
      #expect(absurd != json)
      try Data(absurd.utf8).write(to: URL(fileURLWithPath: folder / "absurd.json"))
      #expect(throws: TrainingError.self) { try PlanRates(path: folder / "absurd.json") }
    }
  }

  @Test("quantities are read as they are written")
  func units() {
    #expect(Units.bitsPerSecond("10Gbit") == 1e10 && Units.bitsPerSecond("100mbit") == 1e8)
    #expect(Units.seconds("100us") == 1e-4 && Units.seconds("1ms") == 1e-3)
    #expect(Units.seconds("2s") == 2)
    for text in ["10", "Gbit", "-1Gbit", "nanGbit", "10GB", "infGbit", ""] {
      #expect(Units.bitsPerSecond(text) == nil, "\(text)")
    }
    for text in ["1", "us", "-1ms", "1min", "nans"] { #expect(Units.seconds(text) == nil) }
  }
}
