import Foundation

/// Where an importer puts what it finds: clips, labels, defects and counts.
package struct ImportIntake {
  package private(set) var records: [ClipRecord] = []
  package private(set) var defects = Defects()
  /// The data set's own order of tags, if it has one.
  package var labels: [String]?
  /// Where the paths start.
  package var audio: URL
  /// What takes the place of the paths' extension, unless the data set's own will do.
  package var audioSuffix: String?
  /// One file may be there under two names, each with some of its tags: it becomes one clip with all.
  package var mergesSharedFiles = false
  /// Clips passed over because nobody asked for their part of the data set.
  package var outsideSubset = 0

  private var ledger = ClipLedger()
  private var sources: [ImportReport.Source] = []
  /// Rows that describe a clip each, and those of them that became none.
  private var clipRows = 0
  private var dropped: [DefectKind: Int] = [:]
  private var rows: [Split: Int] = [:]
  private var clips: [Split: Int] = [:]
  private var unlabelled: Set<Split> = []

  package init(audio: URL, audioSuffix: String? = nil) {
    (self.audio, self.audioSuffix) = (audio, audioSuffix)
  }

  // MARK: Clips

  /// Takes in a clip, unless something is wrong with it.
  mutating func add(_ record: ClipRecord) {
    let record = audioSuffix.map(record.withSuffix) ?? record
    rows[record.split, default: 0] += 1
    guard let finding = ledger.admit(record, at: records.count, among: records) else {
      clips[record.split, default: 0] += 1
      return records.append(record)
    }
    let isAnotherName = finding.other.map {
      records[$0].id != record.id && records[$0].split == record.split
    }
    if mergesSharedFiles, let other = finding.other, isAnotherName == true,
      finding.kind == .sharedFile || finding.kind == .conflict
    {
      records[other] = records[other].with(tags: records[other].tags + record.tags)
      drop(
        .mergedFile, path: record.source, line: record.line,
        "\(quoted(record.id)) is the file \(quoted(record.path)) of "
          + "\(quoted(records[other].id)), line \(records[other].line); they are one clip now, "
          + "with the tags of both")
      return
    }
    drop(finding.kind, path: record.source, line: record.line, finding.sentence)
  }

  /// Leaves out a row that describes a clip.
  mutating func drop(_ kind: DefectKind, path: String, line: Int, _ sentence: String) {
    dropped[kind, default: 0] += 1
    defects.add(kind, path: path, line: line, sentence)
  }

  /// Leaves out the clips of a split, in the end: nothing says what their labels are. Until then they
  /// count as clips, so that a file of theirs in another split is still a leak.
  mutating func leaveOutUnlabelled(_ split: Split, from text: SourceText, _ sentence: String) {
    unlabelled.insert(split)
    dropped[.unlabelled, default: 0] += clips[split] ?? 0
    defects.add(.unlabelled, path: text.path, count: clips[split] ?? 0, sentence)
  }

  /// Notes what is wrong or worth a word.
  mutating func note(
    _ kind: DefectKind, path: String, line: Int? = nil, count: Int = 1, _ sentence: String
  ) {
    defects.add(kind, path: path, line: line, count: count, sentence)
  }

  // MARK: Rows

  /// Counts a list of clips among the files that were read.
  mutating func count(_ rows: Int, of text: SourceText) {
    sources.append(ImportReport.Source(name: text.name, rows: rows))
    clipRows += rows
  }

  /// Counts the files of a folder that was read instead of a list.
  mutating func countFiles(_ files: Int, of folder: URL) {
    sources.append(ImportReport.Source(name: folder.lastPathComponent + "/", rows: files))
    clipRows += files
  }

  /// Calls `body` for every row of `text`; a `RowProblem` becomes a defect, and the next row follows.
  ///
  /// - Parameters:
  ///   - describesClips: whether a row is a clip; not in an index or a table of tags
  ///   - body: adds the row's clip, counts it as outside of the subset, or throws
  mutating func forEachRow(
    of text: SourceText, _ format: SeparatedReader.Format, describesClips: Bool = true,
    _ body: (SeparatedReader, inout ImportIntake) throws -> Void
  ) throws {
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, format)
      try forEachRow(of: text, &reader, describesClips: describesClips, body)
    }
  }

  /// As above, from where the reader stands.
  mutating func forEachRow(
    of text: SourceText, _ reader: inout SeparatedReader, describesClips: Bool = true,
    _ body: (SeparatedReader, inout ImportIntake) throws -> Void
  ) throws {
    var rows = 0
    var isAtEnd = false
    while !isAtEnd {
      rows += 1
      do {
        if try reader.next() {
          try body(reader, &self)
        } else {
          isAtEnd = true
          rows -= 1
        }
      } catch let problem as RowProblem {
        let line = problem.line ?? reader.line
        if describesClips {
          drop(problem.kind, path: text.path, line: line, problem.detail)
        } else {
          note(problem.kind, path: text.path, line: line, problem.detail)
        }
      }
    }
    if describesClips {
      count(rows, of: text)
    } else {
      sources.append(ImportReport.Source(name: text.name, rows: rows))
    }
  }

  // MARK: The end

  /// The manifest, its tags and what there is to tell.
  func imported(as dataset: String, selection: TagSelection, path: String) throws -> Imported {
    let labelled =
      unlabelled.isEmpty ? records : records.filter { !unlabelled.contains($0.split) }
    let chosen = try selection.applied(
      to: labelled, labels: labels?.map(composed), dataset: dataset, path: path)
    let report = ImportReport(
      dataset: dataset, sources: sources, defects: defects, clipRows: clipRows, dropped: dropped,
      outsideSubset: outsideSubset, rows: Split.allCases.map { rows[$0] ?? 0 },
      clips: Split.allCases.map { clips[$0] ?? 0 },
      chosen: chosen)
    guard !chosen.records.isEmpty else {
      throw DatasetError(
        .noClips, attempt: "import the data set \(dataset)", path: path,
        detail: "no clip is left:\n" + report.leftOutLines.joined(separator: "\n"))
    }
    return Imported(
      manifest: Manifest(checked: chosen.records), tags: chosen.tags, audio: audio, report: report)
  }
}

extension ClipRecord {
  func with(path: String? = nil, tags: [String]? = nil) -> ClipRecord {
    ClipRecord(
      id: id, path: path ?? self.path, split: split, work: work, tags: tags ?? self.tags,
      source: source, line: line)
  }

  /// With another extension; what follows the last dot of the file's name is the old one.
  fileprivate func withSuffix(_ suffix: String) -> ClipRecord {
    let bytes = path.utf8
    let name = bytes.lastIndex(of: UInt8(ascii: "/")).map(bytes.index(after:)) ?? bytes.startIndex
    let dot = bytes[name...].lastIndex(of: UInt8(ascii: ".")) ?? bytes.endIndex
    return with(path: String(path[..<dot]) + suffix)
  }
}
