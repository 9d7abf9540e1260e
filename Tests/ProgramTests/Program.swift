import Foundation

/// A program of this package as a process, with its output in files.
///
/// Whatever happens in a test, the process and everything it has started is gone afterwards: each
/// carries a mark in its environment, which its children inherit wherever they are adopted.
final class Program {
  /// How a process ended.
  struct Ending {
    /// Exit code; nil if a signal ended it.
    let code: Int32?
    let signal: Int32?
    let output: String
    /// Standard error, of the process and of those it has started.
    let errors: String

    /// The last line of standard error, which is where a failed program says why; details may
    /// follow, indented.
    var lastError: String {
      errors.split(separator: "\n").last { !$0.hasPrefix(" ") }.map(String.init) ?? ""
    }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Where the executables are: beside the test bundle.
  static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent()

  private let name: String
  private let folder: TemporaryFolder
  private let mark = "TUTTI_TEST=\(UUID().uuidString)"
  let processID: pid_t
  private var status: Int32?

  private init(_ name: String, _ arguments: [String], _ environment: [String: String]) throws {
    self.name = name
    folder = try TemporaryFolder()
    let executable = Self.folder.appendingPathComponent(name).path
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    for (descriptor, file) in [(STDOUT_FILENO, "output"), (STDERR_FILENO, "errors")] {
      posix_spawn_file_actions_addopen(
        &actions, descriptor, folder / file, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    }
    // A signal that this process ignores or blocks must reach its children all the same.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

    let inherited = ProcessInfo.processInfo.environment
      .merging(["XDG_CACHE_HOME": folder / "cache", "TERM": "dumb"]) { _, new in new }
      .merging(environment) { _, new in new }
      .map { "\($0)=\($1)" }
    var strings = ([executable] + arguments).map { strdup($0) } + [nil]
    var variables = (inherited + [mark]).map { strdup($0) } + [nil]
    defer { for string in strings + variables { free(string) } }
    var child: pid_t = 0
    let failure = posix_spawn(&child, executable, &actions, &attributes, &strings, &variables)
    guard failure == 0 else {
      throw Failure(
        description: "cannot start \(executable): \(String(cString: strerror(failure)))")
    }
    processID = child
  }

  /// Starts a program, hands it to `body`, and ends it if `body` has not.
  ///
  /// - Parameter environment: what it gets beside this process's own
  static func start<Result>(
    _ name: String, _ arguments: [String], environment: [String: String] = [:],
    _ body: (Program) throws -> Result
  ) throws -> Result {
    let program = try Program(name, arguments, environment)
    defer { program.end() }
    return try body(program)
  }

  /// Starts a program that lives until its owner calls `end()`.
  static func launch(_ name: String, _ arguments: [String]) throws -> Program {
    try Program(name, arguments, [:])
  }

  /// Runs a program to its end.
  static func run(
    _ name: String, _ arguments: [String], environment: [String: String] = [:],
    seconds: Double = 300
  ) throws -> Ending {
    try start(name, arguments, environment: environment) { try $0.wait(seconds: seconds) }
  }

  // MARK: While it runs

  func signal(_ number: Int32) { kill(processID, number) }

  /// Standard error up to now.
  var errors: String { text("errors") }

  /// Waits for the end.
  ///
  /// - Throws: `Failure` after `seconds`
  func wait(seconds: Double = 300) throws -> Ending {
    try wait(for: "end", seconds: seconds, whileAlive: false) { hasEnded }
    let status = status ?? 0
    let number = status & 0x7F
    return Ending(
      code: number == 0 ? status >> 8 & 0xFF : nil, signal: number == 0 ? nil : number,
      output: text("output"), errors: errors)
  }

  /// Waits until something is so.
  ///
  /// - Throws: `Failure` after `seconds`, or if the process ends before
  func wait(
    for what: String, seconds: Double = 300, whileAlive: Bool = true, _ condition: () throws -> Bool
  ) throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try !condition() {
      let why =
        whileAlive && hasEnded ? "ended" : ContinuousClock.now > deadline ? "took too long" : nil
      if let why {
        throw Failure(description: "waiting for \(what): \(name) \(why); it said:\n\(errors)")
      }
      usleep(2_000)
    }
  }

  /// The process and those that it has started, as far as they live.
  var family: [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { process in
      guard
        let environment = try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/environ"))
      else { return false }
      return environment.split(separator: 0).contains(Data(mark.utf8))
    }
  }

  /// Those that it has started, as far as they live.
  var children: [pid_t] { family.filter { $0 != processID } }

  /// Stops the process where it is.
  ///
  /// - Returns: false if it has ended before
  func freeze() throws -> Bool {
    signal(SIGSTOP)
    try wait(for: "its stop", whileAlive: false) { hasEnded || isStopped }
    return !hasEnded
  }

  private var isStopped: Bool {
    let line = (try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8)) ?? ""
    // The state follows the name, which stands in parentheses.
    return line.split(separator: ")").last?.hasPrefix(" T") == true
  }

  var hasEnded: Bool {
    if status != nil { return true }
    var status: Int32 = 0
    guard waitpid(processID, &status, WNOHANG) == processID else { return false }
    self.status = status
    return true
  }

  private func text(_ file: String) -> String {
    String(
      decoding: (try? Data(contentsOf: URL(fileURLWithPath: folder / file))) ?? Data(),
      as: UTF8.self)
  }

  /// Ends the process and those that it has started, as far as they live.
  func end() {
    for process in family { kill(process, SIGKILL) }
    while !hasEnded { usleep(1_000) }
  }
}
