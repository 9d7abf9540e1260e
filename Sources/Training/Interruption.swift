import Foundation
import Synchronization

/// Ctrl-C, SIGTERM and a closed terminal as something to ask for, instead of the end of the process.
///
/// The first signal asks the program to save and leave. A second one ends it at once. The handler
/// stands when `init` returns, and hands signals through a pipe to a thread of their own: none is lost
/// at the start, and none waits for threads that compute.
package final class Interruption: Sendable {
  private let received = Atomic<Int32>(0)

  /// - Parameter onSignal: called on another thread for the first signal
  package init(onSignal: @escaping @Sendable () -> Void) {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no pipe for signals: \(errno)")
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let reading = ends[0]
    writing.store(ends[1], ordering: .sequentiallyConsistent)
    let thread = Thread { [weak self] in
      var number: UInt8 = 0
      while true {
        let count = read(reading, &number, 1)
        if count < 0 && errno == EINTR { continue }
        guard count == 1, let self else { break }
        let first = self.received.compareExchange(
          expected: 0, desired: Int32(number), ordering: .sequentiallyConsistent
        ).exchanged
        if first { onSignal() } else { _exit(ExitStatus.interrupted.rawValue) }
      }
      close(reading)
    }
    thread.name = "signals"
    thread.start()
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let before = signal(number) { number in
        let reason = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(writing.load(ordering: .sequentiallyConsistent), &byte, 1)
        errno = reason
      }
      // Under nohup the end of the terminal is nothing to us.
      if number == SIGHUP && unsafeBitCast(before, to: Int.self) == 1 { signal(SIGHUP, SIG_IGN) }
    }
  }

  deinit {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
    close(writing.exchange(-1, ordering: .sequentiallyConsistent))
  }

  /// The signal's name, once one has come.
  package var signalName: String? {
    switch received.load(ordering: .sequentiallyConsistent) {
    case SIGINT: "Ctrl-C"
    case SIGTERM: "SIGTERM"
    case SIGHUP: "the end of its terminal"
    default: nil
    }
  }
}

/// Where the handler writes; the process has one interruption at a time.
private let writing = Atomic<Int32>(-1)
