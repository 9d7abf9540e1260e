import Foundation

/// MagnaTagATune: 25,863 clips with 188 tags that players of a game gave.
///
/// `annotations`: `annotations_final.csv`, tab-separated and quoted, with clip_id, a column of zeros and
/// ones for each tag, and mp3_path. The split is that of most papers, by the path's folder: 0 to b
/// train, c validation, d to f test; papers use the 50 most frequent tags (`--top-tags 50`).
///
/// `musicnn`: the same split as lists of labels, with the 50 tags chosen; see `LabelLists`.
///
/// The sound files of three clips are empty or broken as published; these clips are left out.
struct MagnaTagATuneImporter: Importer {
  let name = "magnatagatune"
  let summary =
    "MagnaTagATune's annotations_final.csv; or index_mtt.tsv, *_gt_mtt.tsv and output_labels_mtt.txt"
  let subsets = ["annotations", "musicnn"]

  private static let annotations = "annotations_final.csv"
  /// norine_braun…gently-117-146, …pater_noster-204-233, …xiveme_ordre_couperin-88-117.
  private static let broken: Set = ["35644", "55753", "57881"]

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    let folder = try MetadataFolder(request.metadata)
    let lists = LabelLists(dataset: "mtt", work: Self.recording, broken: Self.broken)
    let choice = try folder.choice(
      of: [
        .init(
          name: "annotations", files: [Self.annotations],
          source: "the MagnaTagATune dataset's page"),
        .init(name: "musicnn", files: lists.files, source: LabelLists.source),
      ], asked: request.subset)
    if choice == "musicnn" { return try lists.read(folder, into: &intake) }
    try readAnnotations(folder.required(Self.annotations, ""), into: &intake)
  }

  private func readAnnotations(_ text: SourceText, into intake: inout ImportIntake) throws {
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, .quotedTabs)
      let expected = "the first line must be clip_id, the tags and mp3_path, with tabs between"
      let header = try ColumnNames(next: &reader, of: text, expected: expected)
      let id = try header.required("clip_id", expected: expected)
      let path = try header.required("mp3_path", expected: expected)
      let tagPlaces = header.names.indices.filter { $0 != id && $0 != path }
      let labels = try LabelColumns(tagPlaces.map { header.names[$0] }, path: text.path)
      intake.labels = labels.names
      try intake.forEachRow(of: text, &reader) { row, intake in
        try header.requireCount(row)
        let (id, path) = (try row.text(id), try row.text(path))
        var set: [Int] = []
        for (column, place) in tagPlaces.enumerated() {
          let label = row.raw(place)
          guard label.count == 1, label[0] == UInt8(ascii: "0") || label[0] == UInt8(ascii: "1")
          else {
            throw RowProblem(
              .badLabel,
              "\(quoted(try row.text(place))) stands under \(quoted(header.names[place])) and "
                + "should be 0 or 1")
          }
          if label[0] == UInt8(ascii: "1") { set.append(column) }
        }
        if Self.broken.contains(id) { throw RowProblem(.knownBroken, brokenSound(path)) }
        intake.add(
          ClipRecord(
            id: id, path: path, split: try Self.split(ofPath: path), work: Self.recording(path),
            tags: labels.tags(set), source: text.path, line: row.line))
      }
    }
  }

  /// `f/artist-album-01-title-30-59.mp3` is seconds 30 to 59 of a recording.
  private static func recording(_ path: String) -> String? {
    let parts = path.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard parts.count > 2, let slash = path.utf8.firstIndex(of: UInt8(ascii: "/")) else {
      return nil
    }
    let start = path.utf8.index(after: slash)
    let end = parts[parts.count - 3].endIndex
    return start < end ? String(path[start..<end]) : nil
  }

  private static func split(ofPath path: String) throws(RowProblem) -> Split {
    let bytes = Array(path.utf8.prefix(2))
    if bytes.count == 2, bytes[1] == UInt8(ascii: "/") {
      switch bytes[0] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "b"):
        return .train
      case UInt8(ascii: "c"): return .validation
      case UInt8(ascii: "d")...UInt8(ascii: "f"): return .test
      default: break
      }
    }
    throw RowProblem(
      .unknownSplit,
      "the path \(quoted(path)) does not start with one of the folders 0 to f, which tell the split"
    )
  }
}
