import Glibc

/// A thread of an endpoint: it alone touches the endpoint's socket, and is joined before anything goes.
///
/// It takes no signals; those are for the program's own threads.
final class IOThread: Sendable {
  private struct State: Sendable {
    var thread: pthread_t
    var joined = false
  }
  private let state: Guarded<State>

  /// - Throws: `ClusterError.system` if the system gives no thread
  init(_ body: @escaping @Sendable () -> Void) throws(ClusterError) {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)  // inherited by the new thread
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

    let start = Unmanaged.passRetained(Start(body: body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        start.body()
        return nil
      }, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw ClusterError(
        .system, attempt: "start a thread", place: "this machine",
        detail: String(cString: strerror(failure)))
    }
    state = Guarded(State(thread: thread))
  }

  /// Starts a thread that opens a link and then runs a loop on it, and waits until the link is open.
  ///
  /// - Throws: what `open` throws
  static func starting(
    open: @escaping @Sendable () throws(ClusterError) -> any Link,
    run: @escaping @Sendable (any Link) -> Void
  ) throws(ClusterError) -> (thread: IOThread, address: String, waker: Waker) {
    let opened = Guarded<Result<(address: String, waker: Waker), ClusterError>?>(nil)
    let thread = try IOThread {
      do throws(ClusterError) {
        let link = try open()
        let (address, waker) = (link.address, link.waker)
        opened.update { $0 = .success((address, waker)) }
        run(link)
      } catch {
        opened.update { $0 = .failure(error) }
      }
    }
    switch opened.wait(until: nil, for: { $0 }) {
    case .success(let (address, waker)): return (thread, address, waker)
    case .failure(let error):
      thread.join()
      throw error
    case nil: preconditionFailure("waiting without a deadline has no end")
    }
  }

  /// Waits for the thread to end; may be called again.
  func join() {
    state.update { state in
      guard !state.joined else { return }
      pthread_join(state.thread, nil)
      state.joined = true
    }
  }

  private final class Start: Sendable {
    let body: @Sendable () -> Void

    init(body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
