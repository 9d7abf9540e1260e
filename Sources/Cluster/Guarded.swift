import Glibc

/// State behind a mutex, with a condition to wait for. The only place in this module where a thread
/// sleeps, except in `zmq_poll`.
final class Guarded<State: Sendable>: @unchecked Sendable {
  private var state: State
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    // Deadlines must not move when somebody sets the wall clock.
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Reads or changes the state, and wakes whoever waits for a change of it.
  func update<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }
    return try body(&state)
  }

  /// A copy of the state as it is now.
  var value: State {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return state
  }

  /// Tries `body` now and after every change until it gives a result; nil once the deadline has passed.
  func wait<Result>(
    until deadline: ContinuousClock.Instant?, for body: (inout State) -> Result?
  ) -> Result? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) {
        pthread_cond_broadcast(changed)
        return result
      }
      guard let deadline else {
        pthread_cond_wait(changed, mutex)
        continue
      }
      let left = deadline - .now
      guard left > .zero else { return nil }
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      let wake =
        Duration.seconds(time.tv_sec) + .nanoseconds(time.tv_nsec) + min(left, .seconds(3600))
      time.tv_sec = Int(wake.components.seconds)
      time.tv_nsec = Int(wake.components.attoseconds / 1_000_000_000)
      pthread_cond_timedwait(changed, mutex, &time)
    }
  }
}
