import Cluster
import Foundation
import Testing
import Training

/// The promise: what a run leaves behind is a function of configuration, store and seed.
///
/// Five lanes of at most two clips make three steps an epoch of 24 clips, some lanes with one.
@Suite struct InProcessTrainingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A GRU over averaged frames with dropout: quick, and with all kinds of state.
  static var configuration: Configuration {
    var configuration = Configuration(network: .rnn)
    configuration.model.widths = [7]
    configuration.model.size = nil
    configuration.model.poolFrames = 4
    configuration.model.dropout.dense = 0.2
    configuration.training.lanes = 5
    configuration.training.epochs = 4
    configuration.training.patience = nil
    configuration.optimizer.learningRate = 0.01
    return configuration
  }

  func run(_ name: String, _ configuration: Configuration = configuration) -> InProcessRun {
    InProcessRun(configuration: configuration, store: folder / "store", folder: folder / name)
  }

  /// Trains to the end without anything in the way.
  func complete(_ run: InProcessRun) throws -> RunOutcome {
    let result = try run.run()
    return try #require(result.outcome, "\(result.error?.description ?? "")\n\(result.said)")
  }

  // MARK: Workers and threads

  @Test("workers and threads leave no trace in the result")
  func workers() throws {
    try SyntheticStore().write(folder / "store")
    var reference = run("1-1")
    let outcome = try complete(reference)
    #expect(outcome.position.step == 12 && outcome.test?.rocAUC != nil)
    // more workers than lanes are allowed: two stand by
    for (workers, threads) in [(1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2), (7, 1)] {
      var other = run("\(workers)-\(threads)")
      (other.workers, other.threads) = (workers, threads)
      let result = try other.run()
      #expect(result.outcome?.test == outcome.test && result.outcome?.best == outcome.best)
      #expect(try other.bytes == reference.bytes, "\(workers) workers, \(threads) threads")
      #expect(try other.last.digest() == reference.last.digest())
      #expect(try other.best.digest() == reference.best.digest())
      #expect(try other.log == reference.log)
      #expect(result.said.contains("stands by") == (workers > 5))
    }

    // another seed is another run
    reference.folder = folder / "seed"
    reference.configuration.training.seed = 1
    _ = try complete(reference)
    #expect(try reference.last.digest() != run("1-1").last.digest())
  }

  @Test(
    "rounded lanes are another run, the same for any number of workers",
    arguments: [WireType.bf16, .fp16])
  func wireTypes(wire: WireType) throws {
    try SyntheticStore().write(folder / "store")
    let precise = run("precise")
    _ = try complete(precise)
    var reference = run("1")
    reference.configuration.training.wire = wire
    let outcome = try complete(reference)
    #expect(try reference.last.digest() != precise.last.digest())
    for workers in [2, 5] {
      var other = run("\(workers)", reference.configuration)
      other.workers = workers
      #expect(try complete(other).test == outcome.test)
      #expect(try other.bytes == reference.bytes, "\(workers) workers")
    }

    reference.resumes = true
    reference.configuration.training.wire = .fp32
    let refusal = try #require(try reference.run().error)
    #expect(refusal.status == .badInput)
    #expect(refusal.description.contains("training.wire"), "\(refusal)")
  }

  @Test(
    "how vectors travel leaves no trace in the result, nor does a worker that leaves meanwhile",
    arguments: [TopologyChoice.sharded, .auto])
  func topologies(topology: TopologyChoice) throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("star")
    let outcome = try complete(reference)
    for workers in [1, 2, 4, 7] {
      var other = run("\(workers)")
      (other.workers, other.topology) = (workers, topology)
      #expect(try complete(other).test == outcome.test)
      #expect(try other.bytes == reference.bytes, "\(workers) workers")
    }
    var left = run("left")
    (left.workers, left.topology) = (4, topology)
    left.interruption = { scene in
      if scene.count("step") == 6 { scene.loseWorker() }
      return nil
    }
    _ = try complete(left)
    #expect(try left.bytes == reference.bytes)
  }

  @Test("every step says what share of the workers' time went into waiting for clips")
  func dataWait() throws {
    struct Line: Decodable {
      let kind: String
      let dataWaitShare: Double?
    }
    try SyntheticStore().write(folder / "store")
    var run = run("run")
    run.workers = 3
    _ = try complete(run)
    let lines = try String(contentsOfFile: run.folder + "/metrics.jsonl", encoding: .utf8)
      .split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    for line in lines {
      #expect(line.dataWaitShare.map { $0 > 0 && $0 <= 1 } == (line.kind == "step" ? true : nil))
    }
  }

  @Test("the CRNN keeps the promise too")
  func convolutional() throws {
    var store = SyntheticStore()
    (store.bands, store.frames) = (96, 200)
    store.clips = [.train: 9, .validation: 5]
    try store.write(folder / "store")
    var configuration = Configuration(network: .crnn)
    configuration.model.widths = [4, 5, 4, 5, 4, 3]
    configuration.model.size = nil
    configuration.training.lanes = 3
    configuration.training.epochs = 2
    let one = run("one", configuration)
    let outcome = try complete(one)
    #expect(outcome.test == nil && outcome.position.step == 4)
    var three = run("three", configuration)
    (three.workers, three.threads) = (3, 2)
    _ = try complete(three)
    #expect(try three.bytes == one.bytes)
  }

  @Test(
    "lanes without clips, at every step or at one of them, are no obstacle",
    arguments: [(16, 2, 4), (4, 1, 12)])
  func emptyLanes(lanes: Int, clipsPerLane: Int, steps: Int) throws {
    var store = SyntheticStore()
    store.clips[.train] = 11
    try store.write(folder / "store")
    var configuration = Self.configuration
    configuration.training.lanes = lanes
    configuration.training.clipsPerLane = clipsPerLane
    let one = run("one", configuration)
    #expect(try complete(one).position.step == steps)
    var many = run("many", configuration)
    many.workers = 3
    _ = try complete(many)
    #expect(try many.bytes == one.bytes)
  }

  // MARK: Stopping and resuming

  @Test(
    "stopped and resumed with other workers, it ends the same",
    arguments: [(0, 2), (1, 3), (5, 4), (9, 1), (11, 2)])
  func resume(steps: Int, workers: Int) throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("whole")
    _ = try complete(reference)

    var stopped = run("stopped")
    stopped.workers = 2
    stopped.interruption = { $0.count("step") >= steps ? "a test" : nil }
    let result = try stopped.run()
    #expect(result.error?.status == .interrupted)
    // before the workers are there, there is nothing to save
    if steps > 0 { #expect(try stopped.last.position.step == steps) }

    stopped.resumes = true
    stopped.workers = workers
    stopped.interruption = { _ in nil }
    _ = try complete(stopped)
    #expect(try stopped.bytes == reference.bytes)
    #expect(try stopped.last.digest() == reference.last.digest())
    #expect(try stopped.log == reference.log)
    let log = try stopped.log
    #expect(log.filter { $0.kind == "step" }.map(\.step) == Array(1...12))
    #expect(log.filter { $0.kind == "validation" }.map(\.step) == [3, 6, 9, 12])
    #expect(
      log.filter { $0.kind == "validation" }.allSatisfy { $0.loss != nil && $0.rocAUC != nil })
    #expect(log.last?.kind == "end")
  }

  @Test("a validation that was due when the run was stopped is made up for")
  func interruptedValidation() throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("whole")
    _ = try complete(reference)
    var stopped = run("stopped")
    // once the second epoch's steps are in the log, its validation is what is waited for
    stopped.interruption = { $0.count("step") == 6 && $0.count("validation") == 1 ? "a test" : nil }
    #expect(try stopped.run().error?.status == .interrupted)
    #expect(try stopped.last.position.step == 6)
    #expect(try stopped.last.history.map(\.step) == [3])

    stopped.resumes = true
    stopped.interruption = { _ in nil }
    _ = try complete(stopped)
    #expect(try stopped.last.history.map(\.step) == [3, 6, 9, 12])
    #expect(try stopped.bytes == reference.bytes)
    #expect(try stopped.log == reference.log)
  }

  @Test("training on after the end gives what training in one go gives")
  func longer() throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("whole")
    _ = try complete(reference)
    var short = run("short")
    short.configuration.training.epochs = 2
    _ = try complete(short)
    #expect(try short.last.position.step == 6)
    short.resumes = true
    short.configuration.training.epochs = 4
    _ = try complete(short)
    #expect(try short.last.digest() == reference.last.digest())
    #expect(try short.best.digest() == reference.best.digest())
    // the first end was none
    #expect(try short.log == reference.log)
  }

  @Test("maxSteps ends a run within an epoch, without a validation it was too short for")
  func maxSteps() throws {
    try SyntheticStore().write(folder / "store")
    var configuration = Self.configuration
    configuration.training.maxSteps = 2
    let short = run("short", configuration)
    let outcome = try complete(short)
    #expect(outcome.position.step == 2 && outcome.best == nil && outcome.test != nil)
    #expect(try short.last.digest() == short.best.digest())
    #expect(try short.last.history.isEmpty)
  }

  // MARK: Judging and stopping early

  /// A rate so high that the model is best early and worse later.
  static var hasty: Configuration {
    var configuration = configuration
    configuration.optimizer.learningRate = 0.3
    configuration.training.epochs = 40
    configuration.training.patience = 3
    return configuration
  }

  @Test("early stopping ends the run, and the best model is the one that is judged")
  func earlyStopping() throws {
    try SyntheticStore().write(folder / "store")
    var early = run("early", Self.hasty)
    let outcome = try complete(early)
    let best = try #require(outcome.best)
    #expect(outcome.position.epoch < 40)
    #expect(outcome.position.epoch == best.epoch + 3)
    let checkpoint = try early.best
    #expect(checkpoint.position.step == best.step)
    #expect(try early.last.position.step == outcome.position.step)

    // the best checkpoint evaluates to what the history says, and to what the run was judged by
    let evaluated = try Evaluation(
      model: checkpoint.path, store: URL(fileURLWithPath: early.store), split: .validation,
      threads: 2)
    #expect(evaluated.scores.ranking.rocAUC == best.score)
    #expect(evaluated.scores.loss == checkpoint.history.last?.loss)
    let judged = try Evaluation(
      model: checkpoint.path, store: URL(fileURLWithPath: early.store), split: .test, threads: 1)
    #expect(judged.scores.ranking == outcome.test)

    // resuming a run that has stopped does not train on
    let (digest, log) = (try early.last.digest(), try early.log)
    early.resumes = true
    #expect(try complete(early) == outcome)
    #expect(try early.last.digest() == digest && early.log == log)
  }

  @Test("a plateau's learning rates go on after a resume where they were")
  func plateau() throws {
    try SyntheticStore().write(folder / "store")
    var configuration = Self.hasty
    configuration.training.patience = nil
    configuration.training.epochs = 12
    configuration.optimizer.schedule = .plateau
    configuration.optimizer.patience = 2
    let reference = run("whole", configuration)
    _ = try complete(reference)
    let rates = try reference.log.filter { $0.kind == "step" }.compactMap(\.learningRate)
    #expect(Set(rates).count > 1, "the rate never fell: \(rates)")

    // within the epoch after each validation, so that every state in between is carried over
    var stopped = run("stopped", configuration)
    for steps in stride(from: 4, to: 36, by: 3) {
      stopped.interruption = { $0.count("step") >= steps ? "a test" : nil }
      #expect(try stopped.run().error?.status == .interrupted)
      stopped.resumes = true
    }
    stopped.interruption = { _ in nil }
    _ = try complete(stopped)
    #expect(try stopped.log == reference.log)
    #expect(try stopped.bytes == reference.bytes)
  }

  // MARK: Faults

  @Test("a worker that leaves is not missed by the others", arguments: [2, 3])
  func lostWorker(workers: Int) throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("whole")
    _ = try complete(reference)
    var shrinking = run("shrinking")
    shrinking.workers = workers
    shrinking.interruption = { scene in
      if scene.count("step") == 4 { scene.loseWorker() }
      return nil
    }
    let result = try shrinking.run()
    #expect(result.outcome != nil && result.said.contains("has left the run"), "\(result)")
    #expect(try shrinking.bytes == reference.bytes)
    #expect(try shrinking.log == reference.log)
  }

  @Test("when the last worker leaves the state is saved, and the run goes on from there")
  func lastWorker() throws {
    try SyntheticStore().write(folder / "store")
    let reference = run("whole")
    _ = try complete(reference)
    var broken = run("broken")
    broken.interruption = { scene in
      if scene.count("step") == 4 { scene.loseWorker() }
      return nil
    }
    let error = try #require(try broken.run().error)
    #expect(error.status == .unavailable, "\(error)")
    #expect(try broken.last.position.step >= 4)

    broken.resumes = true
    broken.interruption = { _ in nil }
    _ = try complete(broken)
    #expect(try broken.bytes == reference.bytes)
  }

  @Test("another store, or another configuration, is refused on resuming")
  func otherStore() throws {
    try SyntheticStore().write(folder / "store")
    var configuration = Self.configuration
    configuration.training.epochs = 1
    var first = run("run", configuration)
    _ = try complete(first)
    first.resumes = true
    first.configuration.optimizer.learningRate = 0.02
    let error = try #require(try first.run().error)
    #expect(error.status == .badInput && error.description.contains("optimizer.learningRate"))

    var other = SyntheticStore()
    other.lift = 4
    try other.write(folder / "other")
    first.configuration = configuration
    first.store = folder / "other"
    let second = try #require(try first.run().error)
    #expect(second.status == .badInput && second.description.contains("fingerprint"))
  }
}
