import Cluster
import Dataset
import Foundation
import Kernels
import Models

/// One life of a coordinator: opens or resumes the run's folder, gathers the workers, trains.
package struct RunSession {
  package var configuration: Configuration
  package var store: URL
  /// Where the run goes; nil names it by date.
  package var folder: String?
  package var resumes = false
  /// Where workers connect; a port of 0 takes a free one.
  package var address = "tcp://127.0.0.1:0"
  /// Workers to wait for before the first step.
  package var workers: Int
  /// Whether more may come from elsewhere.
  package var expectsOthers = true
  /// How long to wait for workers when there are none.
  package var patience = Duration.seconds(600)
  /// A worker that says nothing for this long is lost.
  package var silence = EndpointSettings().silence
  /// Every so many steps a lane is computed by two workers, and compared; nil for never.
  package var auditEvery: Int?
  /// Workers of this machine.
  package var local: LocalWorkers?
  /// How many of them run on this machine, and the threads of each.
  package var localWorkers = 0
  package var localThreads = 1
  /// What the coordinator and its local workers may take, all together.
  package var memory = MemoryBudget.machine
  /// Bytes of the store that workers without it get in a second, all together; nil for what links carry.
  package var deliveryRate: Int?
  /// How vectors travel.
  package var topology = TopologyChoice.star
  /// Whether workers may run on another kind of processor than the coordinator.
  package var allowsMixedProcessors = false
  package var output = ProgressDisplay.Output.standardError
  package var transport: any Transport = ZeroMQTransport()
  /// What others see of the run.
  package var status = RunStatus()
  /// Where it is written who did what when.
  package var trace: RunTrace?
  /// Says that the run should save and end, and why.
  package var interruption: @Sendable () -> String? = { nil }
  /// Starts the workers, once they have somewhere to connect to.
  package var launch: (_ launching: Launching) throws -> Void = { _ in }

  package init(configuration: Configuration, store: URL, workers: Int) {
    self.configuration = configuration
    self.store = store
    self.workers = workers
  }

  /// What a launcher needs to know, and whom it wakes when something ends.
  package struct Launching {
    package let address: String
    package let store: URL
    /// To share with workers of this machine.
    package let memory: CoordinatorMemory?
    package let wake: @Sendable () -> Void
  }

  private func endpointSettings(largestVector: Int) -> EndpointSettings {
    var settings = EndpointSettings(largestVector: largestVector)
    settings.silence = silence
    settings.heartbeat = min(settings.heartbeat, silence / 4)
    if let trace { settings.clock = trace.clock }
    return settings
  }

  /// The coordinator and all workers that it starts here stand beside each other.
  private func requireMemory(_ network: Models.Network) throws {
    // Weights, two moments, a sum, and a vector on its way in and out; at the start the probe.
    let own =
      6 * network.weightCount * MemoryLayout<Float>.stride + LaneProbe.memory(network, threads: 1)
    let clips = configuration.training.clipsPerLane
    let worker = LaneComputer.memory(network, clips: clips, threads: localThreads)
    let team =
      localWorkers == 0
      ? "" : " with \(localWorkers) \(localWorkers == 1 ? "worker" : "workers") on this machine"
    try memory.require(
      own + localWorkers * worker,
      for: "a coordinator of \(network.weightsAndBiases) weights and biases\(team)",
      advice: localWorkers > 1
        ? "start fewer workers (each needs \(MemoryBudget.text(worker)) with \(clips) clips a lane), "
          + "lower training.clipsPerLane or the network's width"
        : "lower training.clipsPerLane or the network's width")
  }

  /// Trains to the end.
  ///
  /// - Throws: whatever ends the run early; its state is then saved
  package func run() throws -> RunOutcome {
    defer { status.end() }
    let store = try Store(store)
    let configuration = try configuration.resolved(for: store)
    try configuration.requireFeatures(of: store)
    let network = try configuration.network(for: store)
    let schedule = configuration.schedule(for: store)
    try requireMemory(network)
    let state = RunState(network, configuration, stepsPerEpoch: schedule.stepsPerEpoch)
    let progress = ProgressDisplay(
      epochs: configuration.training.epochs, stepsPerEpoch: schedule.stepsPerEpoch,
      clipsPerStep: configuration.training.clipsPerStep,
      maxSteps: configuration.training.maxSteps, output: output)
    defer { progress.finish() }
    for warning in store.warnings { progress.note("store: \(warning)") }
    let folder = try open(state, configuration, store, progress)
    let term = try folder.beginTerm()
    let report = RunReport(
      log: try folder.log(after: state.position.step), progress: progress, status: status,
      trace: trace)
    status.update {
      $0.job = RunView.Job(
        run: URL(fileURLWithPath: folder.path).lastPathComponent, network: network.name,
        weightsAndBiases: network.weightsAndBiases, tags: store.tags,
        epochs: configuration.training.epochs, stepsPerEpoch: schedule.stepsPerEpoch,
        totalSteps: configuration.totalSteps(stepsPerEpoch: schedule.stepsPerEpoch),
        lanes: configuration.training.lanes, clipsPerLane: configuration.training.clipsPerLane)
    }

    let count = network.weightCount + 1
    let memory =
      localWorkers == 0
      ? nil : try? CoordinatorMemory(lanes: configuration.training.lanes, length: count)
    let endpoint: CoordinatorEndpoint
    do {
      endpoint = try CoordinatorEndpoint(
        listeningAt: address, over: transport, run: term.run, term: term.number,
        settings: endpointSettings(largestVector: count), memory: memory)
    } catch {
      // Nothing has happened yet: a mistaken port must not take the run's name.
      if !resumes { folder.discard() }
      throw error
    }
    defer { endpoint.close() }
    trace?.begin(run: URL(fileURLWithPath: folder.path).lastPathComponent, warn: report.note)
    defer { trace?.end() }
    var settings = Crew.Settings(
      build: Build.version, processor: Processor.description,
      proof: allowsMixedProcessors ? nil : LaneProbe.hash(network, pool: ThreadPool(threads: 1)))
    settings.patience = patience
    settings.auditEvery = auditEvery
    settings.topology = topology
    let crew = Crew(
      endpoint, lanes: configuration.training.lanes, contributionCount: count,
      welcome: try Welcome(
        configuration, store, topology: topology, traces: trace != nil),
      settings: settings
    ) { report.crew($0, step: state.position.step) }
    crew.local = local
    crew.desk = try DataDesk(endpoint, store, rate: deliveryRate)
    crew.status = status
    crew.trace = trace
    crew.expectsOthers = expectsOthers
    if allowsMixedProcessors {
      report.note("--allow-mixed-cpus: the result may depend on which processor computes what")
    }
    crew.interruption = { [interruption] () -> (any Error)? in
      interruption().map { TrainingError(.interrupted, "interrupted by \($0)") }
    }
    defer { crew.dismiss() }
    report.note(
      "\(network.name), \(network.weightsAndBiases) weights and biases; "
        + "\(schedule.clips.count) clips to train on, \(store.clipCount(in: .validation)) to validate, "
        + "\(schedule.stepsPerEpoch) \(schedule.stepsPerEpoch == 1 ? "step" : "steps") an epoch; run \(folder.path)"
    )
    report.note("computing on \(Processor.description)")
    report.note(
      "waiting for \(workers) \(workers == 1 ? "worker" : "workers") at \(endpoint.address)")
    do {
      try launch(
        Launching(address: endpoint.address, store: self.store, memory: memory) {
          endpoint.interrupt()
        })
      try report.during(.waiting) { try crew.gather(workers) }
    } catch {
      report.note("no step was made; go on with --resume \(folder.path)")
      throw error
    }
    return try Coordinator(
      configuration, store: store, folder: folder, state: state, crew: crew, report: report
    ).run()
  }

  /// The run's folder, new or as a term before left it; fills `state` from its newest checkpoint.
  private func open(
    _ state: RunState, _ configuration: Configuration, _ store: Store, _ progress: ProgressDisplay
  ) throws -> RunFolder {
    guard resumes, let folder else {
      return try RunFolder.create(folder, configuration: configuration, store: self.store)
    }
    let run = try RunFolder.resume(folder)
    let changes = configuration.differences(from: try run.configuration().resolved(for: store))
    if let change = changes.first(where: { !$0.mayChange }) {
      throw TrainingError(
        .badInput,
        "\(folder) cannot go on with another configuration: \(change); start a new run for that")
    }
    if let found = try run.newestCheckpoint() {
      for warning in found.warnings { progress.note("warning: \(warning)") }
      let checkpoint = try Checkpoint(found.file)
      guard checkpoint.storeFingerprint == store.fingerprint else {
        throw TrainingError(
          .badInput,
          "\(folder) was trained on the store with fingerprint \(checkpoint.storeFingerprint), and "
            + "\(store.directory.path) has \(store.fingerprint): give --data the store of the run")
      }
      let place = checkpoint.position.stepInEpoch
      let steps = configuration.schedule(for: store).stepsPerEpoch
      guard place < steps else {
        throw CheckpointError(
          .malformed, path: checkpoint.path,
          detail: "it is at step \(place) of \(steps) in its epoch")
      }
      try checkpoint.restore(state)
      for warning in try run.repairLinks(last: found.step, best: state.stopping.best?.step) {
        progress.note("warning: \(warning)")
      }
      progress.note("resuming \(folder) after step \(state.position.step)")
    } else {
      progress.note("\(folder) has no checkpoint yet: it starts from the beginning")
    }
    try run.remember(store: self.store)
    try run.write(configuration)
    return run
  }
}
