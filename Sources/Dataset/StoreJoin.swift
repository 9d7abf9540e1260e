import Foundation

/// Makes one store of the parts that were prepared on several machines: byte for byte the store that
/// one machine would have made.
///
/// The parts' blocks are checked and linked, or copied from another file system; the parts stay as
/// they are. What the parts' journals say of their clips is all that is needed besides.
package struct StoreJoin {
  package let plan: StorePlan
  private let parts: [StorePart]

  /// Reads the parts' journals.
  ///
  /// - Throws: `.missing`, `.duplicate`, `.otherStore`, `.unfinished`, `.notAStore` or `.damaged`,
  ///   naming the part that is missing, given twice, foreign, not finished, no part, or damaged
  package init(_ directories: [URL]) throws {
    precondition(!directories.isEmpty, "no parts to join")
    parts = try Self.ordered(try directories.map(StorePart.init))
    let blocks = parts.flatMap { part in part.identity.blocks.compactMap { part.blocks[$0] } }
    let identity = parts[0].identity.ofWhole
    let records = blocks.flatMap { $0.clips.map { $0.record(identity.tags) } }
    guard let plan = StorePlan(identity, records: records) else {
      throw DatasetError(
        .damaged, attempt: StorePart.attempt, path: parts[0].directory.path,
        detail: "the clips of the parts are not those of the list that they were prepared from; "
          + "a journal was edited, prepare the parts again")
    }
    self.plan = plan
  }

  /// - Parameters:
  ///   - restarts: removes what another unfinished preparation has left in the folder
  ///   - progress: called from several threads, with clips done and clips in all
  /// - Returns: the store, and how many of its clips are quarantined by the kind of the reason; nil
  ///   if `stop` said so before. If it is there already, there is nothing to do
  package func run(
    into directory: URL, threads: Int, restarts: Bool = false,
    stop: @Sendable () -> Bool = { false },
    progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> (store: Store, quarantined: [(kind: String, clips: Int)])? {
    if let part = parts.first(where: { isSame($0.directory, directory) }) {
      throw DatasetError(
        .occupied, attempt: StorePart.attempt, path: directory.path,
        detail: "\(part.shard) is there; give the store a folder of its own")
    }
    let writer: StoreWriter
    do {
      writer = try StoreWriter(directory: directory, plan: plan, restarts: restarts)
    } catch let error as DatasetError where error.code == .finished && !restarts {
      let prepared = try PreparedStore(directory, is: plan)
      try prepared.require(outcomes)
      return (prepared.store, prepared.quarantined)
    }
    let blocks = parts.flatMap { part in part.identity.blocks.map { (part, $0) } }
    let isComplete = try shareWork(blocks.count, threads: threads, stop: stop) {
      { piece in
        let (part, number) = blocks[piece]
        if try !writer.takeOver(number), let block = part.blocks[number] {
          let name = StoreDescription.blockName(number)
          try writer.adopt(block, from: part.directory.appendingPathComponent(name))
        }
        progress(writer.safeClips, plan.records.count)
      }
    }
    return isComplete ? (try writer.finish(), writer.quarantined) : nil
  }

  /// What became of the plan's clips, by the parts' journals.
  private var outcomes: [ClipOutcome] {
    parts.flatMap { part in
      part.identity.blocks.flatMap { part.blocks[$0]?.clips.map(\.outcome) ?? [] }
    }
  }

  /// The parts by number, each there once.
  private static func ordered(_ parts: [StorePart]) throws -> [StorePart] {
    func refuse(_ code: DatasetError.Code, _ part: StorePart, _ detail: String) -> DatasetError {
      DatasetError(
        code, attempt: StorePart.attempt, path: part.directory.path, detail: detail)
    }
    let first = parts[0]
    var places: [Int: StorePart] = [:]
    for part in parts {
      let difference = part.identity.ofWhole.difference(
        from: first.identity.ofWhole, here: "this part", there: first.directory.path)
      if let difference {
        throw refuse(.otherStore, part, "\(difference); prepare all parts alike")
      }
      guard part.shard.count == first.shard.count else {
        throw refuse(
          .otherStore, part,
          "this is \(part.shard), and \(first.directory.path) is \(first.shard); "
            + "prepare all parts alike")
      }
      if let other = places.updateValue(part, forKey: part.shard.number) {
        throw refuse(
          .duplicate, part,
          "this is \(part.shard), and so is \(other.directory.path); leave one of them out")
      }
    }
    let missing = (1...first.shard.count).filter { places[$0] == nil }
    guard missing.isEmpty else {
      let names = missing.prefix(8).map(String.init).joined(separator: ", ")
      throw refuse(
        .missing, first,
        "of the \(first.shard.count) parts that make a store, these are missing: \(names)"
          + (missing.count > 8 ? " and \(missing.count - 8) more" : ""))
    }
    return (1...first.shard.count).compactMap { places[$0] }
  }
}

/// Whether two paths lead to the same folder.
private func isSame(_ a: URL, _ b: URL) -> Bool {
  var (first, second) = (stat(), stat())
  return stat(a.path, &first) == 0 && stat(b.path, &second) == 0
    && (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
}

extension PreparationJournal.Clip {
  /// The record as it was in the list; the journal's reader has checked that all of it makes sense.
  fileprivate func record(_ tags: [String]) -> ClipRecord {
    ClipRecord(
      id: id, path: path, split: Split(rawValue: split) ?? .train, tags: labels.map { tags[$0] },
      line: 0)
  }
}
