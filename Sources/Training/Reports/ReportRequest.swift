import Foundation

/// What `tutti report` does: reads runs and writes the page of one, or of several side by side.
package struct ReportRequest {
  /// Where the page goes.
  package let out: String
  /// What is on it, in a few words.
  package let summary: String
  private let page: Markup

  /// - Parameter out: nil for the one run's `report.html`
  /// - Precondition: a run, and several only with a place
  /// - Throws: `RunError.notARun`, `FileError`
  package init(runs: [String], out: String?) throws {
    precondition(runs.count == 1 || out != nil && !runs.isEmpty, "\(runs.count) runs to nowhere")
    let readings = try runs.map { try RunReading($0) }
    self.out = out ?? (runs[0].hasSuffix("/") ? runs[0] : runs[0] + "/") + "report.html"
    if readings.count == 1 {
      page = RunPage(readings[0]).page
      summary = Self.summary(readings[0])
    } else {
      let comparison = ComparisonPage(readings)
      page = comparison.page
      summary = Figure.count(comparison.count, "run")
    }
  }

  private static func summary(_ run: RunReading) -> String {
    let steps = Figure.count(run.history.lastStep, "step")
    return switch run.state {
    case .ended: "\(steps), to the end"
    case .goesOn: "\(steps), and the run goes on"
    case .stopped: "\(steps), and then it was stopped"
    }
  }

  /// - Throws: `TrainingError.badInput` if something else than a page would be lost; `FileError`
  package func write() throws {
    if let file = FileHandle(forReadingAtPath: out) {
      let beginning = String(decoding: (try? file.read(upToCount: 14)) ?? Data(), as: UTF8.self)
      guard beginning.isEmpty || beginning.lowercased() == "<!doctype html" else {
        throw TrainingError(
          .badInput, "\(out) is something else than a report: remove it, or give --out another name"
        )
      }
    }
    try AtomicFile.write(out) { try $0.append(page.html) }
  }
}
