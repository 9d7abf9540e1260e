import Foundation

/// A finished store in the folder where a plan's is to be made, if it is the plan's.
///
/// A store does not say which program made it, nor what its sound files were like: it is the plan's if
/// features, tags, clips, their order, blocks and labels are. Clips that the store lacks must be in its
/// list of quarantined ones.
package struct PreparedStore {
  package let store: Store
  /// What became of each of the plan's clips.
  let outcomes: [ClipOutcome]
  /// When the store was finished: nanoseconds since 1970.
  private let finished: Int

  /// - Throws: `.finished` with what differs from the plan; what opening a store throws
  package init(_ directory: URL, is plan: StorePlan) throws {
    precondition(plan.identity.shard == nil, "a finished store is not a part of one")
    store = try Store(directory)
    let json = directory.appendingPathComponent(StoreDescription.fileName)
    finished = FileStamp(path: json.path)?.modified ?? 0
    do throws(Difference) {
      try Self.require(plan.identity, of: store.description)
    } catch {
      throw Self.refusal(directory, error.sentence)
    }
    outcomes = try Self.outcomes(plan, store, Self.quarantine(of: directory))
  }

  /// - Parameter stamps: of the plan's sound files
  /// - Throws: `.finished` if one of them is not what it was when the store was made
  package func require(_ stamps: [FileStamp?], of plan: StorePlan) throws {
    for (place, stamp) in stamps.enumerated() {
      let path = quoted(plan.records[place].path)
      if let stamp, stamp.modified > finished {
        throw Self.refusal(store.directory, "the sound file \(path) was changed after it was made")
      }
      if stamp == nil, outcomes[place].checksum != nil {
        throw Self.refusal(store.directory, "the sound file \(path) of a clip in it is gone")
      }
      if stamp != nil, outcomes[place].kind == "missing" {
        throw Self.refusal(store.directory, "the sound file \(path) was missing and is there now")
      }
    }
  }

  /// How many clips are quarantined, by the kind of their reason: most frequent first.
  package var quarantined: [(kind: String, clips: Int)] { outcomes.quarantined }

  /// - Throws: `.finished` if the features are not these
  func require(_ expected: [ClipOutcome]) throws {
    guard outcomes.map(\.checksum) == expected.map(\.checksum) else {
      throw Self.refusal(store.directory, "its clips have other features")
    }
  }

  // MARK: What may differ

  private struct Difference: Error { let sentence: String }

  private static func refusal(_ directory: URL, _ difference: String) -> DatasetError {
    DatasetError(
      .finished, attempt: "prepare a store", path: directory.path,
      detail: "a finished store is already there, and it is another one: \(difference); "
        + "remove it, or choose another folder")
  }

  private static func require(
    _ wanted: StorePlan.Identity, of found: StoreDescription
  ) throws(Difference) {
    let (here, there) = ("the store", "what is asked for")
    if let difference = found.settings.difference(from: wanted.settings, here: here, there: there) {
      throw Difference(sentence: difference)
    }
    guard (found.bands, found.frames) == (wanted.bands, wanted.frames) else {
      throw Difference(
        sentence: "its clips are \(found.bands) × \(found.frames), not \(wanted.bands) × "
          + "\(wanted.frames)")
    }
    guard found.tags.map(\.name) == wanted.tags else {
      throw Difference(sentence: "it has other tags, or the same in another order")
    }
    guard found.blocks.count == wanted.blocks.count else {
      throw Difference(
        sentence: "it has \(found.blocks.count) blocks, not \(wanted.blocks.count)")
    }
  }

  /// Id, path and reason of the clips that were left out, in the order of the plan.
  private static func quarantine(of directory: URL) throws -> [[String]] {
    let url = directory.appendingPathComponent(StoreWriter.quarantineName)
    // A copy of a store has no list.
    guard access(url.path, F_OK) == 0 else { return [] }
    let text = try SourceText(url)
    do {
      return try text.withBytes { bytes in
        var reader = SeparatedReader(bytes, .commas)
        var rows: [[String]] = []
        while try reader.next() {
          let row = try (0..<reader.count).map { try reader.text($0) }
          guard row.count == 3 else {
            throw RowProblem(.wrongFieldCount, "a row must have 3 fields")
          }
          rows.append(row)
        }
        return Array(rows.dropFirst())
      }
    } catch let problem as RowProblem {
      throw text.refusal(.malformed, line: problem.line, problem.detail)
    }
  }

  /// Goes through plan, store and list of quarantined clips side by side.
  private static func outcomes(
    _ plan: StorePlan, _ store: Store, _ quarantine: [[String]]
  ) throws -> [ClipOutcome] {
    let places = tagPlaces(plan.identity.tags)
    var outcomes: [ClipOutcome] = []
    var clip = 0
    var left = quarantine[...]
    for (index, record) in plan.records.enumerated() {
      if let row = left.first, row[0] == record.id, row[1] == record.path {
        outcomes.append(.quarantined(reason: row[2]))
        left.removeFirst()
      } else {
        guard clip < store.clipCount,
          store.clips(ofBlock: index / plan.identity.clipsPerBlock).contains(clip),
          store.range(of: record.split).contains(clip),
          case let entry = try store.table.entry(clip), entry.id == record.id,
          entry.path == record.path, entry.labels == record.labels(places)
        else { throw refusal(store.directory, "it does not have clip \(quoted(record.id)) so") }
        outcomes.append(.stored(checksum: entry.featureChecksum))
        clip += 1
      }
    }
    guard clip == store.clipCount, left.isEmpty else {
      throw refusal(store.directory, "it has more clips")
    }
    return outcomes
  }
}

extension ClipTable.Entry {
  /// Numbers of the tags, ascending.
  fileprivate var labels: [Int] {
    labelWords.indices.flatMap { word in
      (0..<64).filter { labelWords[word] >> UInt64($0) & 1 == 1 }.map { 64 * word + $0 }
    }
  }
}

extension [ClipOutcome] {
  /// How many clips are quarantined, by the kind of their reason: most frequent first.
  var quarantined: [(kind: String, clips: Int)] {
    let counts = Dictionary(grouping: compactMap(\.kind)) { $0 }
    return counts.map { (kind: $0, clips: $1.count) }
      .sorted { $0.clips != $1.clips ? $0.clips > $1.clips : utf8Precedes($0.kind, $1.kind) }
  }
}
