import Foundation

/// Reads Tutti's own description of a data set, a `tags.csv` beside the sounds:
///
///     clip_id,path,split,work,tags
///     0001,audio/0001.flac,train,Op. 27 No. 2,piano|slow
///
/// `split` is train, validation or test; `work` may be left out or empty; tags are joined by `|`.
/// Columns may stand in any order; columns of other names are ignored and listed.
package struct TagsFile {
  package let manifest: Manifest
  /// Names of columns that were not understood, for the reader to be told about.
  package let ignoredColumns: [String]

  /// - Throws: `DatasetError` with the line of whatever is wrong
  package init(_ url: URL) throws { try self.init(SourceText(url)) }

  /// - Parameter source: what errors name as the file
  package init(_ bytes: [UInt8], source: URL) throws {
    try self.init(SourceText(bytes, path: source.path))
  }

  private init(_ text: SourceText) throws {
    let source = URL(fileURLWithPath: text.path)
    var intake = ImportIntake(audio: source)
    ignoredColumns = try Self.read(text, into: &intake)
    if let defect = intake.defects.first(where: { $0 != .ignoredColumn }) {
      throw DatasetError(
        defect.kind.code, attempt: "read the tags file", path: text.path, line: defect.line,
        detail: defect.sentence)
    }
    guard !intake.records.isEmpty else { throw text.refusal(.noClips, "it describes no clips") }
    manifest = Manifest(checked: intake.records)
  }

  /// - Returns: the columns that were not understood
  static func read(_ text: SourceText, into intake: inout ImportIntake) throws -> [String] {
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, .commas)
      let columns = try Columns(&reader, of: text)
      if !columns.ignored.isEmpty {
        intake.note(
          .ignoredColumn, path: text.path, line: reader.line, count: columns.ignored.count,
          "columns that mean nothing here: "
            + columns.ignored.prefix(8).map { quoted($0) }.joined(separator: ", "))
      }
      try intake.forEachRow(of: text, &reader) { row, intake in
        intake.add(try columns.record(row, source: text.path))
      }
      return columns.ignored
    }
  }
}

/// Where the header line puts each column.
private struct Columns {
  let header: ColumnNames
  let id, path, split, tags: Int
  let work: Int?
  let ignored: [String]

  private static let expected = "the first line must be clip_id,path,split,work,tags"

  init(_ reader: inout SeparatedReader, of text: SourceText) throws {
    let names = try ColumnNames(next: &reader, of: text, expected: Self.expected)
    header = ColumnNames(names.names.map { $0.lowercased() }, of: text, line: reader.line)
    id = try header.required("clip_id", expected: Self.expected)
    path = try header.required("path", expected: Self.expected)
    split = try header.required("split", expected: Self.expected)
    tags = try header.required("tags", expected: Self.expected)
    work = try header.place("work")
    let known = ["clip_id", "path", "split", "work", "tags"]
    ignored = header.names.filter { !known.contains($0) }
  }

  func record(_ row: SeparatedReader, source: String) throws(RowProblem) -> ClipRecord {
    try header.requireCount(row)
    let splitText = try row.text(split)
    guard let splitOfRow = Split(rawValue: splitText) else {
      throw RowProblem(
        .unknownSplit, "the split \(quoted(splitText)) is none of train, validation, test")
    }
    let tagsText = try row.text(tags)
    let bar = UInt8(ascii: "|")
    let parts =
      tagsText.isEmpty ? [] : tagsText.utf8.split(separator: bar, omittingEmptySubsequences: false)
    var workOfRow: String?
    if let work { workOfRow = try row.text(work) }
    return ClipRecord(
      id: try row.text(id), path: try row.text(path), split: splitOfRow,
      work: workOfRow == "" ? nil : workOfRow,
      tags: parts.map { withoutBlanks(Substring($0)) }, source: source, line: row.line)
  }
}

/// Without spaces and tabs at its ends, byte by byte: some signs (U+0600) make one character of
/// themselves and the blank that follows.
private func withoutBlanks(_ text: Substring) -> String {
  func isBlank(_ byte: UInt8) -> Bool { byte == .space || byte == .tab }
  let bytes = text.utf8
  guard let start = bytes.firstIndex(where: { !isBlank($0) }),
    let last = bytes.lastIndex(where: { !isBlank($0) })
  else { return "" }
  return String(text[start..<bytes.index(after: last)])
}
