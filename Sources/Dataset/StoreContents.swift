import Foundation

/// All of a store but its blocks, from the plan and what became of its clips.
struct StoreContents {
  let plan: StorePlan
  /// One for each clip of `plan.indices`.
  let outcomes: [ClipOutcome]

  private var clips: [(record: ClipRecord, outcome: ClipOutcome)] {
    Array(zip(plan.records[plan.indices], outcomes))
  }

  /// The clip table and the description, which goes with it.
  ///
  /// - Parameter path: what errors name as the store
  /// - Throws: `.emptySplit` if no clip is left to train on or to validate with
  func tableAndDescription(path: String) throws -> (table: [UInt8], StoreDescription) {
    let identity = plan.identity
    let counts = try splitCounts(path)
    let entries = tableEntries()
    let description = StoreDescription(
      bands: identity.bands, frames: identity.frames, settings: identity.settings,
      tags: tagCounts(), clips: counts, blocks: blocks(),
      textBytes: entries.reduce(0) { $0 + $1.id.utf8.count + $1.path.utf8.count },
      contentDigest: ClipTable.contentDigest(of: entries))
    return (ClipTable.bytes(of: entries, fingerprint: description.fingerprint), description)
  }

  /// The list of clips that were left out, with the reasons.
  func quarantineList() -> String {
    var text = commaSeparatedRow(["clip_id", "path", "reason"])
    for (record, outcome) in clips {
      if let reason = outcome.reason {
        text += commaSeparatedRow([record.id, record.path, reason])
      }
    }
    return text
  }

  private func splitCounts(_ path: String) throws -> StoreDescription.SplitCounts {
    var counts = StoreDescription.SplitCounts()
    for (record, outcome) in clips where outcome.checksum != nil { counts[record.split] += 1 }
    for split in [Split.train, .validation] where counts[split] == 0 {
      let listed = plan.records.count { $0.split == split }
      throw DatasetError(
        .emptySplit, attempt: "finish the store", path: path,
        detail: listed == 0
          ? "the \(split.rawValue) split is empty; give it clips"
          : "the \(split.rawValue) split is empty because all its \(listed) clips were "
            + "quarantined; see quarantine.csv for the reasons")
    }
    return counts
  }

  private func tagCounts() -> [StoreDescription.Tag] {
    var counts: [String: StoreDescription.SplitCounts] = [:]
    for (record, outcome) in clips where outcome.checksum != nil {
      for tag in record.tags { counts[tag, default: .init()][record.split] += 1 }
    }
    return plan.identity.tags.map {
      StoreDescription.Tag(name: $0, counts: counts[$0] ?? .init())
    }
  }

  private func blocks() -> [StoreDescription.Block] {
    plan.blocks.map { block in
      let kept = outcomes[plan.indices(ofBlock: block)].compactMap(\.checksum)
      return .init(clips: kept.count, checksum: Store.blockChecksum(kept))
    }
  }

  private func tableEntries() -> [ClipTable.Entry] {
    let places = tagPlaces(plan.identity.tags)
    return clips.compactMap { record, outcome in
      guard let checksum = outcome.checksum else { return nil }
      var words = [UInt64](repeating: 0, count: (places.count + 63) / 64)
      for k in record.labels(places) { words[k / 64] |= 1 << UInt64(k % 64) }
      return ClipTable.Entry(
        id: record.id, path: record.path, featureChecksum: checksum, labelWords: words)
    }
  }
}
