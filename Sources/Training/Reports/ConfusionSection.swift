/// Which tags the model takes for each other: the hardest pairs as a table, and a map of all.
struct ConfusionSection {
  let run: RunReading
  private static let mostInMap = 60
  private static let pairs = 20

  var section: Markup? {
    guard run.state == .ended, (run.history.end?.testTagROCAUC ?? []).isEmpty == false else {
      return nil
    }
    guard let confusions = run.confusions else {
      return PageFrame.section(
        "Confusions of related tags",
        "<p>Not known: the run has no readable \(RunFolder.confusionsName) for its best model. <code>tutti evaluate --confusions --model RUN --data STORE</code> computes it.</p>"
      )
    }
    return PageFrame.section(
      "Confusions of related tags", note: definition,
      Markup([table(confusions), map(confusions)].compactMap(\.self)))
  }

  private var definition: Markup {
    """
    On the test split. A(i|j) is the ROC-AUC of the score for tag i, of clips that have i and not j \
    against clips that have j and not i: 1 tells them apart, 0.5 does not. A pair's area is the mean \
    of A(i|j) and A(j|i), as Hand and Till define it. Pairs with fewer than \
    \(TagConfusions.fewestClips) clips of either kind are not listed.
    """
  }

  private func table(_ confusions: TagConfusions) -> Markup {
    let categories = (0..<confusions.tagCount).map { TagCategory(tag: run.tagName($0)) }
    let pairs = confusions.hardest(Self.pairs) { categories[$0] == categories[$1] }
    guard !pairs.isEmpty else {
      return """
        <p>No two tags of one category have \(TagConfusions.fewestClips) clips each without the other.</p>
        """
    }
    let rows: [[Markup]] = pairs.map { pair in
      let (a, b) = (pair.a, pair.b)
      let forth = confusions[a, against: b]
      let back = confusions[b, against: a]
      return [
        "\(name(a)) / \(name(b))", "\(pair.area, digits: 3)", "\(forth, digits: 3)",
        "\(back, digits: 3)", "\(confusions[only: a, not: b])", "\(confusions[only: b, not: a])",
      ]
    }
    return PageFrame.table(
      ["tags i / j", "area", "A(i|j)", "A(j|i)", "clips, only i", "only j"], numbers: 1..<6,
      caption: "The tags of one category that are hardest to tell apart", rows)
  }

  private func name(_ tag: Int) -> String { TagCategory.shortName(run.tagName(tag)) }

  // MARK: The map

  /// From the most confused to the least; a step of shade each.
  private static let levels: [(below: Double, name: String)] = [
    (0.6, "below 0.6"), (0.7, "0.6–0.7"), (0.8, "0.7–0.8"), (0.9, "0.8–0.9"), (0.95, "0.9–0.95"),
    (.infinity, "0.95 and more"),
  ]

  private static func opacity(_ level: Int) -> String {
    Figure.decimals(1 - 0.19 * Double(level), 2)
  }

  /// A square for each two tags, in the order of the bars; nil for too many tags to read.
  private func map(_ confusions: TagConfusions) -> Markup? {
    guard (2...Self.mostInMap).contains(confusions.tagCount), let areas = run.tagAreas else {
      return nil
    }
    let groups = TagCategory.allCases.map { TagBars.sorted($0, run, areas.rocAUC) }
      .filter { !$0.isEmpty }
    let order = groups.flatMap { $0 }
    guard order.count == confusions.tagCount else { return nil }
    let (cell, left, top, gap) = (14, 130, 96, 4)
    // Categories stand a little apart.
    var places: [Int] = []
    for (index, group) in groups.enumerated() {
      for _ in group { places.append(places.count * cell + index * gap) }
    }
    let side = (places.last ?? 0) + cell
    var paths = [String](repeating: "", count: Self.levels.count + 1)
    for (row, i) in order.enumerated() {
      for (column, j) in order.enumerated() where i != j {
        let level = confusions[i, against: j].map { area in
          Self.levels.firstIndex { area < $0.below } ?? Self.levels.count - 1
        }
        paths[level ?? Self.levels.count] +=
          "M\(left + places[column]) \(top + places[row])h13v13h-13z"
      }
    }
    let squares: [Markup] = paths.enumerated().filter { !$0.element.isEmpty }.map { level, path in
      level == Self.levels.count
        ? "<path class=\"none\" d=\"\(path)\"/>\n"
        : "<path class=\"cell\" fill-opacity=\"\(Self.opacity(level))\" d=\"\(path)\"/>\n"
    }
    let names: [Markup] = zip(order, places).map { tag, place in
      let (x, y) = (left + place + 10, top + place + 11)
      return """
        <text x="\(left - 6)" y="\(y)" text-anchor="end">\(short(tag))</text>\
        <text transform="translate(\(x) \(top - 6)) rotate(-60)">\(short(tag))</text>

        """
    }
    let (width, height) = (left + side + 50, top + side + 2)
    return """
      <figure><figcaption>A(i|j) of every two tags <small>i by row, j by column; the darker, the harder to tell apart</small></figcaption>
      \(key)<div class="scroll"><svg class="heat" width="\(width)" viewBox="0 0 \(width) \(height)" role="img"><title>How well each two tags are told apart</title>
      \(squares)\(names)</svg></div></figure>
      """
  }

  private var key: Markup {
    let items: [Markup] = Self.levels.enumerated().map { level, range in
      "<span><i style=\"opacity:\(Self.opacity(level))\"></i>\(range.name)</span>"
    }
    return
      "<div class=\"legend key\">\(items)<span><i class=\"none\"></i>no such clips</span></div>"
  }

  private func short(_ tag: Int) -> String {
    let name = name(tag)
    return name.count > 18 ? name.prefix(17) + "…" : name
  }
}
