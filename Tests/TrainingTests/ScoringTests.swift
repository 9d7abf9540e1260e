import Dataset
import Foundation
import Models
import Testing
import Training

@Suite struct ScoringTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try SyntheticStore().write(folder / "store")
  }

  /// Logits of the ten validation clips that have the right sign, `margin` from zero.
  private func perfect(margin: Float) -> [Float] {
    (0..<10).flatMap { clip in (0..<3).map { clip >> $0 & 1 == 1 ? margin : -margin } }
  }

  @Test("right answers rank perfectly, with the loss of their margin")
  func right() throws {
    let labels = try SplitLabels(store, .validation)
    let scores = try labels.scores(perfect(margin: 2), Loss(.binary))
    #expect(scores.ranking.rocAUC == 1 && scores.ranking.prAUC == 1)
    #expect(abs(scores.loss - log1p(exp(-2))) < 1e-7)
    let bits = try labels.scores(perfect(margin: 2), Loss(.binary, bits: true))
    #expect(abs(bits.loss - log1p(exp(-2)) / log(2)) < 1e-7)
    let wrong = try labels.scores(perfect(margin: -2), Loss(.binary))
    #expect(wrong.ranking.rocAUC == 0)
    #expect(abs(wrong.loss - log1p(exp(2))) < 1e-6)
  }

  @Test("each split is scored against its own labels")
  func splits() throws {
    for (split, count) in [(Split.train, 24), (.validation, 10), (.test, 6)] {
      let labels = try SplitLabels(store, split)
      let logits: [Float] = (0..<count).flatMap { clip in
        (0..<3).map { clip >> $0 & 1 == 1 ? 1 : -1 }
      }
      let scores = try labels.scores(logits, Loss(.binary))
      #expect(scores.ranking.rocAUC == 1, "\(split)")
      #expect(
        scores.ranking.tags.map(\.positives)
          == (0..<3).map { tag in (0..<count).count { $0 >> tag & 1 == 1 } })
    }
  }

  @Test("answers beyond what a probability can tell apart are still ranked")
  func saturated() throws {
    let labels = try SplitLabels(store, .validation)
    let logits = perfect(margin: 5).map { $0 + 40 }
    #expect(try labels.scores(logits, Loss(.binary)).ranking.rocAUC == 1)
    let softmax = try labels.scores(perfect(margin: 2), Loss(.softmax))
    #expect(softmax.ranking.rocAUC.map { $0 > 0.8 } == true)
  }

  @Test("an answer that is not a number is refused in words")
  func notANumber() throws {
    let labels = try SplitLabels(store, .validation)
    var logits = perfect(margin: 1)
    logits[4] = .nan
    let error = #expect(throws: TrainingError.self) { try labels.scores(logits, Loss(.binary)) }
    #expect(error?.description.contains("clip 1 for tag 1") == true)
  }

  @Test("a validation goes into the history, and the training loss begins anew")
  func history() throws {
    let configuration = InProcessTrainingTests.configuration
    let state = RunState(try configuration.network(for: store), configuration, stepsPerEpoch: 3)
    for _ in 0..<3 { state.position.advance(stepsPerEpoch: 3, updated: true) }
    (state.lossSum, state.lossSteps) = (1.5, 3)
    let scores = try SplitLabels(store, .validation)
      .scores(perfect(margin: 2), Loss(.binary))
    let validation = state.validated(scores)
    #expect(validation.trainLoss == 0.5 && validation.rocAUC == 1 && validation.step == 3)
    #expect(state.history == [validation])
    #expect(state.lossSum == 0 && state.lossSteps == 0)
    #expect(state.validated(scores).trainLoss == nil)
  }
}
