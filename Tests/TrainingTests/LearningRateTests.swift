import Foundation
import Testing
import Training

@Suite struct LearningRateTests {
  func settings(
    _ schedule: Configuration.Schedule, _ change: (inout Configuration.Optimizer) -> Void = { _ in }
  ) -> Configuration.Optimizer {
    var result = Configuration().optimizer
    result.learningRate = 0.008
    result.schedule = schedule
    change(&result)
    return result
  }

  @Test("a constant rate is one")
  func constant() {
    let rate = LearningRate(settings(.constant), totalSteps: 10)
    for step in [0, 1, 9, 1_000_000] { #expect(rate.rate(at: step) == 0.008) }
  }

  @Test(
    "a warm-up rises in equal steps and ends at the rate",
    arguments: Configuration.Schedule.allCases)
  func warmUp(schedule: Configuration.Schedule) {
    let rate = LearningRate(settings(schedule) { $0.warmupSteps = 4 }, totalSteps: 10)
    #expect((0..<5).map(rate.rate) == [0.002, 0.004, 0.006, 0.008, 0.008])
  }

  @Test("a cosine falls from the rate to the minimum, and stays there")
  func cosine() {
    let settings = settings(.cosine) {
      $0.warmupSteps = 10
      $0.minimumLearningRate = 0.002
    }
    let rate = LearningRate(settings, totalSteps: 110)
    #expect(rate.rate(at: 10) == 0.008)
    #expect(abs(rate.rate(at: 60) - 0.005) < 1e-17)
    #expect(rate.rate(at: 110) == 0.002)
    #expect(rate.rate(at: 5_000) == 0.002)
    for step in 10..<110 { #expect(rate.rate(at: step) > rate.rate(at: step + 1)) }
    for step in 10...110 {
      let expected = 0.002 + 0.006 * 0.5 * (1 + cos(Double.pi * Double(step - 10) / 100))
      #expect(abs(rate.rate(at: step) - expected) < 1e-17)
    }
  }

  @Test("decaySteps, not the length of the run, ends a cosine that has them")
  func decaySteps() {
    let settings = settings(.cosine) { $0.decaySteps = 50 }
    #expect(
      LearningRate(settings, totalSteps: 10).rate(at: 25)
        == LearningRate(settings, totalSteps: 99).rate(at: 25))
    #expect(LearningRate(settings, totalSteps: 10).rate(at: 50) == 0)
  }

  @Test("a cosine over a run that ends within the warm-up is at its end")
  func shortRun() {
    let rate = LearningRate(settings(.cosine) { $0.warmupSteps = 10 }, totalSteps: 5)
    #expect(rate.rate(at: 9) == 0.008)
    #expect(rate.rate(at: 10) == 0)
  }

  @Test("our cosine is the cosine, within 1e-15")
  func polynomial() {
    var worst = 0.0
    for i in 0...100_000 {
      let t = Double(i) / 100_000
      worst = max(worst, abs(LearningRate.cosineOfHalfTurns(t) - cos(Double.pi * t)))
    }
    #expect(worst <= 1e-15, "\(worst)")
    #expect(LearningRate.cosineOfHalfTurns(0) == 1)
    #expect(LearningRate.cosineOfHalfTurns(1) == -1)
  }

  @Test("a plateau is noticed after so many validations, again and again, down to the minimum")
  func plateau() {
    let settings = settings(.plateau) {
      $0.patience = 2
      $0.minimumLearningRate = 0.0015
    }
    var rate = LearningRate(settings, totalSteps: 100)
    var rates: [Double] = []
    for score in [0.5, 0.6, 0.6, 0.55, 0.7, .nan, nil, 0.1, 0.2, 0.3, 0.4, 0.8, 0, 0] as [Double?] {
      rate.observe(score)
      rates.append(rate.rate(at: 50))
    }
    #expect(
      rates == [
        0.008, 0.008, 0.008, 0.004, 0.004, 0.004, 0.002, 0.002, 0.0015, 0.0015, 0.0015, 0.0015,
        0.0015, 0.0015,
      ])
    #expect(rate.state.reductions == 3)
  }

  @Test("a plateau's state goes through JSON and on as if nothing had happened")
  func state() throws {
    let settings = settings(.plateau) { $0.patience = 2 }
    var straight = LearningRate(settings, totalSteps: 100)
    var resumed = straight
    for i in 0..<20 {
      let score = Double(i * 7 % 10) / 3
      straight.observe(score)
      resumed.observe(score)
      let data = try JSONEncoder().encode(resumed.state)
      let state = try JSONDecoder().decode(LearningRate.State.self, from: data)
      resumed = LearningRate(settings, totalSteps: 100, state: state)
      #expect(resumed == straight)
    }
    #expect(straight.state.reductions > 0)
  }

  @Test("other schedules do not listen to validations")
  func deaf() {
    var rate = LearningRate(settings(.constant), totalSteps: 100)
    for _ in 0..<10 { rate.observe(0.1) }
    #expect(rate.state == LearningRate.State())
  }
}
