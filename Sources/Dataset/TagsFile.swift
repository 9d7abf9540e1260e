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
  package init(_ url: URL) throws {
    let bytes: [UInt8]
    do {
      bytes = Array(try Data(contentsOf: url))
    } catch {
      throw DatasetError(
        .inputOutput, attempt: TagsFile.attempt, path: url.path,
        detail: "the file cannot be read; does it exist, and may you read it?")
    }
    try self.init(bytes, source: url)
  }

  /// - Parameter source: what errors name as the file
  package init(_ bytes: [UInt8], source: URL) throws {
    var reader = CommaSeparatedReader(bytes)
    do {
      guard let header = try reader.next() else {
        throw TagsFile.error(.missingColumn, source, 1, "the file is empty; \(TagsFile.expected)")
      }
      let columns = try Columns(header, source: source)
      var records: [ClipRecord] = []
      while let row = try reader.next() {
        records.append(try columns.record(row, source: source))
      }
      manifest = try Manifest(records: records, source: source)
      ignoredColumns = columns.ignored
    } catch let problem as CommaSeparatedReader.Problem {
      throw TagsFile.error(.malformed, source, problem.line, problem.detail)
    }
  }

  fileprivate static let attempt = "read the tags file"
  fileprivate static let expected = "the first line must be clip_id,path,split,work,tags"

  fileprivate static func error(
    _ code: DatasetError.Code, _ source: URL, _ line: Int, _ detail: String
  ) -> DatasetError {
    DatasetError(code, attempt: attempt, path: source.path, line: line, detail: detail)
  }
}

/// Where the header line puts each column.
private struct Columns {
  let names: [String]
  let id, path, split, tags: Int
  let work: Int?
  let ignored: [String]

  init(_ header: CommaSeparatedReader.Row, source: URL) throws {
    let names = header.fields.map { trimmed($0).lowercased() }
    func column(_ name: String) throws -> Int? {
      let places = names.indices.filter { names[$0] == name }
      if places.count > 1 {
        throw TagsFile.error(.malformed, source, header.line, "column \(name) stands there twice")
      }
      return places.first
    }
    func required(_ name: String) throws -> Int {
      guard let place = try column(name) else {
        throw TagsFile.error(
          .missingColumn, source, header.line, "column \(name) is missing; \(TagsFile.expected)")
      }
      return place
    }
    self.names = names
    id = try required("clip_id")
    path = try required("path")
    split = try required("split")
    tags = try required("tags")
    work = try column("work")
    let known = ["clip_id", "path", "split", "work", "tags"]
    ignored = names.filter { !known.contains($0) }
  }

  func record(_ row: CommaSeparatedReader.Row, source: URL) throws -> ClipRecord {
    guard row.fields.count == names.count else {
      throw TagsFile.error(
        .malformed, source, row.line,
        "the row has \(row.fields.count) fields and the header \(names.count); "
          + "a field with a comma in it needs quotes")
    }
    let fields = row.fields.map { trimmed($0) }
    guard let splitOfRow = Split(rawValue: fields[split]) else {
      throw TagsFile.error(
        .unknownSplit, source, row.line,
        "the split \(quoted(fields[split])) is none of train, validation, test")
    }
    let tagsOfRow =
      fields[tags].isEmpty
      ? [] : fields[tags].split(separator: "|", omittingEmptySubsequences: false)
    let workOfRow = work.map { fields[$0] } ?? ""
    return ClipRecord(
      id: fields[id], path: fields[path], split: splitOfRow,
      work: workOfRow.isEmpty ? nil : workOfRow,
      tags: tagsOfRow.map { trimmed($0) }, line: row.line)
  }
}

/// Without spaces and tabs at its ends.
private func trimmed(_ text: some StringProtocol) -> String {
  func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
  let bytes = Substring(text).utf8
  guard let start = bytes.firstIndex(where: { !isBlank($0) }),
    let last = bytes.lastIndex(where: { !isBlank($0) })
  else { return "" }
  return String(text[start...last])
}
