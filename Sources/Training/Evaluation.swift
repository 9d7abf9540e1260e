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

  /// - Throws: `TrainingError` if the split is empty, or if store and model do not fit together:
  ///   other tags, other feature settings
  package init(model: String, store: URL, split: Split, threads: Int) throws {
    let checkpoint = try Checkpoint(path: model)
    let store = try Store(store)
    try store.requireSettings(checkpoint.features, of: model)
    guard store.tags == checkpoint.tags else {
      throw TrainingError(
        .badInput,
        "\(model) knows the tags \(checkpoint.tags.joined(separator: ", ")), and "
          + "\(store.directory.path) has \(store.tags.joined(separator: ", "))")
    }
    guard store.clipCount(in: split) > 0 else {
      throw TrainingError(
        .badInput, "\(store.directory.path) has no clips in its \(split.rawValue) split")
    }
    let pool = ThreadPool(threads: threads)
    defer { pool.stop() }
    let computer = try LaneComputer(checkpoint.configuration, store: store, pool: pool)
    defer { computer.stop() }
    let weights = Storage(count: computer.network.weightCount)
    try checkpoint.readWeights(of: computer.network, into: weights)
    computer.load(weights.values)
    let logits = try computer.logits(split, 0..<store.clipCount(in: split))
    self.model = model
    self.split = split
    tags = store.tags
    clips = store.clipCount(in: split)
    scores = try SplitLabels(store, split).scores(
      logits, checkpoint.configuration.trainingLoss)
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
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let ranking = scores.ranking
    let report = Report(
      model: model, split: split.rawValue, clips: clips, loss: scores.loss,
      rocAUC: ranking.rocAUC, prAUC: ranking.prAUC,
      tags: zip(tags, ranking.tags).map {
        Tag(tag: $0, positives: $1.positives, rocAUC: $1.rocAUC, prAUC: $1.prAUC)
      })
    return String(decoding: try encoder.encode(report), as: UTF8.self)
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
    return table.text
      + "\(clips) \(split.rawValue) clips: loss \(RunReport.figure(scores.loss)), macro ROC-AUC "
      + "\(RunReport.figure(ranking.rocAUC)), macro PR-AUC \(RunReport.figure(ranking.prAUC))"
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
