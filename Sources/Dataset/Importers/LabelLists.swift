/// Lists of labels as musicnn's authors publish them for MagnaTagATune and the Million Song Dataset:
/// `index_mtt.tsv` has a clip's id and path a line, and `train_gt_mtt.tsv`, `val_gt_mtt.tsv` and
/// `test_gt_mtt.tsv` an id and a literal list of zeros and ones. `output_labels_mtt.txt` names the tags.
struct LabelLists {
  /// "mtt" or "msd".
  let dataset: String
  /// The work that a path is an excerpt of, where the path tells.
  var work: (_ path: String) -> String? = { _ in nil }
  /// Clips whose sound is known to be broken.
  var broken: Set<String> = []

  private static let parts = ["train", "val", "test"]
  static let source = "github.com/jordipons/musicnn-training"
  private static let advice = "get it from \(source)"

  var files: [String] { Self.parts.map { "\($0)_gt_\(dataset).tsv" } }
  private var index: String { "index_\(dataset).tsv" }
  private var labels: String { "output_labels_\(dataset).txt" }

  /// - Parameter builtIn: the tags, where no file names them
  func read(
    _ folder: MetadataFolder, builtIn: LabelColumns? = nil, into intake: inout ImportIntake
  ) throws {
    let tags = try folder.file(labels).map { try LabelColumns(python: SourceText($0)) } ?? builtIn
    let columns = try tags ?? LabelColumns(python: folder.required(labels, Self.advice))
    intake.labels = columns.names
    let index = try folder.required(index, Self.advice)
    var paths = try paths(in: index, into: &intake)
    for (file, split) in zip(files, Split.allCases) {
      guard let url = try folder.file(file) else {
        intake.note(
          .missingPart, path: folder.url.path,
          "there is no \(file), so the \(split.rawValue) split is empty; \(Self.advice)")
        continue
      }
      let text = try SourceText(url)
      try intake.forEachRow(of: text, .tabs) { row, intake in
        try requireTwoFields(row)
        let id = try row.text(0)
        let (set, count) = try LiteralList.flags(row.raw(1))
        guard count == columns.names.count else {
          throw RowProblem(
            .wrongFieldCount,
            "\(count) labels stand there and \(labels) names "
              + "\(columns.names.count)")
        }
        guard let path = paths[id]?.path else {
          throw RowProblem(.unknownClip, "clip \(quoted(id)) is not in \(self.index)")
        }
        paths[id]?.isLabelled = true
        if broken.contains(id) { throw RowProblem(.knownBroken, brokenSound(path)) }
        intake.add(
          ClipRecord(
            id: id, path: path, split: split, work: work(path), tags: columns.tags(set),
            source: text.path, line: row.line))
      }
    }
    let unlabelled = paths.values.count { !$0.isLabelled }
    intake.note(
      .unlabelled, path: index.path, count: unlabelled,
      "\(grouped(unlabelled)) of its \(grouped(paths.count)) clips are in none of the lists "
        + "\(files.joined(separator: ", ")) that are there")
  }

  private func paths(
    in index: SourceText, into intake: inout ImportIntake
  ) throws -> [String: (path: String, isLabelled: Bool)] {
    var paths: [String: (path: String, isLabelled: Bool)] = [:]
    try intake.forEachRow(of: index, .tabs, describesClips: false) { row, _ in
      try requireTwoFields(row)
      let (id, path) = (try row.text(0), try row.text(1))
      guard let other = paths.updateValue((path, false), forKey: id) else { return }
      paths[id] = other
      throw RowProblem(
        other.path == path ? .repetition : .conflict,
        "clip \(quoted(id)) is already in the index, as \(quoted(other.path))")
    }
    return paths
  }

  private func requireTwoFields(_ row: SeparatedReader) throws(RowProblem) {
    guard row.count == 2 else {
      throw RowProblem(
        .wrongFieldCount, "the row has \(row.count) fields and should have 2 with a tab between")
    }
  }
}

func brokenSound(_ path: String) -> String {
  "the published sound file \(quoted(path)) is empty or broken, so the clip is left out"
}
