import CMemory
import Cluster
import Foundation
import Synchronization

/// Worker processes that a coordinator starts on its own machine.
///
/// Each is watched by a thread, so that its death is known at once, and has a pipe of ours as its
/// standard input, so that it knows of ours. They are in process groups of their own: a Ctrl-C reaches
/// the coordinator, which then tells them to leave. One that dies is started anew, a few times.
package final class LocalWorkers: Sendable {
  /// The end of a worker that nobody had asked for.
  package struct Death: Sendable {
    package let processID: Int
    /// As in "was killed by signal 9".
    package let how: String
    package let status: ExitStatus
    package let isReplaced: Bool
  }

  private struct State {
    var running: Set<pid_t> = []
    var starting = 0
    var restartsLeft: Int
    var dismissed = false
    var deaths: [Death] = []
  }

  private let state: Mutex<State>
  private let onDeath: @Sendable () -> Void

  /// - Parameters:
  ///   - restarts: how many workers may be started anew, all in all
  ///   - onDeath: called from another thread when a worker ends that was not dismissed
  package init(restarts: Int, onDeath: @escaping @Sendable () -> Void) {
    state = Mutex(State(restartsLeft: restarts))
    self.onDeath = onDeath
  }

  package var hasDeaths: Bool { state.withLock { !$0.deaths.isEmpty } }

  /// What has happened since this was last asked.
  package func takeDeaths() -> [Death] {
    state.withLock { state in
      defer { state.deaths = [] }
      return state.deaths
    }
  }

  /// Whether a worker runs or is about to.
  package var mayProvide: Bool { state.withLock { !$0.running.isEmpty || $0.starting > 0 } }

  /// How many run or are about to.
  package var count: Int { state.withLock { $0.running.count + $0.starting } }

  package var processIDs: [pid_t] { state.withLock { $0.running.sorted() } }

  /// Where a worker finds the memory that it shares: what it reads, and what it writes.
  private static let memoryDescriptors: (parameters: Int32, partials: Int32) = (3, 4)

  /// The memory that a parent has given to this process.
  package static func inheritedMemory() throws -> WorkerMemory {
    WorkerMemory(
      parameters: try SharedVectors(inherited: memoryDescriptors.parameters, isWritten: false),
      partials: try SharedVectors(inherited: memoryDescriptors.partials, isWritten: true))
  }

  /// Starts `executable` with `arguments`, and tells it a secret on its standard input, if there is one.
  ///
  /// - Parameter memory: to share with it, which it is told by `--shares-memory`
  /// - Throws: `TrainingError.unavailable` if the system refuses
  package func start(
    _ executable: String, _ arguments: [String], secret: String? = nil,
    sharing memory: CoordinatorMemory? = nil
  ) throws {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // What we ignore a worker must not: it could not be stopped before it has its own handlers.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ] { sigaddset(&defaults, signal) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGDEF))
    posix_spawnattr_setpgroup(&attributes, 0)
    var leash: [Int32] = [0, 0]
    guard pipe(&leash) == 0 else {
      throw TrainingError(
        .unavailable, "cannot start a local worker: \(String(cString: strerror(errno)))")
    }
    // No other child may hold this end, or the leash would outlive us.
    _ = fcntl(leash[1], F_SETFD, FD_CLOEXEC)
    defer { close(leash[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, leash[0], STDIN_FILENO)
    var handed: [Int32] = []
    defer { for descriptor in handed { close(descriptor) } }
    // If there is no memory for it, it gets and sends its vectors as others do.
    let partials = try? memory?.forWorker()
    if let memory, let partials {
      // Copies above the numbers that are given out.
      handed = [memory.parameters.descriptor, partials.descriptor].map {
        fcntl($0, F_DUPFD_CLOEXEC, 10)
      }
      let places = [Self.memoryDescriptors.parameters, Self.memoryDescriptors.partials]
      for (copy, place) in zip(handed, places) {
        posix_spawn_file_actions_adddup2(&actions, copy, place)
      }
    }
    // It has no business with any other file of ours, such as the connections of who looks at the run.
    _ = close_from(&actions, STDERR_FILENO + 1 + Int32(handed.count))
    let options = partials == nil ? [] : ["--shares-memory"]
    var strings = ([executable] + arguments + options).map { strdup($0) } + [nil]
    defer { for string in strings { free(string) } }
    var pid: pid_t = 0
    let failure = posix_spawn(&pid, executable, &actions, &attributes, &strings, environ)
    guard failure == 0 else {
      close(leash[1])
      throw TrainingError(
        .unavailable,
        "cannot start a local worker, \(executable): \(String(cString: strerror(failure)))")
    }
    let child = pid
    state.withLock { _ = $0.running.insert(child) }
    let held = leash[1]
    if let secret {
      // A pipe takes so little at once, and what the child does not read is nobody's.
      let line = Array((secret + "\n").utf8)
      _ = write(held, line, line.count)
    }
    let thread = Thread { [self] in
      let again = watch(child)
      close(held)
      if again { restart(executable, arguments, secret, memory) }
    }
    thread.name = "watch \(child)"
    thread.start()
  }

  /// From now on a worker may end without being missed.
  package func dismiss() { state.withLock { $0.dismissed = true } }

  /// From now on a worker may end without being missed; those that have not joined cannot be told, and
  /// are ended.
  package func dismiss(joined: Set<Int>) {
    dismiss()
    for pid in processIDs where !joined.contains(Int(pid)) { kill(pid, SIGTERM) }
  }

  /// Waits for all to end; after `grace` those that have not are killed.
  package func waitForAll(grace: Duration) {
    let deadline = ContinuousClock.now + grace
    while !processIDs.isEmpty {
      if ContinuousClock.now > deadline {
        for pid in processIDs { kill(pid, SIGKILL) }
      }
      usleep(5_000)
    }
  }

  /// Waits for a worker's end.
  ///
  /// - Returns: whether another is to take its place
  private func watch(_ child: pid_t) -> Bool {
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    let signal = status & 0x7F
    let code = status >> 8 & 0xFF
    let how = signal == 0 ? "ended with status \(code)" : "was killed by signal \(signal)"
    let ending = signal == 0 ? ExitStatus(rawValue: code) : nil
    // Bad input stays bad, and who was told to leave is not wanted here.
    let isFinal = ending.map { [.done, .usage, .badInput, .interrupted].contains($0) } ?? false
    let (missed, again) = state.withLock { state in
      guard !state.dismissed else {
        state.running.remove(child)
        return (false, false)
      }
      let again = !isFinal && state.restartsLeft > 0
      if again {
        state.restartsLeft -= 1
        state.starting += 1
      }
      state.running.remove(child)
      state.deaths.append(
        Death(
          processID: Int(child), how: how, status: ending == .badInput ? .badInput : .unavailable,
          isReplaced: again))
      return (true, again)
    }
    if missed { onDeath() }
    return again
  }

  private func restart(
    _ executable: String, _ arguments: [String], _ secret: String?, _ memory: CoordinatorMemory?
  ) {
    // A worker that dies at once should not take all its chances within a blink.
    usleep(200_000)
    let isWanted = state.withLock { !$0.dismissed }
    if isWanted { try? start(executable, arguments, secret: secret, sharing: memory) }
    state.withLock { $0.starting -= 1 }
    onDeath()
  }
}
