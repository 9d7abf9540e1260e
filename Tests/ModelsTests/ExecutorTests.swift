import Foundation
import Kernels
import Models
import Testing

/// What an executor computes is a function of weights, clips, step and lane: not of its threads, its
/// room, or of what it computed before. Everywhere equal means equal bits.
@Suite struct ExecutorTests {
  @Test("any number of threads gives the same bits", arguments: TinyNetwork.all)
  func threads(tiny: TinyNetwork) throws {
    let one = try Bench(tiny, clips: 3).train(tiny, clips: 0..<3, step: 4, lane: 2)
    let evaluated = try Bench(tiny, clips: 3, trains: false).evaluate(tiny, clips: 0..<3)
    #expect(one.logits.allSatisfy { $0.isFinite } && one.contribution.allSatisfy { $0.isFinite })
    #expect(Set(evaluated).count > 7)
    for threads in [2, 3] {
      let many = try Bench(tiny, clips: 3, threads: threads)
        .train(tiny, clips: 0..<3, step: 4, lane: 2)
      #expect(many == one, "\(threads) threads")
      #expect(
        try Bench(tiny, clips: 3, trains: false, threads: threads).evaluate(tiny, clips: 0..<3)
          == evaluated, "\(threads) threads")
    }
  }

  @Test("a partial batch equals the same clips in a smaller executor", arguments: TinyNetwork.all)
  func partialBatch(tiny: TinyNetwork) throws {
    let small = try Bench(tiny, clips: 2).train(tiny, clips: 3..<5, clipsInStep: 7)
    let large = try Bench(tiny, clips: 5)
    // leaves traces of other clips wherever the next pass must not look
    _ = large.train(tiny, clips: 6..<11, clipsInStep: 7)
    #expect(large.train(tiny, clips: 3..<5, clipsInStep: 7) == small)

    let alone = try Bench(tiny, clips: 2, trains: false).evaluate(tiny, clips: 3..<5)
    let roomy = try Bench(tiny, clips: 5, trains: false)
    _ = roomy.evaluate(tiny, clips: 6..<11)
    #expect(roomy.evaluate(tiny, clips: 3..<5) == alone)
    #expect(roomy.evaluate(tiny, clips: 3..<5) == alone, "the second time")
  }

  @Test("an executor for training evaluates as one for evaluation does", arguments: TinyNetwork.all)
  func evaluations(tiny: TinyNetwork) throws {
    let alone = try Bench(tiny, clips: 3, trains: false).evaluate(tiny, clips: 0..<3)
    let trainer = try Bench(tiny, clips: 3)
    _ = trainer.train(tiny, clips: 4..<7)
    #expect(trainer.evaluate(tiny, clips: 0..<3) == alone)
  }

  @Test(
    "a clip's logits in evaluation come near whatever its company", arguments: TinyNetwork.all)
  func company(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 4, trains: false)
    let together = bench.evaluate(tiny, clips: 0..<4)
    let alone = (0..<4).flatMap { bench.evaluate(tiny, clips: $0..<($0 + 1)) }
    // another shape of matrix product may sum in another order: a few roundings
    for (a, b) in zip(together, alone) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
  }

  @Test("no clips contribute zeros", arguments: TinyNetwork.all)
  func noClips(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 2)
    _ = bench.train(tiny, clips: 0..<2)
    let nothing = bench.train(tiny, clips: 0..<0, clipsInStep: 5)
    #expect(nothing.logits.isEmpty)
    #expect(nothing.contribution.count == Executor.contributionCount(bench.executor.network))
    #expect(nothing.contribution.allSatisfy { $0.bitPattern == 0 })
  }

  @Test(
    "a pass writes all of its contribution and nothing of its inputs", arguments: TinyNetwork.all)
  func writes(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 3, margin: 64)
    let before = bench.weights.values
    bench.fill(tiny, clips: 0..<3)
    let (input, labels) = (bench.executor.input.values, bench.executor.labels.values)
    for i in 0..<bench.executor.contribution.count {
      bench.executor.contribution.base[i] = .nan
    }
    bench.executor.train(
      clips: 3, clipsInStep: 3, dropout: DropoutStreams(seed: 9, step: 0, lane: 0))
    #expect(bench.executor.contribution.values.allSatisfy { $0.isFinite })
    #expect(bench.weights.values == before)
    #expect(bench.executor.input.values == input)
    #expect(bench.executor.labels.values == labels)
  }

  @Test("lanes' contributions have the weight of their clips", arguments: TinyNetwork.all)
  func weighting(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 2)
    let alone = bench.train(tiny, clips: 0..<2, clipsInStep: 2).contribution
    let share = bench.train(tiny, clips: 0..<2, clipsInStep: 8).contribution
    // a power of two scales without rounding, but for gradients too small to be halved exactly
    for (a, b) in zip(alone, share) where abs(a) > 1e-30 {
      #expect(abs(b * 4 - a) <= 1e-5 * abs(a) + 1e-9)
    }
  }

  @Test("the loss of a contribution is the mean over the step", arguments: TinyNetwork.all)
  func loss(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 3)
    let (logits, contribution) = bench.train(tiny, clips: 0..<3, clipsInStep: 4)
    let labels = (0..<3).flatMap { tiny.labels(clip: $0) }
    let sum = zip(logits, labels).reduce(0.0) { sum, pair in
      let (x, y) = (Double(pair.0), Double(pair.1))
      return sum + max(x, 0) - x * y + log1p(exp(-abs(x)))
    }
    let expected = sum / Double(4 * tiny.settings.tags)
    let loss = Double(contribution[contribution.count - 1])
    #expect(abs(loss - expected) <= 2e-6 * expected)
  }

  @Test(
    "dropout is another at every step and lane, and can be had again",
    arguments: TinyNetwork.dropping)
  func dropout(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 2)
    let first = bench.train(tiny, clips: 0..<2, step: 1, lane: 1)
    #expect(bench.train(tiny, clips: 0..<2, step: 2, lane: 1).logits != first.logits)
    #expect(bench.train(tiny, clips: 0..<2, step: 1, lane: 2).logits != first.logits)
    #expect(bench.train(tiny, clips: 0..<2, step: 1, lane: 1) == first)
  }

  @Test("without dropout step and lane do not matter", arguments: TinyNetwork.all)
  func noDropout(tiny: TinyNetwork) throws {
    var settings = tiny.settings
    settings.convolutionDropout = 0
    settings.denseDropout = 0
    let still = TinyNetwork(settings)
    let bench = try Bench(still, clips: 2)
    let first = bench.train(still, clips: 0..<2, step: 1, lane: 1)
    #expect(bench.train(still, clips: 0..<2, step: 3, lane: 0) == first)
  }

  @Test("probabilities are the logits' sigmoids", arguments: TinyNetwork.all)
  func probabilities(tiny: TinyNetwork) throws {
    let bench = try Bench(tiny, clips: 2, trains: false)
    let logits = bench.evaluate(tiny, clips: 0..<2)
    bench.fill(tiny, clips: 0..<2)
    for (p, x) in zip(bench.executor.probabilities(clips: 2).values, logits) {
      #expect(abs(Double(p) - 1 / (1 + exp(-Double(x)))) < 1e-6)
    }
  }

  @Test("evaluation takes less memory than training", arguments: TinyNetwork.all)
  func memory(tiny: TinyNetwork) throws {
    let network = try tiny.network()
    func bytes(clips: Int, trains: Bool) -> Int {
      Executor.memory(network, clips: clips, trains: trains, threads: 2)
    }
    #expect(bytes(clips: 2, trains: false) < bytes(clips: 2, trains: true))
    #expect(bytes(clips: 2, trains: true) < bytes(clips: 4, trains: true))
  }
}
