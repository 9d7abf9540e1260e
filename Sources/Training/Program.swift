import Dataset
import Foundation
import Kernels
import Synchronization

/// What the programs have in common.
package enum Program {
  /// Writes a line for people, to standard error.
  package static func say(_ text: String) { writeToStandardError(text + "\n") }

  /// Writes as much as can be written: that nobody reads, or that a disk is full, is no reason to stop
  /// training.
  package static func writeToStandardError(_ text: String) { _ = write(text, to: STDERR_FILENO) }

  /// Writes to standard output at once, for programs that give results while they go on.
  ///
  /// - Returns: false if nobody reads any more
  /// - Throws: `TrainingError` if it cannot be written
  package static func writeToStandardOutput(_ text: String) throws -> Bool {
    switch write(text, to: STDOUT_FILENO) {
    case 0: return true
    case EPIPE: return false
    case let code:
      throw TrainingError(
        .unavailable, "standard output cannot be written: \(String(cString: strerror(code)))")
    }
  }

  /// - Returns: 0, or the number of the error that ended it
  private static func write(_ text: String, to descriptor: Int32) -> Int32 {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return count < 0 ? errno : EIO }
      done += count
    }
    return 0
  }

  /// Gives a process that was started without standard streams empty ones: the next file it opens
  /// would take their place, and get what is meant for people.
  private static func fillStandardStreams() {
    var descriptor: Int32
    repeat { descriptor = open("/dev/null", O_RDWR) } while (0...2).contains(descriptor)
    if descriptor > 2 { close(descriptor) }
  }

  /// Runs a program's body and ends the process; an error becomes one sentence and an exit status.
  package static func run(_ body: () throws -> Void) -> Never {
    // A reader that goes away (`tutti inspect … | head`) ends the output, not the program.
    signal(SIGPIPE, SIG_IGN)
    // Beyond a limit on the size of files, writing fails with a reason instead.
    signal(SIGXFSZ, SIG_IGN)
    fillStandardStreams()
    do {
      _ = try KernelChoice.made.get()
      try body()
      if fflush(nil) != 0 && errno != EPIPE {
        throw TrainingError(
          .unavailable, "standard output cannot be written: \(String(cString: strerror(errno)))")
      }
      exit(ExitStatus.done.rawValue)
    } catch {
      let name = URL(fileURLWithPath: CommandLine.arguments[0]).lastPathComponent
      say("\(name): \(error)")
      exit(ExitStatus(error).rawValue)
    }
  }

  /// The configuration in `path`, or the resumed run's, or the main job's; under `overrides`.
  package static func configuration(
    _ path: String?, resume: String? = nil, _ overrides: [String]
  ) throws -> Configuration {
    if let path { return try Configuration(path: path, overrides: overrides) }
    if let resume {
      let path = resume + "/config.yaml"
      guard FileManager.default.fileExists(atPath: path) else {
        throw TrainingError(
          .badInput,
          "\(resume) is not a run: it has no config.yaml; give --resume the folder of a run")
      }
      return try Configuration(path: path, overrides: overrides)
    }
    return try Configuration(path: try mainJob(), overrides: overrides)
  }

  /// `configs/crnn.yaml`, above the program in the folder that it was built in, or below this one.
  private static func mainJob() throws -> String {
    var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    var candidates: [String] = []
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      candidates.append(folder.appendingPathComponent("configs/crnn.yaml").path)
    }
    candidates.append("configs/crnn.yaml")
    guard let found = candidates.first(where: FileManager.default.fileExists(atPath:)) else {
      throw TrainingError(
        .badInput,
        "there is no configs/crnn.yaml above this program or here: give --config a configuration")
    }
    return found
  }

  /// The embedded data set's store, made with a word on what is going on if it is not there.
  package static func embeddedStore() throws -> URL {
    let counter = Counter()
    defer { counter.finish() }
    return try EmbeddedDataset.store { what, done, total in
      counter.show(what, done: done, of: total)
    }
  }

  /// A line of standard input, which the one at its other end must have written by now.
  ///
  /// - Returns: nil if there is none of a reasonable length
  package static func readLineOfStandardInput() -> String? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while line.count < 1024 {
      let count = read(STDIN_FILENO, &byte, 1)
      if count < 0 && errno == EINTR { continue }
      guard count == 1 else { return nil }
      if byte == 10 { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
    }
    return nil
  }

  /// Lets this process have as many connections as the system allows: strangers who knock must not
  /// leave it without the files that it needs.
  package static func allowManyConnections() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, 65_536)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Ends this process when its standard input ends: it hangs on the one who holds the other end.
  package static func endWithStandardInput() {
    let thread = Thread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || count < 0 && errno != EINTR { _exit(ExitStatus.unavailable.rawValue) }
      }
    }
    thread.name = "leash"
    thread.start()
  }
}

/// Something to be called from a signal or a watching thread, once there is something to call.
package final class Wake: Sendable {
  private let action = Mutex<(@Sendable () -> Void)?>(nil)

  package init() {}
  package func set(_ action: @escaping @Sendable () -> Void) {
    self.action.withLock { $0 = action }
  }
  package func callAsFunction() { action.withLock { $0 }?() }
}

/// A count of clips done, on a terminal as a line that changes, elsewhere as a line now and then;
/// with the rate and the remaining time.
package final class Counter: Sendable {
  private struct State {
    var what = ""
    var start = ContinuousClock.now
    /// Done before the clock was started.
    var before = 0
    var shown: ContinuousClock.Instant?
  }

  private let state = Mutex(State())
  private let unit: String
  private let output: ProgressDisplay.Output

  package init(unit: String = "clips") {
    self.unit = unit
    output = .standardError
  }

  /// May be called from any thread; the first call for `what` starts the clock.
  package func show(_ what: String, done: Int, of total: Int) {
    state.withLock { state in
      let now = ContinuousClock.now
      if state.what != what {
        if !state.what.isEmpty && output.isTerminal { output.write("\n") }
        state = State(what: what, start: now, before: done)
      }
      let interval: Duration = output.isTerminal ? .milliseconds(100) : .seconds(5)
      if let shown = state.shown, now - shown < interval, done < total { return }
      state.shown = now
      let seconds = max((now - state.start) / .seconds(1), 1e-3)
      let rate = Double(done - state.before) / seconds
      let text =
        "\(what): \(done) of \(total) \(unit)"
        + (rate > 0
          ? String(format: ", %.1f \(unit)/s, ", rate)
            + ProgressLine.duration(Double(total - done) / rate) + " left"
          : "")
      output.write(output.isTerminal ? "\r\u{1b}[K" + text : text + "\n")
    }
  }

  /// Writes a line of text that stays.
  package func note(_ text: String) {
    state.withLock { state in
      let isOpen = output.isTerminal && state.shown != nil
      output.write((isOpen ? "\r\u{1b}[K" : "") + text + "\n")
      state = State()
    }
  }

  package func finish() {
    state.withLock { if output.isTerminal && $0.shown != nil { output.write("\n") } }
  }
}

extension LocalWorkers {
  /// Starts `count` workers of the program `worker` that lies beside this one.
  ///
  /// - Parameter credentials: what they need to come in, as `Keys` writes it; nil without keys
  package func startWorkers(
    _ count: Int, threads: Int, credentials: String? = nil, _ launching: RunSession.Launching
  ) throws {
    guard count > 0 else { return }
    let here = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let program = here.deletingLastPathComponent().appendingPathComponent("worker").path
    guard FileManager.default.isExecutableFile(atPath: program) else {
      throw TrainingError(
        .unavailable, "there is no program worker beside \(here.path): build all of Tutti")
    }
    for _ in 0..<count {
      try start(
        program,
        [
          "--connect", launching.address, "--data", launching.store.path,
          "--threads", String(threads), "--leashed",
        ] + (credentials == nil ? [] : ["--keys", "-"]), secret: credentials,
        sharing: launching.memory)
    }
  }
}

extension RunOutcome {
  /// Two lines for a person.
  package var summary: String {
    let best = best.map {
      "validation ROC-AUC \(RunReport.figure($0.score)) at step \($0.step), the best"
    }
    let test = test.map {
      "test ROC-AUC \(RunReport.figure($0.rocAUC)), PR-AUC \(RunReport.figure($0.prAUC))"
    }
    return "\(best ?? "no validation"); \(test ?? "no test clips")\n"
      + "run \(folder), \(position.step) \(position.step == 1 ? "step" : "steps"), model \(folder)/best.safetensors"
  }
}
