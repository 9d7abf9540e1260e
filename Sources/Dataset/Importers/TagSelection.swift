/// Which tags become labels, and what happens to clips that are left without any.
///
/// Tags are counted in the training split, the only one a model may learn from. Without `top` they
/// keep the data set's order, or are sorted by name where it has none; with `top` the most frequent come
/// first, and of equally frequent ones the first by name. Tags that no clip has are dropped.
package struct TagSelection: Sendable {
  /// Keep only so many, the most frequent.
  package var top: Int?
  /// Keep only those of at least so many training clips.
  package var minimumCount = 0
  /// Keep clips that have none of the labels: all their labels are 0. They are dropped otherwise.
  package var keepsUntagged = false

  package init() {}

  /// What came of it.
  struct Outcome: Sendable {
    let records: [ClipRecord]
    /// With their numbers of clips in each split, in the order of splits.
    let counts: [ImportReport.TagCount]
    /// Dropped for being too rare, not for being in no clip.
    let droppedTags: [ImportReport.TagCount]
    let absentTags: Int
    let untagged: [Int]
    let keepsUntagged: Bool
    let order: String

    var tags: [String] { counts.map(\.tag) }
  }

  func applied(
    to records: [ClipRecord], labels: [String]?, dataset: String, path: String
  ) throws -> Outcome {
    let all = counts(of: records, labels: labels)
    var kept = all.filter { $0.clips.contains { $0 > 0 } }
    let absent = all.count - kept.count
    var order = labels == nil ? "by name" : "in the data set's order"
    if top != nil || minimumCount > 0 {
      guard records.contains(where: { $0.split == .train }) else {
        throw DatasetError(
          .emptySplit, attempt: "choose tags of the data set \(dataset)", path: path,
          detail: "tags are counted in the training split, which is empty; leave out --top-tags "
            + "and --min-count, or give the training clips and their labels")
      }
      kept = kept.filter { $0.clips[0] >= minimumCount }
    }
    if let top {
      kept.sort {
        $0.clips[0] != $1.clips[0]
          ? $0.clips[0] > $1.clips[0] : utf8Precedes($0.tag, $1.tag)
      }
      kept = Array(kept.prefix(top))
      order = "the most frequent of the training split first"
    }
    let isKept = Set(kept.map(\.tag))
    let dropped = all.filter { $0.clips.contains { $0 > 0 } && !isKept.contains($0.tag) }
    var untagged = [0, 0, 0]
    let chosen = records.compactMap { record -> ClipRecord? in
      let tags = dropped.isEmpty ? record.tags : record.tags.filter(isKept.contains)
      if tags.isEmpty {
        untagged[record.split.index] += 1
        if !keepsUntagged { return nil }
      }
      return tags.count == record.tags.count ? record : record.with(tags: tags)
    }
    return Outcome(
      records: chosen, counts: kept, droppedTags: dropped, absentTags: absent, untagged: untagged,
      keepsUntagged: keepsUntagged, order: order)
  }

  private func counts(of records: [ClipRecord], labels: [String]?) -> [ImportReport.TagCount] {
    var places: [String: Int] = [:]
    var counts: [ImportReport.TagCount] = []
    func place(_ tag: String) -> Int {
      if let place = places[tag] { return place }
      places[tag] = counts.count
      counts.append(ImportReport.TagCount(tag: tag, clips: [0, 0, 0]))
      return counts.count - 1
    }
    for label in labels ?? [] { _ = place(label) }
    for record in records {
      for tag in record.tags { counts[place(tag)].clips[record.split.index] += 1 }
    }
    return labels == nil ? counts.sorted { utf8Precedes($0.tag, $1.tag) } : counts
  }
}

extension Split {
  /// Its place among the splits.
  var index: Int {
    switch self {
    case .train: 0
    case .validation: 1
    case .test: 2
    }
  }
}
