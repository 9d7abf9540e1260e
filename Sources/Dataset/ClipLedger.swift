/// Who is who among the clips so far: finds repeated clips, shared files, works and files that stand in
/// two splits, and records that are wrong taken alone.
struct ClipLedger {
  struct Finding {
    let kind: DefectKind
    let sentence: String
    /// The clip that was there before, if it is about two.
    var other: Int?
  }

  // Places in the list of records.
  private var clips: [String: Int] = [:]
  private var files: [String: Int] = [:]
  private var works: [String: Int] = [:]

  init() {}

  init(capacity: Int) {
    clips.reserveCapacity(capacity)
    files.reserveCapacity(capacity)
  }

  /// Takes in `record`, which is or will be `records[index]`, or says why not.
  mutating func admit(
    _ record: ClipRecord, at index: Int, among records: [ClipRecord]
  ) -> Finding? {
    if let problem = record.problem {
      return Finding(kind: problem.kind, sentence: problem.detail)
    }
    guard let file = normalized(record.path) else {
      return Finding(
        kind: .unsafePath,
        sentence: "the path \(quoted(record.path)) leads out of the data set's folder")
    }
    if let other = clips[record.id] {
      return sameClip(record, other, records[other])
    }
    if let other = files[file] {
      return sameFile(record, other, records[other])
    }
    if let work = record.work {
      if let other = works[work], records[other].split != record.split {
        return Finding(
          kind: .leakage,
          sentence: "work \(quoted(work)) is in the \(record.split.rawValue) split here and in the "
            + "\(records[other].split.rawValue) split \(records[other].place(seenFrom: record)), "
            + "which would leak what is tested into training; put all clips of a work into one "
            + "split",
          other: other)
      }
      works[work] = works[work] ?? index
    }
    clips[record.id] = index
    files[file] = index
    return nil
  }

  private func sameClip(_ record: ClipRecord, _ index: Int, _ other: ClipRecord) -> Finding {
    let place = other.place(seenFrom: record)
    if other.split != record.split {
      return Finding(
        kind: .leakage,
        sentence: "clip \(quoted(record.id)) is already \(place), in the \(other.split.rawValue) "
          + "split; name every clip once", other: index)
    }
    if other.path == record.path && other.tags == record.tags && other.work == record.work {
      return Finding(
        kind: .repetition,
        sentence: "clip \(quoted(record.id)) is already \(place), and described alike; name every "
          + "clip once", other: index)
    }
    return Finding(
      kind: .conflict,
      sentence: "clip \(quoted(record.id)) is already \(place), and described differently; give "
        + "every clip its own id", other: index)
  }

  private func sameFile(_ record: ClipRecord, _ index: Int, _ other: ClipRecord) -> Finding {
    let sentence =
      "the file \(quoted(record.path)) is already \(other.place(seenFrom: record)), "
      + "as clip \(quoted(other.id)) of the \(other.split.rawValue) split"
    if other.split != record.split {
      return Finding(
        kind: .leakage, sentence: sentence + "; name every file once", other: index)
    }
    return other.tags == record.tags
      ? Finding(kind: .sharedFile, sentence: sentence + " and with the same tags", other: index)
      : Finding(
        kind: .conflict, sentence: sentence + " and with other tags; name every file once",
        other: index)
  }
}

extension ClipRecord {
  /// "on line 7", with the file where that is another one.
  fileprivate func place(seenFrom other: ClipRecord) -> String {
    source == other.source ? "on line \(line)" : "in \(source), line \(line)"
  }

  /// What is wrong with this record taken alone.
  fileprivate var problem: (kind: DefectKind, detail: String)? {
    if id.isEmpty { return (.emptyValue, "the clip's id is empty") }
    if path.isEmpty { return (.emptyValue, "the path of clip \(quoted(id)) is empty") }
    if tags.contains("") { return (.emptyValue, "clip \(quoted(id)) has an empty tag") }
    for text in [id, path, work ?? ""] + tags where hasControlCharacters(text) {
      return (.malformed, "\(quoted(text)) holds a control character; remove it")
    }
    if path.utf8.first == UInt8(ascii: "/") {
      return (
        .unsafePath,
        "the path \(quoted(path)) is absolute; give it relative to the data set's folder"
      )
    }
    return nil
  }
}

/// The path without `.`, `..` and repeated slashes, or nil if it leaves the folder that it starts from.
private func normalized(_ path: String) -> String? {
  let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  let isOdd = parts.contains { $0.isEmpty || $0.first == UInt8(ascii: ".") && $0.count <= 2 }
  guard isOdd else { return path }
  var kept: [Substring] = []
  for part in parts.map(Substring.init) where !part.isEmpty && part != "." {
    if part != ".." {
      kept.append(part)
    } else if kept.popLast() == nil {
      return nil
    }
  }
  return kept.joined(separator: "/")
}

/// Control characters of ASCII and of Latin-1 (C2 80 to C2 9F in UTF-8).
private func hasControlCharacters(_ text: String) -> Bool {
  var previous: UInt8 = 0
  for byte in text.utf8 {
    if byte < 0x20 || byte == 0x7F || previous == 0xC2 && byte < 0xA0 { return true }
    previous = byte
  }
  return false
}
