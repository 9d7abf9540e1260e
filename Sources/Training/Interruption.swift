import Dispatch
import Foundation
import Synchronization

/// Ctrl-C, SIGTERM and a closed terminal as something to ask for, instead of the end of the process.
///
/// The first signal asks the program to save and leave. A second one ends it at once.
package final class Interruption: Sendable {
  private let received = Atomic<Int32>(0)
  private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []
  /// A queue of its own always gets a thread; the global ones may all be busy computing.
  private let queue = DispatchQueue(label: "signals")

  /// - Parameter onSignal: called on another thread for the first signal
  package init(onSignal: @escaping @Sendable () -> Void) {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      // Under nohup the end of the terminal is nothing to us.
      let before = signal(number, SIG_IGN)
      if number == SIGHUP && unsafeBitCast(before, to: Int.self) == 1 { continue }
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { [unowned self] in
        let first = received.compareExchange(
          expected: 0, desired: number, ordering: .sequentiallyConsistent
        ).exchanged
        if first { onSignal() } else { _exit(ExitStatus.interrupted.rawValue) }
      }
      source.resume()
      sources.append(source)
    }
  }

  deinit { for source in sources { source.cancel() } }

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
