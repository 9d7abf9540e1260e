import Foundation

/// Several runs on one page, as in the paper's figures.
package struct ComparisonPage {
  private let runs: ComparedRuns

  package init(_ runs: [RunReading]) { self.runs = ComparedRuns(runs) }

  /// Runs on the page: each once.
  package var count: Int { runs.entries.count }

  package var page: Markup {
    let count = Figure.count(runs.entries.count, "run")
    let head: Markup = "<header><h1>\(count) compared</h1></header>\n\(notes)"
    return PageFrame.page(
      title: "\(count) compared", [head, table] + runs.groups.map(figures) + [settings])
  }

  // MARK: What is and is not comparable

  private var notes: Markup {
    var notes = runs.repeated.map { "\($0) was given more than once, and is here once." }
    if runs.groups.count > 1 {
      notes.append(
        "These runs were not trained on the same data. Their areas are comparable only among those with the same letter, and are drawn apart."
      )
    }
    if let unknown = runs.groups.first(where: { $0.fingerprint == nil }) {
      notes.append(
        "On which store these were trained is not known, since they have no checkpoint yet: "
          + unknown.entries.map(\.label).joined(separator: ", ") + ".")
    }
    let unfinished = runs.entries.filter { $0.run.state != .ended }
    if !unfinished.isEmpty {
      notes.append("Not at their end: " + unfinished.map(\.label).joined(separator: ", ") + ".")
    }
    let lines: [Markup] = notes.map { "<p class=\"warning\">\($0)</p>\n" }
    return "\(lines)"
  }

  private var table: Markup {
    let areSeveral = runs.groups.count > 1
    let rows: [[Markup]] = runs.groups.flatMap { group in
      group.entries.map { row($0, areSeveral ? group.letter : nil) }
    }
    let head =
      ["run"] + (areSeveral ? ["data"] : []) + [
        "network", "weights and biases", "tags", "steps", "best validation ROC-AUC",
        "test ROC-AUC", "test PR-AUC", "an epoch", "to the best", "clips/s",
      ]
    return PageFrame.section(
      "Runs",
      note:
        "Times are those of steps, validating and saving apart; they and clips a second also depend on the machines and the number of workers.",
      PageFrame.table(head, numbers: (areSeveral ? 3 : 2)..<head.count, rows))
  }

  private func row(_ entry: ComparedRuns.Entry, _ letter: String?) -> [Markup] {
    let (run, history) = (entry.run, entry.run.history)
    let toBest = history.best.flatMap { history.trainingSeconds(to: $0.step) }
    let suffix: Markup =
      switch run.state {
      case .ended: ""
      case .goesOn: " (goes on)"
      case .stopped: " (stopped)"
      }
    return ["\(entry.sign.glyph) \(entry.number) \(entry.label)\(suffix)"]
      + (letter.map { ["\($0)"] } ?? []) + [
        "\(run.network)", "\(run.weightsAndBiases.map(Figure.whole) ?? "–")",
        "\(run.tags.map { Figure.whole($0.count) } ?? "–")", "\(Figure.whole(history.lastStep))",
        "\(history.best?.rocAUC, digits: 4)", "\(history.end?.testROCAUC, digits: 4)",
        "\(history.end?.testPRAUC, digits: 4)",
        "\(history.secondsPerEpoch.map { Figure.duration($0) } ?? "–")",
        "\(toBest.map { Figure.duration($0) } ?? "–")",
        "\(Figure.short(history.medianClipsPerSecond))",
      ]
  }

  // MARK: Runs on the same data

  private func figures(_ group: ComparedRuns.Group) -> Markup {
    let title: Markup =
      runs.groups.count > 1
      ? "<h2 style=\"margin-top:24px\">Data \(group.letter): \(group.entries.first?.run.storeName ?? "not known"), \(Figure.count(group.entries.count, "run"))</h2>"
      : ""
    return Markup(
      [title, ComparisonFigures(group: group).figures, ComparedTags(group: group).section]
        .compactMap(\.self))
  }

  // MARK: Settings

  /// Those that are not the same in all runs.
  private var settings: Markup {
    let known = runs.entries.compactMap { entry in
      entry.run.configuration.map { (entry: entry, configuration: $0) }
    }
    let rows = Setting.all.compactMap { setting -> (key: String, values: [String])? in
      let values = known.map {
        setting.networks.contains($0.configuration.model.network)
          ? setting.text($0.configuration) : "–"
      }
      return Set(values).count > 1 ? (setting.key, values) : nil
    }
    guard !rows.isEmpty else {
      return PageFrame.section("Settings", "<p>All settings are the same.</p>")
    }
    let tables = stride(from: 0, to: known.count, by: ComparedTags.columns).map { start in
      let shown = start..<min(start + ComparedTags.columns, known.count)
      let lines: [[Markup]] = rows.map { row in
        ["<code>\(row.key)</code>"] + row.values[shown].map { "<code>\($0.inOneLine)</code>" }
      }
      return PageFrame.table(
        ["setting"] + known[shown].map { String($0.entry.number) }, numbers: 0..<0, lines)
    }
    return PageFrame.section("Settings that differ", "\(tables)")
  }
}
