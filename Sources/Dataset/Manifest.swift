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
  /// The file that describes the clip, or empty if there is but one and the reader knows it.
  package let source: String
  /// Where the clip stands in that file, counted from 1.
  package let line: Int

  /// Tags are brought to Unicode's composed form, so that "é" is one tag however it was typed.
  package init(
    id: String, path: String, split: Split, work: String? = nil, tags: [String],
    source: String = "", line: Int
  ) {
    self.id = id
    self.path = path
    self.split = split
    self.work = work
    self.tags = sortedTags(tags)
    self.source = source
    self.line = line
  }

  /// "tags.csv, line 7", for messages.
  package var place: String { "\(source), line \(line)" }
}

/// The clips of a data set, checked for what no importer may let pass: repeated clips, paths that
/// leave the data set's folder, and works or files that stand in two splits (leakage).
package struct Manifest: Sendable {
  package let records: [ClipRecord]

  /// - Parameter source: the file that errors name where a record does not
  /// - Throws: `DatasetError` naming the source and the line of the first offending record
  package init(records: [ClipRecord], source: URL) throws {
    func refuse(_ code: DatasetError.Code, path: String, line: Int?, _ detail: String)
      -> DatasetError
    {
      DatasetError(
        code, attempt: "use the data set's description", path: path, line: line, detail: detail)
    }
    guard !records.isEmpty else {
      throw refuse(.noClips, path: source.path, line: nil, "it describes no clips")
    }
    var ledger = ClipLedger(capacity: records.count)
    for (index, record) in records.enumerated() {
      guard let finding = ledger.admit(record, at: index, among: records) else { continue }
      throw refuse(
        finding.kind.code, path: record.source.isEmpty ? source.path : record.source,
        line: record.line, finding.sentence)
    }
    self.records = records
  }

  /// For records that went through a `ClipLedger` already.
  init(checked records: [ClipRecord]) { self.records = records }

  /// The tags that occur, sorted by name (by their UTF-8 bytes).
  package var tags: [String] {
    Set(records.lazy.flatMap(\.tags)).sorted(by: utf8Precedes)
  }
}

/// Order of UTF-8 bytes: the same on every system and under every version of Unicode.
func utf8Precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

/// Unicode's composed form.
func composed(_ text: String) -> String {
  text.utf8.allSatisfy { $0 < 0x80 } ? text : text.precomposedStringWithCanonicalMapping
}

/// Composed, sorted, each once. Importers mostly hand them over so, and then nothing is to be done.
private func sortedTags(_ tags: [String]) -> [String] {
  let tags = tags.map(composed)
  let isSorted = zip(tags, tags.dropFirst()).allSatisfy(utf8Precedes)
  return isSorted ? tags : Set(tags).sorted(by: utf8Precedes)
}
