/// What an import read, left out and kept, for people to compare with what papers say.
package struct ImportReport: Sendable {
  /// A file and how many rows were read of it.
  package struct Source: Sendable, Equatable {
    package let name: String
    package let rows: Int
  }

  /// A tag and how many clips of each split have it.
  package struct TagCount: Sendable, Equatable {
    package let tag: String
    package internal(set) var clips: [Int]
  }

  package let dataset: String
  package let sources: [Source]
  package let defects: Defects
  /// Rows that describe a clip each: those kept and those dropped together.
  package let clipRows: Int
  /// Rows that describe a clip and are not kept: why, and how many.
  package let dropped: [(reason: String, rows: Int)]
  /// Clips of parts of the data set that nobody asked for.
  package let outsideSubset: Int
  /// Of each split: rows that describe a clip of it, distinct clips among them, and those kept.
  package let rows, clips, kept: [Int]
  /// The labels in their order.
  package let tags: [TagCount]
  package let droppedTags: [TagCount]
  /// Tags of the data set's list that no clip has.
  package let absentTags: Int
  /// Of each split: clips with none of the labels.
  package let untagged: [Int]
  package let keepsUntagged: Bool
  /// How the labels are ordered.
  package let order: String
  /// Labels of all kept clips together.
  private let labels: Int

  init(
    dataset: String, sources: [Source], defects: Defects, clipRows: Int,
    dropped: [DefectKind: Int], outsideSubset: Int, rows: [Int], clips: [Int],
    chosen: TagSelection.Outcome
  ) {
    self.clipRows = clipRows
    let untaggedRows = chosen.keepsUntagged ? 0 : chosen.untagged.reduce(0, +)
    let reasons =
      DefectKind.allCases.map { ($0.title, dropped[$0] ?? 0) }
      + [("outside of the subset", outsideSubset), ("without any of the labels", untaggedRows)]
    self.dropped = reasons.filter { $0.1 > 0 }.map { (reason: $0.0, rows: $0.1) }
    (self.dataset, self.sources, self.defects) = (dataset, sources, defects)
    (self.outsideSubset, self.rows, self.clips) = (outsideSubset, rows, clips)
    var kept = [0, 0, 0]
    for record in chosen.records { kept[record.split.index] += 1 }
    self.kept = kept
    (tags, droppedTags, absentTags) = (chosen.counts, chosen.droppedTags, chosen.absentTags)
    (untagged, keepsUntagged, order) = (chosen.untagged, chosen.keepsUntagged, chosen.order)
    labels = chosen.records.reduce(0) { $0 + $1.tags.count }
  }

  /// The whole report.
  package var lines: [String] { summary + tagTable }

  /// The report without the clips of each tag.
  package var summary: [String] {
    sourceLines + [""] + section("left out or worth a word", leftOutLines) + [accountLine]
      + splitLines + ["", tagLine]
  }

  /// "9 rows of clips: 7 kept, 2 malformed".
  private var accountLine: String {
    let parts =
      ["\(grouped(kept.reduce(0, +))) kept"] + dropped.map { "\(grouped($0.rows)) \($0.reason)" }
    return "\(counted(clipRows, "row")) of clips: " + parts.joined(separator: ", ")
  }

  private func section(_ title: String, _ lines: [String]) -> [String] {
    lines.isEmpty ? [] : [title] + lines.map { "  " + $0 } + [""]
  }

  private var sourceLines: [String] {
    let rows = sources.reduce(0) { $0 + $1.rows }
    return ["\(dataset): \(grouped(rows)) rows of \(counted(sources.count, "file"))"]
      + table(sources.map { ["  " + $0.name, grouped($0.rows)] })
  }

  var leftOutLines: [String] {
    var lines = defects.lines(of: defects.kinds)
    if outsideSubset > 0 { lines.append("\(grouped(outsideSubset)) rows outside of the subset") }
    let untagged = untagged.reduce(0, +)
    if untagged > 0 {
      lines.append(
        keepsUntagged
          ? "\(counted(untagged, "clip")) without any of the labels, kept"
          : "\(counted(untagged, "clip")) without any of the labels, dropped; --keep-untagged keeps "
            + "them")
    }
    if !droppedTags.isEmpty {
      let names = droppedTags.prefix(6).map { "\($0.tag) (\(grouped($0.clips[0])))" }
      lines.append(
        "\(counted(droppedTags.count, "tag")) dropped as too rare, with their numbers of training "
          + "clips: " + names.joined(separator: ", ") + (droppedTags.count > 6 ? ", …" : ""))
    }
    if absentTags > 0 { lines.append("\(counted(absentTags, "tag")) dropped that no clip has") }
    return lines
  }

  private var splitLines: [String] {
    let rows = Split.allCases.map { split in
      [split.rawValue] + [self.rows, clips, kept].map { grouped($0[split.index]) }
    }
    let total = ["all"] + [self.rows, clips, kept].map { grouped($0.reduce(0, +)) }
    return table([["split", "rows", "distinct clips", "kept"]] + rows + [total])
  }

  private var tagLine: String {
    let clips = kept.reduce(0, +)
    let mean = clips == 0 ? 0 : (Double(labels) / Double(clips) * 100).rounded() / 100
    return "\(counted(tags.count, "tag")), \(order); \(mean) a clip on average"
  }

  private var tagTable: [String] {
    table(
      [["tag"] + Split.allCases.map(\.rawValue)] + tags.map { [$0.tag] + $0.clips.map(grouped) })
  }
}

private func counted(_ number: Int, _ noun: String) -> String {
  "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// Columns in line: the first to the left, numbers to the right.
private func table(_ rows: [[String]]) -> [String] {
  guard let columns = rows.first?.count else { return [] }
  let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    row.indices.map { column in
      let padding = String(repeating: " ", count: widths[column] - row[column].count)
      return column == 0 ? row[column] + padding : padding + row[column]
    }.joined(separator: "  ")
  }
}
