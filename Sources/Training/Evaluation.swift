import Audio
import Dataset
import Foundation
import Kernels
import Models

/// A model's scores on one split of a store.
package struct Evaluation {
  package let model: String
  package let split: Split
  package let tags: [String]
  package let clips: Int
  package let scores: Scores

  /// Of which checkpoint the model is; nil for a model file.
  private let step: Int?

  /// - Parameters:
  ///   - model: a model file, a checkpoint, or a run's folder
  ///   - withConfusions: whether to set each two tags against each other, too
  /// - Throws: `TrainingError` if the split is empty, or if store and model do not fit together:
  ///   other tags, clips of another size; `DatasetError` for other feature settings
  package init(
    model path: String, store: URL, split: Split, threads: Int, withConfusions: Bool = false
  ) throws {
    let model = try TaggingModel(path: path)
    let store = try Store(store)
    try model.require(store, path: path)
    guard store.clipCount(in: split) > 0 else {
      throw TrainingError(
        .badInput, "\(store.directory.path) has no clips in its \(split.rawValue) split")
    }
    try MemoryBudget.machine.require(
      Evaluator.memory(model.network, threads: threads), for: "evaluating \(path)",
      advice: "lower --threads, or evaluate it on another machine")
    let pool = ThreadPool(threads: threads)
    defer { pool.stop() }
    let loss = try model.configuration.resolved(for: store).trainingLoss
    let evaluator = Evaluator(model.network, loss, weights: model.weights, pool: pool)
    let logits = try evaluator.logits(store, split, 0..<store.clipCount(in: split))
    self.model = path
    self.split = split
    tags = store.tags
    clips = store.clipCount(in: split)
    scores = try SplitLabels(store, split).scores(logits, loss, withConfusions: withConfusions)
    guard scores.confusions != nil || !withConfusions else {
      throw TrainingError(
        .badInput,
        "\(path) has \(tags.count) tags, and confusions are of at most \(TagConfusions.maximumTags)"
      )
    }
    step = model.step
  }

  /// One JSON object.
  package func json() throws -> String {
    struct Tag: Encodable {
      let tag: String
      let positives: Int
      let rocAUC, prAUC: Double?
    }
    struct Report: Encodable {
      let model, split: String
      let clips: Int
      let loss: Double
      let rocAUC, prAUC: Double?
      let tags: [Tag]
      let confusions: TagConfusionsFile?
    }
    let ranking = scores.ranking
    let report = Report(
      model: model, split: split.rawValue, clips: clips, loss: scores.loss,
      rocAUC: ranking.rocAUC, prAUC: ranking.prAUC,
      tags: zip(tags, ranking.tags).map {
        Tag(tag: $0, positives: $1.positives, rocAUC: $1.rocAUC, prAUC: $1.prAUC)
      },
      confusions: scores.confusions.map {
        TagConfusionsFile($0, split: split.rawValue, step: step, tags: tags)
      })
    return try report.json()
  }

  /// A table for people, the best ranked tag first.
  package var table: String {
    let ranking = scores.ranking
    let rows = zip(tags, ranking.tags)
      .sorted { ($0.1.rocAUC ?? -1, $1.0) > ($1.1.rocAUC ?? -1, $0.0) }
      .map { tag, areas in
        [
          tag, String(areas.positives), RunReport.figure(areas.rocAUC),
          RunReport.figure(areas.prAUC),
        ]
      }
    let table = TextTable(["tag", "clips", "ROC-AUC", "PR-AUC"], rows)
    return table.text + hardestPairs
      + "\(clips) \(split.rawValue) clips: loss \(RunReport.figure(scores.loss)), macro ROC-AUC "
      + "\(RunReport.figure(ranking.rocAUC)), macro PR-AUC \(RunReport.figure(ranking.prAUC))"
  }
}

extension Evaluation {
  /// The tags that are hardest to tell apart, if that was asked for; empty if not.
  private var hardestPairs: String {
    guard let confusions = scores.confusions else { return "" }
    let rows = confusions.hardest(20).map { pair in
      [
        "\(tags[pair.a]) / \(tags[pair.b])", RunReport.figure(pair.area),
        String(confusions[only: pair.a, not: pair.b]),
        String(confusions[only: pair.b, not: pair.a]),
      ]
    }
    return "\n" + TextTable(["hardest to tell apart", "ROC-AUC", "only one", "other"], rows).text
      + "\n"
  }
}

extension TaggingModel {
  /// - Throws: `DatasetError.settingsDiffer`, or `TrainingError`, if the model cannot judge the clips
  ///   of `store`
  fileprivate func require(_ store: Store, path: String) throws {
    // Of a model that does not know its features, only the size of its input is known.
    if !features.isEmpty { try store.requireSettings(features, of: path) }
    guard store.tags == tags else {
      throw TrainingError(
        .badInput,
        "\(path) knows the tags \(tags.joined(separator: ", ")), and "
          + "\(store.directory.path) has \(store.tags.joined(separator: ", "))")
    }
    let (bands, frames) = (network.input[1], network.input[2])
    guard store.bands == bands, features.isEmpty ? store.frames == frames : store.frames >= frames
    else {
      throw TrainingError(
        .badInput,
        "\(path) takes clips of \(bands) bands × \(frames) frames, and those of "
          + "\(store.directory.path) have \(store.bands) × \(store.frames)")
    }
  }
}

/// Columns for a terminal: the first to the left, the others to the right.
package struct TextTable {
  package let text: String

  package init(_ head: [String], _ rows: [[String]]) {
    let widths = head.indices.map { column in
      ([head] + rows).map { $0[column].count }.max() ?? 0
    }
    text = ([head] + rows).map { row in
      let cells = zip(row, widths).enumerated().map { column, cell in
        let fill = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + fill : fill + cell.0
      }
      return cells.joined(separator: "  ") + "\n"
    }.joined()
  }
}
