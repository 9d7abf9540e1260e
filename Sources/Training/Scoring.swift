import Dataset
import Kernels
import Models

/// A split's labels, and the scores of a model against them.
package struct SplitLabels {
  private let labels: [UInt8]
  private let tags: Int

  package init(_ store: Store, _ split: Split) throws {
    tags = store.tags.count
    var labels: [UInt8] = []
    var row = [Float](repeating: 0, count: tags)
    for clip in store.range(of: split) {
      try row.withUnsafeMutableBufferPointer { try store.copyLabels(ofClip: clip, into: $0) }
      labels += row.map { $0 > 0 ? 1 : 0 }
    }
    self.labels = labels
  }

  /// Whether every clip has exactly one tag: a task of telling classes apart.
  package var isSingleLabel: Bool {
    stride(from: 0, to: labels.count, by: tags).allSatisfy { start in
      labels[start..<(start + tags)].reduce(0) { $0 + Int($1) } == 1
    }
  }

  /// - Parameters:
  ///   - logits: `[clips, tags]`
  ///   - withConfusions: whether to set each two tags against each other, too
  /// - Throws: `TrainingError` if they cannot be ranked, as NaN cannot
  package func scores(
    _ logits: [Float], _ loss: Models.Loss, withConfusions: Bool = false
  ) throws -> Scores {
    let shape: Shape = [labels.count / tags, tags]
    let x = Tensor(logits, shape: shape)
    let share = loss.share(
      logits: x, labels: Tensor(labels.map(Float.init), shape: shape),
      gradient: Tensor(shape: shape), clipsInStep: shape[0])
    // Tags are ranked by their logits, which do not run into ties near 0 and 1; a softmax is another
    // order across clips.
    if loss.kind == .softmax { loss.probabilities(x) }
    do {
      let ranking = try RankingMetrics(scores: x.values, labels: labels, tagCount: tags)
      let confusions =
        withConfusions ? TagConfusions(scores: x.values, labels: labels, tagCount: tags) : nil
      return Scores(loss: Double(share), ranking: ranking, confusions: confusions)
    } catch {
      throw TrainingError(.fault, "the model's scores cannot be ranked: \(error)")
    }
  }
}

/// A model's loss and ranking on a split.
package struct Scores {
  package let loss: Double
  package let ranking: RankingMetrics
  /// If they were asked for, and the tags are not too many.
  package let confusions: TagConfusions?

  package init(loss: Double, ranking: RankingMetrics, confusions: TagConfusions? = nil) {
    (self.loss, self.ranking, self.confusions) = (loss, ranking, confusions)
  }
}

extension RunState {
  /// Notes a validation in the history, and begins a new mean of the training loss.
  package func validated(_ scores: Scores) -> Validation {
    let validation = Validation(
      step: position.step, epoch: position.epoch,
      trainLoss: lossSteps > 0 ? lossSum / Double(lossSteps) : nil, loss: scores.loss,
      rocAUC: scores.ranking.rocAUC, prAUC: scores.ranking.prAUC,
      learningRate: learningRate.rate(at: position.updates))
    history.append(validation)
    lossSum = 0
    lossSteps = 0
    return validation
  }
}
