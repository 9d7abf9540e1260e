import ArgumentParser
import Cluster
import Foundation
import Kernels
import Models
import Training

/// A training step from clips in memory to moved weights, and a forward pass: what networks are compared
/// by. No store, no other process.
struct Step: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time whole training steps and forward passes of networks.",
    discussion: """
      A step is forward pass, loss, backward pass, a look for what is not finite, Adam with the \
      gradient's norm, the running statistics and the hash of the weights. Training and inference, \
      and each network, have a process of their own, since a process remembers its largest memory.
      """)

  enum Pass: String, CaseIterable, ExpressibleByArgument { case train, inference }

  @OptionGroup var networks: NetworkOptions
  @Option(help: "Clips in a training step.")
  var clips = 16
  @Option(help: "Clips in a forward pass; a run takes four at a time.")
  var inferenceClips = 4
  @Option(help: "Steps and passes timed, after the first, which is not; the fastest counts.")
  var passes = 5
  @Option(help: "Only train or only inference, of one network, in this process. (default: both)")
  var only: Pass?
  @Flag(help: "One JSON object a network instead of lines.")
  var json = false

  func validate() throws {
    guard [clips, inferenceClips, passes].allSatisfy((1...65_536).contains) else {
      throw ValidationError("--clips, --inference-clips and --passes must be from 1 to 65536")
    }
    guard only == nil || networks.networks.count == 1 else {
      throw ValidationError("--only measures one --network")
    }
  }

  func run() {
    Program.run {
      if let only {
        let subject = try networks.subjects[0]
        try report(only == .train ? train(subject) : infer(subject))
        return
      }
      for name in networks.networks {
        // The figures of training win where both have them: those of the whole machine.
        try report(
          measureApart(.inference, name).merging(measureApart(.train, name)) { $1 })
      }
    }
  }

  /// Runs one measurement in a process of its own.
  private func measureApart(_ pass: Pass, _ name: String) throws -> [String: Any] {
    let child = Process()
    let output = Pipe()
    child.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    child.arguments =
      [
        "step", "--json", "--only", pass.rawValue, "--network", name, "--size", networks.size,
        "--threads", "\(networks.threads)", "--clips", "\(clips)", "--inference-clips",
        "\(inferenceClips)", "--passes", "\(passes)",
      ] + networks.overrides.flatMap { ["--set", $0] }
    child.standardOutput = output
    try child.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    child.waitUntilExit()
    guard child.terminationReason == .exit, child.terminationStatus == 0,
      let object = try JSONSerialization.jsonObject(with: said) as? [String: Any]
    else {
      throw TrainingError(
        ExitStatus(rawValue: child.terminationStatus) ?? .unavailable,
        "measuring \(pass.rawValue) of \(name) failed, in a process that ended with "
          + "\(child.terminationReason == .exit ? "status" : "signal") \(child.terminationStatus)")
    }
    return object
  }

  // MARK: Measuring

  private func train(_ subject: NetworkOptions.Subject) throws -> [String: Any] {
    let network = subject.network
    let pool = ThreadPool(threads: networks.threads)
    defer { pool.stop() }
    try MemoryBudget.machine.require(
      Executor.memory(network, clips: clips, trains: true, threads: pool.threads),
      for: "a step of \(clips) clips", advice: "lower --clips or --size")
    let stepsPerEpoch = 1000
    let state = RunState(network, subject.configuration, stepsPerEpoch: stepsPerEpoch)
    let executor = Executor(
      network, clips: clips, loss: subject.configuration.trainingLoss, trains: true,
      weights: state.weights, pool: pool)
    executor.input.scatter(over: -50...14)
    executor.labels.scatter(over: 0...1)
    for i in 0..<executor.labels.count { executor.labels.buffer[i].round() }
    let sum = Tensor(executor.contribution, shape: [executor.contribution.count])
    func step() throws {
      executor.train(
        clips: clips, clipsInStep: clips,
        dropout: DropoutStreams(seed: 1, step: state.position.step, lane: 0))
      guard sum.firstNotFinite == nil else {
        throw TrainingError(.fault, "the gradient of \(network.name) is not finite")
      }
      _ = state.apply(executor.contribution, stepsPerEpoch: stepsPerEpoch, pool: pool)
      _ = contentHash(Span(_unsafeElements: UnsafeBufferPointer(state.weights.buffer)))
    }
    try step()
    // The executor allocates nothing after this, and what the step is compared with is not its own.
    let memory = try peakMemoryBytes()
    let product = ProductRate(pool)
    var fastest = Fastest()
    for _ in 0..<passes {
      product.measure()
      try fastest.time(step)
    }
    // Forward, and two products of the same size backward.
    let operations = 6 * Double(network.multiplyAdds * clips)
    return described(subject).merging([
      "clips": clips, "trainClipsPerSecond": Double(clips) / fastest.seconds,
      "trainGigaflops": operations / fastest.seconds / 1e9, "peakMemoryBytes": memory,
      "productGigaflops": product.gigaflops,
    ]) { $1 }
  }

  private func infer(_ subject: NetworkOptions.Subject) throws -> [String: Any] {
    let network = subject.network
    let pool = ThreadPool(threads: networks.threads)
    defer { pool.stop() }
    let weights = Storage(count: network.weightCount)
    network.initialize(weights, seed: 1)
    let executor = Executor(
      network, clips: inferenceClips, loss: subject.configuration.trainingLoss, trains: false,
      weights: weights, pool: pool)
    // Passes overwrite their input, as they do in a run.
    let clips = Tensor(shape: executor.input.shape)
    clips.scatter(over: -50...14)
    func pass() {
      _ = executor.input.buffer.update(fromContentsOf: clips.buffer)
      _ = executor.probabilities(clips: inferenceClips)
    }
    pass()
    let memory = try peakMemoryBytes()
    var fastest = Fastest()
    for _ in 0..<passes { fastest.time(pass) }
    return described(subject).merging([
      "inferenceClips": inferenceClips,
      "inferenceClipsPerSecond": Double(inferenceClips) / fastest.seconds,
      "inferencePeakMemoryBytes": memory,
    ]) { $1 }
  }

  private func described(_ subject: NetworkOptions.Subject) -> [String: Any] {
    [
      "network": subject.network.name, "size": networks.size, "threads": networks.threads,
      "kernels": kernels.name, "weightsAndBiases": subject.network.weightsAndBiases,
      "passes": passes,
    ]
  }

  // MARK: Reporting

  private func report(_ result: [String: Any]) throws {
    if json { return try printJSON(result) }
    func number(_ key: String) -> Double { (result[key] as? NSNumber)?.doubleValue ?? .nan }
    var parts = [
      "\(result["network"] ?? "") \(networks.size), threads \(networks.threads), \(kernels.name) kernels"
    ]
    if result["trainClipsPerSecond"] != nil {
      parts.append(
        String(
          format: "train %.2f clips/s, %d a step, in %.0f MB (%.1f GFLOP/s, %.0f %% of this "
            + "machine's matrix product at %.1f)",
          number("trainClipsPerSecond"), clips, number("peakMemoryBytes") / 1e6,
          number("trainGigaflops"), 100 * number("trainGigaflops") / number("productGigaflops"),
          number("productGigaflops")))
    }
    if result["inferenceClipsPerSecond"] != nil {
      parts.append(
        String(
          format: "inference %.2f clips/s, %d a pass, in %.0f MB",
          number("inferenceClipsPerSecond"), inferenceClips,
          number("inferencePeakMemoryBytes") / 1e6))
    }
    print(parts.joined(separator: ": "))
  }
}
