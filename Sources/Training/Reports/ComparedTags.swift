/// Tag by tag, runs on the same data side by side: signs along a line, and the numbers.
struct ComparedTags {
  let group: ComparedRuns.Group
  /// More signs than this would be no picture.
  private static let mostSigns = 3_000

  var section: Markup? {
    let judged = group.entries.compactMap { entry in
      group.tagAreas(entry).map { (entry: entry, areas: $0) }
    }
    guard judged.count > 1, let first = judged.first,
      judged.allSatisfy({ $0.areas.count == first.areas.count })
    else { return nil }
    let means = first.areas.indices.map { tag in mean(judged.compactMap { $0.areas[tag] }) }
    let blocks = TagCategory.allCases.compactMap { category -> (TagCategory, [Int])? in
      let tags = TagBars.sorted(category, first.entry.run, means)
      return tags.isEmpty ? nil : (category, tags)
    }
    let hasPicture = judged.count * means.count <= Self.mostSigns
    let pictures: [Markup] =
      hasPicture ? blocks.map { strip($0.0, $0.1, judged, first.entry.run) } : []
    let order = blocks.flatMap { category, tags in tags.map { (category: category, tag: $0) } }
    let key: [Markup] = judged.map {
      "<span>\($0.entry.sign.glyph) \($0.entry.number) \($0.entry.label)</span>"
    }
    return PageFrame.section(
      "Tag by tag",
      note:
        "By \(group.isJudgedOnTest ? "ROC-AUC on the test split" : "ROC-AUC at each run's best validation"); tags sorted by their mean over the runs, within their categories.",
      """
      <div class="legend">\(key)</div>
      \(pictures)
      \(tables(judged, order, first.entry.run))
      """)
  }

  /// As many runs beside each other as a sheet of paper has room for.
  static let columns = 10

  private func tables(
    _ judged: [(entry: ComparedRuns.Entry, areas: [Double?])],
    _ order: [(category: TagCategory, tag: Int)], _ run: RunReading
  ) -> [Markup] {
    let best = order.map { line in judged.compactMap { $0.areas[line.tag] }.max() }
    return stride(from: 0, to: judged.count, by: Self.columns).map { start in
      let shown = judged[start..<min(start + Self.columns, judged.count)]
      let rows: [[Markup]] = zip(order, best).map { line, best in
        ["\(name(run, line.tag))", "\(line.category.rawValue)"]
          + shown.map { one in
            let area = one.areas[line.tag]
            return area == best ? "<b>\(area, digits: 3)</b>" : "\(area, digits: 3)"
          }
      }
      return PageFrame.table(
        ["tag", "category"] + shown.map { String($0.entry.number) },
        numbers: 2..<shown.count + 2, caption: "By number of the run; the best of all in bold", rows
      )
    }
  }

  private func strip(
    _ category: TagCategory, _ tags: [Int],
    _ judged: [(entry: ComparedRuns.Entry, areas: [Double?])], _ run: RunReading
  ) -> Markup {
    let all = judged.flatMap { one in one.areas.compactMap(\.self) }
    let low = ((all.min() ?? 0) * 10).rounded(.down) / 10
    let span = max(1 - low, 0.1)
    func place(_ area: Double) -> String { Figure.decimals((area - low) / span * 100, 2) }
    let lines: [Markup] = tags.map { tag in
      let signs: [Markup] = judged.compactMap { one in
        one.areas[tag].map { "<span style=\"left:\(place($0))%\">\(one.entry.sign.glyph)</span>" }
      }
      return "<span>\(name(run, tag))</span><div class=\"line\">\(signs)</div>\n"
    }
    let ticks: [Markup] = (0...5).map { step in
      let value = low + span * Double(step) / 5
      return "<span style=\"left:\(place(value))%\">\(value, digits: 2)</span>"
    }
    return """
      <h3>\(category.title)</h3>
      <div class="strip" aria-hidden="true">\(lines)<span></span><div class="axis">\(ticks)</div></div>

      """
  }

  private func name(_ run: RunReading, _ tag: Int) -> String {
    TagCategory.shortName(run.tagName(tag))
  }

  private func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}
