import Foundation

/// `report.html`: one run on one page, without scripts, fonts or pictures from elsewhere. It reads in
/// light and dark, on a narrow screen and on paper.
package struct HTMLReport {
  package let html: String

  /// - Parameters:
  ///   - configuration: the resolved configuration, as YAML
  ///   - tags: names in the order of the history's per-tag figures
  package init(run: String, configuration: String, tags: [String], history: RunHistory) {
    var parts: [String] = []
    parts.append("<h1>\(Self.escaped(run))</h1>")
    parts.append(Self.summary(history))
    parts.append(
      Self.figure(
        "Loss", "step",
        [
          Curve("training step", "step", history.steps.map { ($0.step, $0.loss) }),
          Curve("training, mean", "mean", history.validations.map { ($0.step, $0.trainLoss) }),
          Curve("validation", "validation", history.validations.map { ($0.step, $0.loss) }),
        ]))
    parts.append(
      Self.figure(
        "Validation", "step",
        [
          Curve("macro ROC-AUC", "validation", history.validations.map { ($0.step, $0.rocAUC) }),
          Curve("macro PR-AUC", "mean", history.validations.map { ($0.step, $0.prAUC) }),
        ]))
    if let end = history.end { parts.append(Self.bars(tags, end)) }
    parts.append(
      "<h2>Configuration</h2><details><summary>every setting</summary><pre>"
        + "\(Self.escaped(configuration))</pre></details>")
    html = """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(Self.escaped(run))</title><style>\(Self.style)</style></head>
      <body><main>
      \(parts.joined(separator: "\n"))
      </main></body></html>

      """
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--faint:#d5dae0;--a:#1f6feb;--b:#c2410c;--c:#9aa4af}
    @media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171a;--faint:#343b43;--a:#6ea8ff;--b:#ff9b6a;--c:#6b7580}}
    body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;margin:0}
    main{max-width:56rem;margin:0 auto;padding:1.5rem}
    h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem}
    svg{width:100%;height:auto;font-size:12px}svg text{fill:var(--ink)}
    .grid{stroke:var(--faint)}.step,.mean,.validation{fill:none;stroke-width:2}
    .step{stroke:var(--c);stroke-width:1}.mean{stroke:var(--b)}.validation{stroke:var(--a)}
    .key{display:inline-block;margin-right:1.2rem}.key i{display:inline-block;width:1.4em;height:3px;margin-right:.4em;vertical-align:middle}
    .key .step{background:var(--c)}.key .mean{background:var(--b)}.key .validation{background:var(--a)}
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .5rem .15rem 0;white-space:nowrap}
    td.bar{width:100%}td.bar div{background:var(--a);height:.8em;min-width:1px}
    pre{overflow-x:auto}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dd{margin:0}
    """

  // MARK: Parts

  private static func summary(_ history: RunHistory) -> String {
    let best = history.validations.max { ($0.rocAUC ?? -1) < ($1.rocAUC ?? -1) }
    let rates = history.steps.compactMap(\.clipsPerSecond).sorted()
    var rows: [(String, String)] = [
      ("Steps", String(history.steps.last?.step ?? 0)),
      (
        "Best validation ROC-AUC",
        best.map { "\(RunReport.figure($0.rocAUC)) at step \($0.step), epoch \($0.epoch)" }
          ?? "no validation"
      ),
    ]
    if let end = history.end {
      rows.append(
        (
          "Test ROC-AUC, PR-AUC",
          "\(RunReport.figure(end.testROCAUC)), \(RunReport.figure(end.testPRAUC))"
        ))
    }
    if !rates.isEmpty {
      rows.append(
        ("Clips per second", String(format: "%.1f (median of all steps)", rates[rates.count / 2])))
    }
    return "<dl>" + rows.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" }.joined() + "</dl>"
  }

  private struct Curve {
    let name, style: String
    let points: [(x: Double, y: Double)]

    init(_ name: String, _ style: String, _ points: [(Int, Double?)]) {
      self.name = name
      self.style = style
      self.points = points.compactMap { x, y in y.map { (Double(x), $0) } }
    }
  }

  private static func figure(_ title: String, _ axis: String, _ curves: [Curve]) -> String {
    let points = curves.flatMap(\.points)
    guard let right = points.map(\.x).max(), let low = points.map(\.y).min(),
      let high = points.map(\.y).max(), right > 0
    else { return "" }
    let (width, height, left, bottom) = (800.0, 280.0, 48.0, 24.0)
    let span = high > low ? high - low : 1
    func place(_ point: (x: Double, y: Double)) -> String {
      let x = left + point.x / right * (width - left - 8)
      let y = 8 + (high - point.y) / span * (height - bottom - 16)
      return String(format: "%.1f,%.1f", x, y)
    }
    var svg =
      "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\" aria-label=\"\(title)\">"
    for tick in 0...4 {
      let value = low + span * Double(tick) / 4
      let y = 8 + (high - value) / span * (height - bottom - 16)
      svg += String(
        format: "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
          + "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.3f</text>", left, width - 8, y, y,
        left - 6, y + 4, value)
    }
    svg += String(
      format: "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%@ %.0f</text>", width - 8,
      height - 4,
      axis as NSString, right)
    for curve in curves where !curve.points.isEmpty {
      svg +=
        "<polyline class=\"\(curve.style)\" points=\"\(thinned(curve.points).map(place).joined(separator: " "))\"/>"
    }
    // A curve of one point has no line.
    for curve in curves where curve.points.count == 1 {
      let point = place(curve.points[0]).split(separator: ",")
      svg += "<circle class=\"\(curve.style)\" cx=\"\(point[0])\" cy=\"\(point[1])\" r=\"2\"/>"
    }
    let keys = curves.map { "<span class=\"key\"><i class=\"\($0.style)\"></i>\($0.name)</span>" }
    return "<h2>\(title)</h2><p>\(keys.joined())</p>\(svg)</svg>"
  }

  /// At most about 800 points: as many as the drawing has columns.
  private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let stride = max(1, points.count / 800)
    return points.enumerated().filter { $0.offset % stride == 0 || $0.offset == points.count - 1 }
      .map(\.element)
  }

  private static func bars(_ tags: [String], _ end: RunHistory.End) -> String {
    let rows = zip(tags, zip(end.testTagROCAUC, end.testTagPRAUC))
      .sorted { ($0.1.0 ?? -1) > ($1.1.0 ?? -1) }
      .map { tag, areas in
        let share = max(0, areas.0 ?? 0) * 100
        return "<tr><td>\(escaped(tag))</td><td>\(RunReport.figure(areas.0))</td>"
          + "<td>\(RunReport.figure(areas.1))</td>"
          + String(format: "<td class=\"bar\"><div style=\"width:%.1f%%\"></div></td></tr>", share)
      }
    guard !rows.isEmpty else { return "" }
    return "<h2>Test split, tag by tag</h2><table><tr><th>tag</th><th>ROC-AUC</th><th>PR-AUC</th>"
      + "<th></th></tr>\(rows.joined())</table>"
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}

extension RunFolder {
  package var reportPath: String { path + "/report.html" }

  /// Writes the page anew, from the log.
  package func writeReport(tags: [String]) throws {
    let report = HTMLReport(
      run: URL(fileURLWithPath: path).lastPathComponent,
      configuration: try String(contentsOfFile: configurationPath, encoding: .utf8), tags: tags,
      history: try RunHistory(path: logPath))
    try AtomicFile.write(reportPath, fileSystem: fileSystem) { try $0.append(report.html) }
  }
}
