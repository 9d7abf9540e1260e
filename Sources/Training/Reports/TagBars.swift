/// How well each tag is ranked: bars, sorted within the tags' categories, with the numbers beside them.
struct TagBars {
  let run: RunReading
  let areas: RunReading.TagAreas

  var section: Markup {
    PageFrame.section(
      "Tag by tag",
      note:
        "On \(areas.what). ROC-AUC: chance is 0.5. PR-AUC (average precision): chance is the tag's share of the clips.",
      "<div class=\"bars\">\(TagCategory.allCases.map(block))</div>")
  }

  /// The tags of a category, the best ranked first; those without an area last.
  static func sorted(
    _ category: TagCategory, _ run: RunReading, _ rocAUC: [Double?]
  ) -> [Int] {
    rocAUC.indices.filter { TagCategory(tag: run.tagName($0)) == category }
      .sorted { (rocAUC[$0] ?? -1, -$0) > (rocAUC[$1] ?? -1, -$1) }
  }

  private func block(_ category: TagCategory) -> Markup {
    let tags = Self.sorted(category, run, areas.rocAUC)
    guard !tags.isEmpty else { return "" }
    let rows: [Markup] = tags.map { tag in
      """
      <tr><th scope="row">\(TagCategory.shortName(run.tagName(tag)))</th>\
      <td>\(bar(areas.rocAUC[tag], "train"))</td><td>\(bar(areas.prAUC[tag], "valid"))</td></tr>

      """
    }
    let (roc, pr) = (
      mean(tags.compactMap { areas.rocAUC[$0] }), mean(tags.compactMap { areas.prAUC[$0] })
    )
    let means = "\(Figure.count(tags.count, "tag")), mean \(roc), \(pr)"
    return """
      <div><table><caption><b>\(category.title)</b> · \(means)</caption>
      <thead><tr><th scope="col">tag</th><th scope="col">ROC-AUC</th><th scope="col">PR-AUC</th></tr></thead>
      <tbody>\(rows)</tbody></table></div>

      """
  }

  private func bar(_ area: Double?, _ style: String) -> Markup {
    let share = Figure.decimals(100 * min(max(area ?? 0, 0), 1), 1)
    return
      "<span class=\"bar \(style)\"><i style=\"--v:\(share)%\"></i><b>\(area, digits: 3)</b></span>"
  }

  private func mean(_ values: [Double]) -> String {
    Figure.decimals(values.isEmpty ? nil : values.reduce(0, +) / Double(values.count), 3)
  }
}
