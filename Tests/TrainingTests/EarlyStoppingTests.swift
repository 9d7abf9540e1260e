import Foundation
import Testing
import Training

@Suite struct EarlyStoppingTests {
  @Test("only a higher score is better; NaN, infinities and no score never are")
  func better() {
    var stopping = EarlyStopping()
    let scores: [Double?] = [.nan, 0.5, 0.5, nil, 0.4, 0.6, .infinity, -.infinity, .nan, 0.61]
    let better = scores.enumerated().map { stopping.observe($1, step: 10 * $0, epoch: $0) }
    #expect(better == [false, true, false, false, false, true, false, false, false, true])
    #expect(stopping.best == EarlyStopping.Best(score: 0.61, step: 90, epoch: 9))
    #expect(stopping.validationsSinceBest == 0)
  }

  @Test("a negative score can be the best")
  func negative() {
    var stopping = EarlyStopping()
    let isBetter = stopping.observe(-1, step: 1, epoch: 0)
    #expect(isBetter)
    #expect(stopping.best?.score == -1)
  }

  @Test("patience runs out after so many validations without a better one")
  func patience() {
    var stopping = EarlyStopping()
    var stops: [Bool] = []
    for score in [0.5, 0.4, 0.6, 0.6, 0.5, 0.1] {
      _ = stopping.observe(score, step: 0, epoch: 0)
      stops.append(stopping.shouldStop(patience: 3))
    }
    #expect(stops == [false, false, false, false, false, true])
    #expect(stopping.shouldStop(patience: 1))
    #expect(!stopping.shouldStop(patience: 4))
    #expect(!stopping.shouldStop(patience: nil))
  }

  @Test("scores that are never numbers run out of patience too")
  func neverANumber() {
    var stopping = EarlyStopping()
    for _ in 0..<3 { _ = stopping.observe(.nan, step: 0, epoch: 0) }
    #expect(stopping.best == nil)
    #expect(stopping.shouldStop(patience: 3))
  }

  @Test("the state goes through JSON, bit for bit")
  func state() throws {
    var stopping = EarlyStopping()
    #expect(
      try JSONDecoder().decode(EarlyStopping.self, from: JSONEncoder().encode(stopping)) == stopping
    )
    _ = stopping.observe(1.0 / 3, step: 7, epoch: 2)
    _ = stopping.observe(0.1, step: 9, epoch: 3)
    #expect(
      try JSONDecoder().decode(EarlyStopping.self, from: JSONEncoder().encode(stopping)) == stopping
    )
  }
}
