import Foundation
import Synchronization

/// Worker processes that a coordinator starts on its own machine.
///
/// Each is watched by a thread, so that its death is known at once, and has a pipe of ours as its
/// standard input, so that it knows of ours. They are in process groups of their own: a Ctrl-C reaches
/// the coordinator, which then tells them to leave.
package final class LocalWorkers: Sendable {
  private struct State {
    var running: Set<pid_t> = []
    var dismissed = false
    var death: TrainingError?
  }

  private let state = Mutex(State())
  private let onDeath: @Sendable () -> Void

  /// - Parameter onDeath: called from another thread when a worker ends that was not dismissed
  package init(onDeath: @escaping @Sendable () -> Void) { self.onDeath = onDeath }

  /// What the first unexpected death looked like, if there was one.
  package var death: TrainingError? { state.withLock { $0.death } }

  package var processIDs: [pid_t] { state.withLock { $0.running.sorted() } }

  /// Starts `executable` with `arguments`.
  ///
  /// - Throws: `TrainingError.unavailable` if the system refuses
  package func start(_ executable: String, _ arguments: [String]) throws {
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
    var strings = ([executable] + arguments).map { strdup($0) } + [nil]
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
    let thread = Thread { [self] in
      watch(child)
      close(held)
    }
    thread.name = "watch \(child)"
    thread.start()
  }

  /// From now on a worker may end without being missed.
  package func dismiss() { state.withLock { $0.dismissed = true } }

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

  private func watch(_ child: pid_t) {
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    let signal = status & 0x7F
    let code = status >> 8 & 0xFF
    let how = signal == 0 ? "ended with status \(code)" : "was killed by signal \(signal)"
    // Whatever ended it, the run can go on with another; but bad input stays bad.
    let isBadInput = signal == 0 && code == ExitStatus.badInput.rawValue
    let death = TrainingError(
      isBadInput ? .badInput : .unavailable, "local worker \(child) \(how)")
    let missed = state.withLock { state in
      state.running.remove(child)
      guard !state.dismissed else { return false }
      if state.death == nil { state.death = death }
      return true
    }
    if missed { onDeath() }
  }
}
