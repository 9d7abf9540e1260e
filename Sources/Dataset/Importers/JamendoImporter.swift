/// MTG-Jamendo: 55,000 tracks with tags of genre, instrument, mood and theme.
///
/// The folder is one of the published splits (`data/splits/split-0`), with
/// `autotagging_top50tags-train.tsv`, `-validation` and `-test` or those of another subset;
/// `autotagging-train.tsv` has all tags. Tab-separated with CRLF: TRACK_ID, ARTIST_ID, ALBUM_ID, PATH,
/// DURATION, and from TAGS on a field for each tag (`mood/theme---calm`), so rows differ in length. No
/// artist is in two splits.
struct JamendoImporter: Importer {
  let name = "mtg-jamendo"
  let summary = "one of MTG-Jamendo's splits: autotagging_top50tags-train.tsv and so on"
  let subsets = ["top50tags", "genre", "instrument", "moodtheme", "all"]

  private static let columns = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
  /// What the tags of a subset start with.
  private static let categories = [
    "genre": "genre---", "instrument": "instrument---", "moodtheme": "mood/theme---",
  ]

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    let folder = try MetadataFolder(request.metadata)
    let source = "github.com/MTG/mtg-jamendo-dataset, folder data/splits/split-0"
    let subset = try folder.choice(
      of: subsets.map { subset in
        .init(name: subset, files: Split.allCases.map { file(subset, $0) }, source: source)
      }, asked: request.subset)
    for split in Split.allCases {
      let name = file(subset, split)
      guard let url = try folder.file(name) else {
        intake.note(
          .missingPart, path: folder.url.path,
          "there is no \(name), so the \(split.rawValue) split is empty; get it from \(source)")
        continue
      }
      try read(SourceText(url), split, category: Self.categories[subset], into: &intake)
    }
  }

  private func file(_ subset: String, _ split: Split) -> String {
    subset == "all"
      ? "autotagging-\(split.rawValue).tsv" : "autotagging_\(subset)-\(split.rawValue).tsv"
  }

  private func read(
    _ text: SourceText, _ split: Split, category: String?, into intake: inout ImportIntake
  ) throws {
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, .tabs)
      let expected = "the first line must be \(Self.columns.joined(separator: ", ")), tabs between"
      let header = try ColumnNames(next: &reader, of: text, expected: expected)
      guard header.names == Self.columns else {
        throw text.refusal(.missingColumn, line: reader.line, "the columns are others; \(expected)")
      }
      try intake.forEachRow(of: text, &reader) { row, intake in
        let first = Self.columns.count - 1
        guard row.count > first else {
          throw RowProblem(
            .wrongFieldCount,
            "the row has \(row.count) fields and should have at least \(first + 1)")
        }
        var tags: [String] = []
        // A track without tags has one empty field for them.
        if row.count > first + 1 || !row.raw(first).isEmpty {
          for place in first..<row.count { tags.append(try tag(row.text(place), category)) }
        }
        intake.add(
          ClipRecord(
            id: try row.text(0), path: try row.text(3), split: split, work: try row.text(1),
            tags: tags, source: text.path, line: row.line))
      }
    }
  }

  private func tag(_ tag: String, _ category: String?) throws(RowProblem) -> String {
    if let category, !tag.hasPrefix(category) {
      throw RowProblem(
        .unknownTag,
        "the tag \(quoted(tag)) is none of this subset, whose tags start with "
          + category)
    }
    guard tag.utf8.contains(UInt8(ascii: "-")) else {
      throw RowProblem(
        .badLabel, "the tag \(quoted(tag)) has no category; tags are like genre---rock")
    }
    return tag
  }
}
