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
    let rows: [[Markup]] = blocks.flatMap { category, tags in
      tags.map { tag in
        let areas = judged.map { $0.areas[tag] }
        let best = areas.compactMap(\.self).max()
        return ["\(name(first.entry.run, tag))", "\(category.rawValue)"]
          + areas.map { $0 == best ? "<b>\($0, digits: 3)</b>" : "\($0, digits: 3)" }
      }
    }
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
      \(PageFrame.table(
        ["tag", "category"] + judged.map { String($0.entry.number) },
        numbers: 2..<judged.count + 2, caption: "The best in bold", rows))
      """)
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
