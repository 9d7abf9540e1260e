import Cluster
import Foundation
import Testing

/// Two clocks with a line between them, all simulated.
private struct Line {
  /// How far the peer's clock is ahead at first, and by how much a second it gains.
  var offset = Duration.seconds(1000)
  var drift = 0.0
  var now = Duration.seconds(50)

  func peer(_ time: Duration) -> Duration { time + offset + (time - .seconds(50)) * drift }
  /// What an estimate is to find now.
  var truth: Duration { peer(now) - now }

  /// One heartbeat there, kept for a while, and one back.
  mutating func exchange(
    _ clock: inout ClockOffset, there: Duration, held: Duration, back: Duration
  ) {
    let sent = now
    let (arrived, answered) = (sent + there, sent + there + held)
    now = answered + back
    clock.observe(
      sent: sent, held: peer(answered) - peer(arrived), answered: peer(answered), received: now)
  }
}

extension ClockOffset.Estimate {
  fileprivate func isRight(_ truth: Duration, but slack: Duration = .zero) -> Bool {
    let error = offset - truth
    return max(error, .zero - error) <= uncertainty + slack
  }
}

@Suite("The offset of a peer's clock")
struct ClockOffsetTests {
  @Test("is unknown before an exchange, and exact after one that took as long there as back")
  func exact() {
    var clock = ClockOffset()
    #expect(clock.estimate == nil)
    for offset in [Duration.seconds(1000), .zero, .seconds(-7)] {
      var line = Line(offset: offset)
      line.exchange(
        &clock, there: .milliseconds(3), held: .milliseconds(400), back: .milliseconds(3))
      #expect(clock.estimate == .init(offset: offset, uncertainty: .milliseconds(3)))
      clock = ClockOffset()
    }
  }

  @Test("is never further from the truth than its uncertainty, which is the quickest exchange's")
  func delays() throws {
    var random = Seeded(5)
    var (clock, line, quickest) = (ClockOffset(), Line(), Duration.seconds(9))
    for count in 1...200 {
      // Mostly quick, now and then in a queue.
      let times = (0..<2).map { _ in
        Duration.microseconds(
          Int.random(
            in: 50...(Int.random(in: 0..<5, using: &random) == 0 ? 90_000 : 400), using: &random))
      }
      line.exchange(
        &clock, there: times[0], held: .milliseconds(Int.random(in: 0...500, using: &random)),
        back: times[1])
      let estimate = try #require(clock.estimate)
      #expect(estimate.isRight(line.truth))
      quickest = min(quickest, (times[0] + times[1]) / 2)
      if count <= ClockOffset.window { #expect(estimate.uncertainty == quickest) }
    }
  }

  @Test("follows clocks that drift apart", arguments: [50e-6, -50e-6])
  func drift(rate: Double) throws {
    var random = Seeded(6)
    var (clock, line) = (ClockOffset(), Line(drift: rate))
    for _ in 0..<2000 {
      let travelled = Duration.microseconds(Int.random(in: 80...120, using: &random))
      line.exchange(&clock, there: travelled, held: .milliseconds(500), back: travelled)
      #expect(try #require(clock.estimate).isRight(line.truth, but: .microseconds(510)))
    }
    let gained = line.truth - .seconds(1000)
    #expect(max(gained, .zero - gained) > .milliseconds(49))
  }

  @Test("forgets an exchange after some others, however quick it was")
  func window() {
    var (clock, line) = (ClockOffset(), Line())
    line.exchange(&clock, there: .zero, held: .zero, back: .zero)
    for count in 1...ClockOffset.window {
      #expect(clock.estimate?.uncertainty == .zero, "\(count)")
      line.exchange(&clock, there: .milliseconds(1), held: .zero, back: .milliseconds(1))
    }
    #expect(clock.estimate?.uncertainty == .milliseconds(1))
  }

  @Test(
    "is not learnt from times that cannot be",
    arguments: [(100, 50, 120), (100, -1, 120), (100, 0, 99), (0, .max, 1)])
  func nonsense(sent: Int, held: Int, received: Int) {
    var clock = ClockOffset()
    let isTaken = clock.observe(
      sent: .nanoseconds(sent), held: .nanoseconds(held), answered: .nanoseconds(Int.max),
      received: .nanoseconds(received))
    #expect(!isTaken && clock.estimate == nil)
  }

  @Test(
    "is known to a coordinator before anything that a worker says, and forgotten with it",
    arguments: Wire.allCases)
  func endpoints(wire: Wire) throws {
    let settings = EndpointSettings()
    var shifted = settings
    shifted.clock = { monotonicTime() + .seconds(1000) }
    let stage = try Stage(wire, settings: settings)
    let (ahead, aheadPeer) = try stage.join(shifted)
    let (same, samePeer) = try stage.join(settings)
    for (worker, peer, truth) in [
      (ahead, aheadPeer, Duration.seconds(1000)), (same, samePeer, .zero),
    ] {
      try worker.send(.drain)
      #expect(try stage.coordinator.expectMessage() == .drain)
      #expect(try #require(stage.coordinator.clockOffset(of: peer)).isRight(truth))
    }
    ahead.close()
    _ = try stage.coordinator.expectLoss()
    #expect(stage.coordinator.clockOffset(of: aheadPeer) == nil)
    #expect(stage.coordinator.clockOffset(of: samePeer) != nil)
  }
}
