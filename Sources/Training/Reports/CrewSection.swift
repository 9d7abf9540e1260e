/// What happened to the crew, and what it cost.
struct CrewSection {
  let history: RunHistory
  private static let rows = 60

  var section: Markup? {
    let incidents = history.incidents
    guard !incidents.isEmpty || !history.skipped.isEmpty else { return nil }
    // Faults first when not all can be shown, in the order in which they happened.
    let faults = incidents.indices.filter { incidents[$0].isFault }
    let others = incidents.indices.filter { !incidents[$0].isFault }
    let shown = (faults + others).prefix(Self.rows).sorted()
    let rows: [[Markup]] = shown.map { index in
      let incident = incidents[index]
      return [
        "\(Figure.whole(incident.step))",
        incident.isFault
          ? "<span class=\"fault\">\(incident.kind)</span>" : "\(incident.kind)",
        "\(incident.text.inOneLine)",
        incident.lanes.map { "\($0)" } ?? "",
        incident.seconds.map { "\($0, digits: 2)" } ?? "",
      ]
    }
    let left = incidents.count - shown.count
    let table =
      rows.isEmpty
      ? nil
      : PageFrame.table(
        ["step", "what", "in words", "lanes again", "seconds"], numbers: 3..<5,
        texts: [2],
        caption: left > 0
          ? "\(Figure.whole(shown.count)) of \(Figure.whole(incidents.count)); metrics.jsonl has all"
          : nil, rows)
    return PageFrame.section(
      "Faults and other events", Markup([summary, skips, table].compactMap(\.self)))
  }

  /// Counts by kind, and what all recoveries together cost.
  private var summary: Markup {
    let faults = history.incidents.filter(\.isFault)
    let counts = Dictionary(grouping: faults, by: \.kind)
      .map { (kind: $0.key, count: $0.value.count) }
      .sorted { ($1.count, $0.kind) < ($0.count, $1.kind) }
    let recoveries = history.incidents.filter { $0.seconds != nil }
    let lanes = recoveries.compactMap(\.lanes).reduce(0, +)
    let seconds = recoveries.compactMap(\.seconds).reduce(0, +)
    let cost =
      recoveries.isEmpty
      ? ""
      : " \(Figure.count(recoveries.count, "recovery", "recoveries")): \(Figure.count(lanes, "lane")) computed again, \(Figure.duration(seconds)) from the losses to the whole steps, together."
    let names = counts.map { "\(Figure.whole($0.count)) \($0.kind)" }.joined(separator: ", ")
    return "<p>\(faults.isEmpty ? "No fault." : "Faults: \(names).")\(cost)</p>"
  }

  private var skips: Markup? {
    guard let first = history.skipped.first else { return nil }
    return
      "<p>\(Figure.count(history.skipped.count, "step was", "steps were")) left out, since the gradient was not finite; the first is step \(Figure.whole(first)).</p>"
  }
}
