import Foundation

/// `report.html`: one run on one page.
package struct RunPage {
  private let run: RunReading
  private var history: RunHistory { run.history }

  package init(_ run: RunReading) { self.run = run }

  package var page: Markup {
    PageFrame.page(title: run.name, [header, cards] + parts.compactMap(\.self))
  }

  private var parts: [Markup?] {
    let curves = RunCurves(history: history)
    return [
      history.lastStep == 0
        ? "<p class=\"warning\">No step has been made yet: there is nothing to draw.</p>"
        : curves.figures + (curves.note.isEmpty ? "" : "<p class=\"note\">\(curves.note)</p>"),
      validations,
      run.tagAreas.map { TagBars(run: run, areas: $0).section },
      ConfusionSection(run: run).section, CrewSection(history: history).section,
      SettingsSection(run: run).section,
    ]
  }

  // MARK: The head

  private var header: Markup {
    let term = history.terms.last
    let model = [
      run.network, run.weightsAndBiases.map { "\(Figure.whole($0)) weights and biases" },
    ]
    let data = [
      run.storeName,
      run.tags.map { Figure.count($0.count, "tag") },
      term.flatMap { term in
        term.trainingClips.map { training in
          "\(Figure.whole(training)) clips to train on, \(Figure.whole(term.validationClips ?? 0)) to validate, \(Figure.whole(term.testClips ?? 0)) to test"
        }
      },
    ]
    let work = [
      run.configuration.map {
        "\(Figure.count($0.training.lanes, "lane")) × \(Figure.count($0.training.clipsPerLane, "clip"))"
      },
      run.configuration.map { "seed \($0.training.seed)" },
      term?.build.map { "Tutti \($0)" }, term?.processor,
      history.terms.count > 1 ? "\(history.terms.count) terms" : nil,
    ]
    let lines: [Markup] = [model, data, work].map { $0.compactMap(\.self) }
      .filter { !$0.isEmpty }.map { "<p class=\"quiet\">\($0.joined(separator: " · "))</p>\n" }
    return """
      <header><h1>\(run.name)</h1>
      \(state)
      \(lines)</header>
      """
  }

  private var state: Markup {
    let step = Figure.whole(history.lastStep)
    let written = run.lastWritten.map { " Its log was last written on \($0.formatted(.iso8601))." }
    return switch run.state {
    case .ended: ""
    case .goesOn:
      "<p class=\"warning\">The run goes on: this is what there was after step \(step).\(written ?? "")</p>"
    case .stopped:
      "<p class=\"warning\">The run was stopped after step \(step), before its end; <code>coordinator --resume</code> goes on with it.\(written ?? "")</p>"
    }
  }

  private var cards: Markup {
    let (best, end) = (history.best, history.end)
    let training = history.progress(under: run.configuration)
    let seconds = history.trainingSeconds()
    let wall = history.wallClockSeconds.map { "\(Figure.duration($0)) from start to end" }
    let faults = history.incidents.count(where: \.isFault)
    return PageFrame.cards([
      ("Steps", Figure.whole(history.lastStep), training),
      (
        "Best validation ROC-AUC", Figure.decimals(best?.rocAUC, 4),
        best.map { "at step \(Figure.whole($0.step)), epoch \($0.epoch)" } ?? "no validation"
      ),
      (
        "Test ROC-AUC", Figure.decimals(end?.testROCAUC, 4),
        end == nil ? "at the run's end" : "PR-AUC \(Figure.decimals(end?.testPRAUC, 4))"
      ),
      (
        "Clips a second", Figure.short(history.medianClipsPerSecond),
        history.medianDataWaitShare.map {
          "median; \(Figure.decimals(100 * $0, 1)) % of the workers' time waiting for clips"
        } ?? "median of all steps"
      ),
      (
        "Time in steps", seconds.map { Figure.duration($0) } ?? "–",
        [history.secondsPerEpoch.map { "\(Figure.duration($0)) an epoch" }, wall]
          .compactMap(\.self).joined(separator: "; ")
      ),
      ("Faults", String(faults), faults == 0 ? "" : "listed below"),
    ])
  }

  // MARK: Validations

  /// As numbers; of many, some that are spread over the run, with the best and the last.
  private var validations: Markup? {
    let all = history.validations
    guard !all.isEmpty else { return nil }
    let best = history.best?.step
    let stride = (all.count + 39) / 40
    let shown = all.indices.filter {
      $0.isMultiple(of: stride) || $0 == all.count - 1 || all[$0].step == best
    }
    let rows: [[Markup]] = shown.map { index in
      let one = all[index]
      let isBest = one.step == best
      return [
        "\(Figure.whole(one.step))\(isBest ? " (best)" : "")", "\(one.epoch)",
        "\(one.trainLoss, digits: 4)",
        "\(one.loss, digits: 4)", "\(one.rocAUC, digits: 4)", "\(one.prAUC, digits: 4)",
        "\(Figure.short(one.learningRate))",
      ]
    }
    let table = PageFrame.table(
      ["step", "epoch", "training loss", "loss", "ROC-AUC", "PR-AUC", "learning rate"],
      numbers: 1..<7,
      caption: shown.count < all.count
        ? "\(shown.count) of \(Figure.whole(all.count)), spread over the run" : nil, rows)
    return PageFrame.section(
      "Validations",
      all.count > 12
        ? "<details><summary>\(Figure.whole(all.count)) validations as numbers</summary>\(table)</details>"
        : table)
  }
}

extension RunHistory {
  /// How long the run is meant to be, and how far it is.
  fileprivate func progress(under configuration: Configuration?) -> String {
    let epochs = steps.last.map { last -> String in
      let whole = validations.last { $0.step >= last.step }?.epoch
      return whole.map { Figure.count($0, "epoch") } ?? "in epoch \(last.epoch + 1)"
    }
    guard let training = configuration?.training, end == nil else { return epochs ?? "" }
    let planned = training.maxSteps.map { "at most \(Figure.count($0, "step"))" }
    return [epochs, planned ?? "at most \(Figure.count(training.epochs, "epoch"))"]
      .compactMap(\.self).joined(separator: ", ")
  }
}
