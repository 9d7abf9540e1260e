import Glibc

/// How far a peer's clock is ahead of this one's, estimated as NTP does (RFC 5905, section 8).
///
/// A heartbeat carries its sender's clock, and echoes the stamp that came last from the other side with how long
/// ago it came. So one exchange has four times: sent and answered here, received and answered there. What it
/// took on its way is known to the nanosecond, how much of that there and how much back is not: half of it is the
/// guess, and as much its uncertainty.
///
/// The quickest of the last exchanges tells most. There are few of them, so that clocks may drift: by 50 µs a
/// second, as bad quartzes do, half a millisecond in the ten seconds of a window.
package struct ClockOffset: Equatable, Sendable {
  package struct Estimate: Hashable, Sendable {
    /// What this clock has to be advanced by to show what the peer's shows.
    package var offset: Duration
    /// The truth is within so much of it, but for drift.
    package var uncertainty: Duration

    package init(offset: Duration, uncertainty: Duration) {
      (self.offset, self.uncertainty) = (offset, uncertainty)
    }
  }

  /// Exchanges that are remembered: ten seconds of heartbeats.
  package static let window = 20

  private var exchanges: [Estimate] = []

  package init() {}

  /// Takes one exchange.
  ///
  /// - Parameters:
  ///   - sent: when this side's stamp left, by its clock
  ///   - held: how long the peer had it, by the peer's clock
  ///   - answered: when the peer's answer left, by the peer's clock
  ///   - received: when that came, by this side's clock
  /// - Returns: false, and nothing is learnt, if these times cannot be
  @discardableResult
  package mutating func observe(
    sent: Duration, held: Duration, answered: Duration, received: Duration
  ) -> Bool {
    let travelled = received - sent - held
    guard held >= .zero, travelled >= .zero else { return false }
    if exchanges.count == Self.window { exchanges.removeFirst() }
    exchanges.append(
      Estimate(offset: answered - (received - travelled / 2), uncertainty: travelled / 2))
    return true
  }

  /// Nil before the first exchange.
  package var estimate: Estimate? {
    exchanges.min { $0.uncertainty < $1.uncertainty }
  }
}

/// The clocks in a heartbeat, each as the time since an origin of its own. Zero is none.
package struct ClockStamps: Hashable, Sendable {
  /// The sender's, as it was sent.
  package var sent: Duration
  /// What the receiver's last heartbeat had for `sent`, and how long ago it came.
  package var echo: Duration
  package var held: Duration

  package init(sent: Duration, echo: Duration, held: Duration) {
    (self.sent, self.echo, self.held) = (sent, echo, held)
  }

  package static let none = ClockStamps(sent: .zero, echo: .zero, held: .zero)
}

/// Both clocks of a conversation: what its heartbeats carry, and what they tell.
struct PeerClock {
  private let clock: @Sendable () -> Duration
  private var heard: (stamp: Duration, at: Duration)?
  private(set) var offset = ClockOffset()

  init(_ clock: @escaping @Sendable () -> Duration) { self.clock = clock }

  /// For a heartbeat that leaves now.
  var stamps: ClockStamps {
    let now = clock()
    guard let heard else { return ClockStamps(sent: now, echo: .zero, held: .zero) }
    return ClockStamps(sent: now, echo: heard.stamp, held: now - heard.at)
  }

  /// A heartbeat has come.
  mutating func take(_ stamps: ClockStamps) {
    guard stamps.sent > .zero else { return }
    let now = clock()
    heard = (stamps.sent, now)
    guard stamps.echo > .zero else { return }
    offset.observe(sent: stamps.echo, held: stamps.held, answered: stamps.sent, received: now)
  }
}

/// This machine's monotonic clock: the time since it was started.
package func monotonicTime() -> Duration {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
