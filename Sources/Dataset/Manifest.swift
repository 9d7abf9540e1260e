import Foundation

/// The three parts of a data set, in the order in which a store holds them.
package enum Split: String, Sendable, CaseIterable {
  case train, validation, test
}

/// One clip as its data set describes it, before its features exist.
package struct ClipRecord: Sendable, Equatable {
  package let id: String
  /// Where the sound lies, relative to the data set's folder.
  package let path: String
  package let split: Split
  /// What the clip is an excerpt of (a composition, an artist): one work never spans two splits.
  package let work: String?
  /// Sorted, without repetition; may be empty.
  package let tags: [String]
  /// Where the clip stands in the file that describes it, counted from 1.
  package let line: Int

  /// Tags are brought to Unicode's composed form, so that "é" is one tag however it was typed.
  package init(
    id: String, path: String, split: Split, work: String? = nil, tags: [String], line: Int
  ) {
    self.id = id
    self.path = path
    self.split = split
    self.work = work
    self.tags = Set(tags.map(composed)).sorted(by: utf8Precedes)
    self.line = line
  }
}

/// The clips of a data set, checked for what no importer may let pass: repeated clips, paths that
/// leave the data set's folder, and works or files that stand in two splits (leakage).
///
/// An importer reads one kind of description and returns a manifest; `TagsFile` is the first.
package struct Manifest: Sendable {
  package let records: [ClipRecord]

  /// - Parameter source: the file that the records' lines refer to
  /// - Throws: `DatasetError` naming the source and the line of the first offending record
  package init(records: [ClipRecord], source: URL) throws {
    func refuse(_ code: DatasetError.Code, line: Int?, _ detail: String) -> DatasetError {
      DatasetError(
        code, attempt: "use the data set's description", path: source.path, line: line,
        detail: detail)
    }
    guard !records.isEmpty else { throw refuse(.noClips, line: nil, "it describes no clips") }
    var ids: [String: Int] = [:]
    var paths: [String: ClipRecord] = [:]
    var works: [String: ClipRecord] = [:]
    for record in records {
      if let detail = record.problem {
        throw refuse(detail.code, line: record.line, detail.sentence)
      }
      if let line = ids.updateValue(record.line, forKey: record.id) {
        throw refuse(
          .duplicate, line: record.line,
          "clip \(quoted(record.id)) is already on line \(line); give every clip its own id")
      }
      if let other = paths.updateValue(record, forKey: record.path) {
        throw refuse(
          other.split == record.split ? .duplicate : .leakage, line: record.line,
          "the file \(quoted(record.path)) is already on line \(other.line), in the "
            + "\(other.split.rawValue) split; name every file once")
      }
      guard let work = record.work else { continue }
      if let other = works[work], other.split != record.split {
        throw refuse(
          .leakage, line: record.line,
          "work \(quoted(work)) is in the \(record.split.rawValue) split here and in the "
            + "\(other.split.rawValue) split on line \(other.line), which would leak what is "
            + "tested into training; put all clips of a work into one split")
      }
      works[work] = record
    }
    self.records = records
  }

  /// The tags that occur, sorted by name (by their UTF-8 bytes).
  package var tags: [String] {
    Set(records.flatMap(\.tags)).sorted(by: utf8Precedes)
  }
}

extension ClipRecord {
  /// What is wrong with this record taken alone.
  fileprivate var problem: (code: DatasetError.Code, sentence: String)? {
    if id.isEmpty { return (.malformed, "the clip's id is empty") }
    if path.isEmpty { return (.malformed, "the path of clip \(quoted(id)) is empty") }
    if tags.contains("") { return (.malformed, "clip \(quoted(id)) has an empty tag") }
    if let text = ([id, path] + tags).first(where: hasControlCharacters) {
      return (.malformed, "\(quoted(text)) holds a control character; remove it")
    }
    if path.hasPrefix("/") {
      return (
        .unsafePath,
        "the path \(quoted(path)) is absolute; give it relative to the data set's folder"
      )
    }
    var depth = 0
    for part in path.split(separator: "/") where part != "." {
      depth += part == ".." ? -1 : 1
      if depth < 0 {
        return (.unsafePath, "the path \(quoted(path)) leads out of the data set's folder")
      }
    }
    return nil
  }
}

/// Order of UTF-8 bytes: the same on every system and under every version of Unicode.
func utf8Precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

private func composed(_ text: String) -> String {
  text.utf8.allSatisfy { $0 < 0x80 } ? text : text.precomposedStringWithCanonicalMapping
}

private func hasControlCharacters(_ text: String) -> Bool {
  text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
}
