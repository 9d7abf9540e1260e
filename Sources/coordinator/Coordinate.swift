import ArgumentParser
import Cluster
import Foundation
import Sight
import Training

/// Trains a network: alone with local workers, or with workers on other machines.
@main struct Coordinate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator",
    abstract: "Train a music tagger with workers on this machine or on others.",
    discussion: """
      The result is a function of configuration, data and seed: not of the number of workers, nor of \
      when the run was stopped and resumed.

        coordinator --workers 4
        coordinator --config configs/k2c2.yaml --data STORE --run runs/k2c2 --workers 4
        coordinator --resume runs/k2c2 --workers 2
        coordinator --bind tcp://0.0.0.0:5700 --await 4 --keys keys --data STORE

      Exit codes: 0 done; 64 wrong usage; 65 bad input; 69 a worker, port or disk is unavailable; \
      70 a bug; 130 interrupted. After 69 and 130 the state is saved: --resume goes on.
      """, version: Build.description)

  @Option(help: "Local workers to start.")
  var workers = 0
  @Option(help: "Threads of each local worker (default: the cores, shared among them).")
  var threads: Int?
  @Option(
    help: ArgumentHelp(
      "Configuration file (default: configs/crnn.yaml, the main job).", valueName: "file"))
  var config: String?
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "Override a setting, such as model.size=0.25M. May be repeated.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(
    help: ArgumentHelp(
      "How vectors travel: star, sharded or auto. The result is the same.", valueName: "way"))
  var topology = TopologyChoice.star
  @Option(
    help: ArgumentHelp(
      "What lanes' gradients travel in, fp32, bf16 or fp16: short for --set training.wire.",
      valueName: "type"))
  var wire: String?
  @Option(
    help: ArgumentHelp(
      "A store made by `tutti prepare` (default: the resumed run's, or the embedded data set).",
      valueName: "store"))
  var data: String?
  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "Folder for the run (default: runs/, named by date).", valueName: "folder"))
  var folder: String?
  @Option(help: ArgumentHelp("Go on with a run from its newest checkpoint.", valueName: "run"))
  var resume: String?
  @Option(
    help: ArgumentHelp(
      "The most memory that the coordinator and its local workers may take (default: the machine's).",
      valueName: "6GB"))
  var memory: MemoryBudget?
  @Option(
    help: ArgumentHelp(
      "Where workers connect (default: a free port on loopback).", valueName: "tcp://host:port"))
  var bind: String?
  @Option(
    help: ArgumentHelp(
      "Bytes a second that workers without the store may take, all together (default: what links carry).",
      valueName: "50MB"))
  var deliveryRate: ByteAmount?
  @Option(name: .customLong("await"), help: "Workers on other machines to wait for.")
  var awaited = 0
  @Option(help: "Workers to begin with; more may come (default: all that are started or awaited).")
  var minWorkers: Int?
  @Option(help: "How often a local worker that died is started anew, all in all.")
  var restarts = 10
  @Option(help: "Seconds to wait for a worker when there is none; then the state is saved.")
  var wait = 600
  @Option(help: "Seconds without a sign of life after which a worker is lost.")
  var silence = 2.5
  @Option(
    help: ArgumentHelp(
      "Every N-th step two workers compute one of the lanes, and other bits end the run (default: never).",
      valueName: "N"))
  var audit: Int?
  @Option(
    help: ArgumentHelp(
      "A folder of keys, made by `tutti keygen`: only workers with allowed keys may join.",
      valueName: "folder"))
  var keys: String?
  @Option(
    help: ArgumentHelp(
      "Show the run to browsers and Prometheus at this port (0: any free one), on loopback unless a host is given.",
      valueName: "[host:]port"))
  var http: HTTPAddress?
  @Option(
    help: ArgumentHelp(
      "Write who did what when into this file, for ui.perfetto.dev or chrome://tracing.",
      valueName: "file"))
  var trace: String?
  @Flag(
    help: """
      Let workers connect from other machines without keys, and browsers with --http: whoever reaches the \
      port may join, or look.
      """)
  var insecure = false
  @Flag(
    help: "Take workers on other kinds of processor: the result may then depend on who computes.")
  var allowMixedCpus = false

  func run() throws {
    try check()
    Program.run { try train() }
  }

  /// Not `validate()`, which would speak before the parser does: of missing workers when `--workers`
  /// is misspelt.
  private func check() throws {
    guard workers >= 0, awaited >= 0, workers > 0 || awaited > 0 else {
      throw ValidationError(
        "a run needs at least one worker: --workers 4 starts four here, --await 4 waits for four")
    }
    guard workers <= 1024, awaited <= 1024 - workers else {
      throw ValidationError(
        "at most 1024 workers; this asks for \(workers) here and \(awaited) elsewhere")
    }
    for (flag, path) in [("--run", folder), ("--resume", resume)] where path?.isEmpty == true {
      throw ValidationError("\(flag) is empty: it needs the path of a run's folder")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    if let minWorkers, !(1...workers + awaited).contains(minWorkers) {
      throw ValidationError(
        "--min-workers must be from 1 to \(workers + awaited), the workers started or awaited")
    }
    guard restarts >= 0, wait > 0, silence >= 1, silence <= 3600 else {
      throw ValidationError(
        "--restarts must not be negative, --wait must be positive, --silence from 1 to 3600")
    }
    if let audit, audit < 1 || allowMixedCpus {
      throw ValidationError(
        audit < 1
          ? "--audit must be positive, not \(audit)"
          : "--audit compares bits, and --allow-mixed-cpus lets them differ: give one of them")
    }
    if awaited > 0 && bind == nil {
      throw ValidationError("--await needs --bind, so that workers know where to connect")
    }
    if let bind, !ZeroMQTransport.isLocal(bind), keys == nil, !insecure {
      throw ValidationError(
        "--bind \(bind) is reachable from other machines, and this run has no keys: give it --keys with "
          + "a folder that `tutti keygen` has made; --insecure lets whoever reaches the port join")
    }
    if let http, !http.isLocal, !insecure {
      throw ValidationError(
        "--http \(http) is reachable from other machines, and shows this run to all of them, keys or not: "
          + "--insecure lets it; on loopback a tunnel reaches it, as in ssh -L")
    }
    if keys != nil && insecure && http?.isLocal != false {
      throw ValidationError("--keys lets only some join, --insecure everybody: give one of them")
    }
    if folder != nil && resume != nil {
      throw ValidationError("--run names a new run, --resume an old one: give one of them")
    }
  }

  private func train() throws {
    let configuration = try Program.configuration(
      config, resume: resume, overrides + (wire.map { ["training.wire=\($0)"] } ?? []))
    let status = RunStatus()
    // Before anything is made: a mistaken port must not cost a run.
    let sight = try http.map { try SightServer(at: $0, showing: status) }
    defer { sight?.close() }
    if let sight { Program.say("showing this run at \(sight.address)") }
    let trace = try trace.map { try RunTrace(writingTo: $0) }
    let store =
      try data.map { URL(fileURLWithPath: $0) }
      ?? resume.flatMap { try RunFolder.rememberedStore(of: $0) } ?? Program.embeddedStore()
    var session = RunSession(
      configuration: configuration, store: store, workers: minWorkers ?? workers + awaited)
    session.folder = resume ?? folder
    session.resumes = resume != nil
    session.status = status
    session.trace = trace
    session.allowsMixedProcessors = allowMixedCpus
    let workers = self.workers
    let threads =
      self.threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / max(workers, 1))
    (session.localWorkers, session.localThreads) = (workers, threads)
    if let memory { session.memory = memory }
    let keys = try keys.map { try KeyFolder($0).coordinatorKeys() }
    session.transport = ZeroMQTransport(keys: keys)
    if let admitted = keys?.admitted, admitted.isEmpty, workers == 0, let folder = admitted.folder {
      Program.say(
        "warning: \(folder) is empty: nobody can join before a worker's public key lies there (tutti "
          + "keygen --worker NAME puts one)")
    }
    // Nobody else has it, and nobody finds it on a disk or in a command line.
    let credentials = try keys?.makeCredentials(for: "local")
    if let http, !http.isLocal {
      Program.say("warning: --insecure: whoever reaches \(http) may look at this run")
    }
    if insecure, keys == nil, let bind, !ZeroMQTransport.isLocal(bind) {
      Program.say(
        "warning: --insecure: whoever reaches \(bind) may join this run and read its data")
    }
    Program.allowManyConnections()
    if let bind { session.address = bind }
    let wake = Wake()
    let interruption = Interruption { wake() }
    session.interruption = { interruption.signalName }
    session.expectsOthers = bind != nil
    session.patience = .seconds(wait)
    session.auditEvery = audit
    session.topology = topology
    session.deliveryRate = deliveryRate?.bytes
    session.silence = .milliseconds(Int(silence * 1000))
    let local = LocalWorkers(restarts: restarts) { wake() }
    session.local = local
    session.launch = { launching in
      wake.set(launching.wake)
      try local.startWorkers(workers, threads: threads, credentials: credentials, launching)
    }
    defer {
      local.dismiss()
      local.waitForAll(grace: .seconds(5))
    }
    let outcome = try session.run()
    print(outcome.summary)
  }
}

extension ByteAmount: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

extension TopologyChoice: ExpressibleByArgument {}

extension HTTPAddress: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

extension MemoryBudget: ExpressibleByArgument {
  public init?(argument: String) { self.init(option: argument) }
}
