import Foundation

/// Which tags a model takes for each other.
///
/// For two tags i and j, A(i|j) is the ROC-AUC of the score for i, of clips that have i and not j
/// against clips that have j and not i: the share of such pairs of clips in which the first scores
/// higher, a tie counting half. 1 tells them apart, 0.5 does not. The mean of A(i|j) and A(j|i) is
/// Hand and Till's measure for two of many classes (Machine Learning 45, 2001). Counted in integers,
/// so exact up to one division; each tag's clips are sorted once, O(K·n·(log n + tags of a clip)).
package struct TagConfusions: Equatable, Sendable {
  package let tagCount: Int
  /// `[K, K]`: clips that have i and not j; on the diagonal, those that have i.
  package private(set) var clips: [Int]
  /// `[K, K]`: A(i|j); nil on the diagonal, and where no clip has but the one or but the other.
  package private(set) var areas: [Double?]

  /// More tags than this would make a table that is larger than the model.
  package static let maximumTags = 512

  /// - Parameters:
  ///   - scores: `[N, K]`, none of them NaN, as `RankingMetrics` has them
  ///   - labels: `[N, K]`, 1 where the clip has the tag, else 0
  /// - Returns: nil for more than `maximumTags` tags
  /// - Precondition: as many labels as scores, a whole number of clips
  package init?(scores: [Float], labels: [UInt8], tagCount: Int) {
    precondition(
      tagCount > 0 && scores.count == labels.count && scores.count.isMultiple(of: tagCount),
      "confusions: \(scores.count) scores and \(labels.count) labels of \(tagCount) tags")
    guard tagCount <= Self.maximumTags else { return nil }
    self.tagCount = tagCount
    let count = scores.count / tagCount
    let tags = (0..<count).map { clip in
      (0..<tagCount).filter { labels[clip * tagCount + $0] == 1 }
    }
    clips = Self.clips(tags, tagCount)
    areas = [Double?](repeating: nil, count: tagCount * tagCount)
    for tag in 0..<tagCount {
      let order = (0..<count).map { (score: scores[$0 * tagCount + tag], clip: $0) }
        .sorted { $0.score > $1.score }
      rank(tag, order, tags)
    }
  }

  private static func clips(_ tags: [[Int]], _ tagCount: Int) -> [Int] {
    var together = [Int](repeating: 0, count: tagCount * tagCount)
    for own in tags {
      for a in own { for b in own { together[a * tagCount + b] += 1 } }
    }
    return together.indices.map { index in
      let (a, b) = index.quotientAndRemainder(dividingBy: tagCount)
      return a == b ? together[index] : together[a * tagCount + a] - together[index]
    }
  }

  /// Fills the row of `tag`, from the clips in order of its falling score.
  private mutating func rank(
    _ tag: Int, _ order: [(score: Float, clip: Int)], _ tags: [[Int]]
  ) {
    /// Clips with `tag` so far: all, and by what other tags they have.
    var above = 0
    var aboveWith = [Int](repeating: 0, count: tagCount)
    /// Twice the pairs in the right order, so that a tie counts 1.
    var halfPairs = [Int](repeating: 0, count: tagCount)
    var start = 0
    while start < order.count {
      var end = start
      while end < order.count, order[end].score == order[start].score { end += 1 }
      let tied = order[start..<end].map { tags[$0.clip] }
      // Once before and once after those of the same score are counted: a tie counts 1 of 2.
      for pass in 0...1 {
        if pass == 1 {
          for own in tied where own.contains(tag) {
            above += 1
            for other in own { aboveWith[other] += 1 }
          }
        }
        for own in tied where !own.contains(tag) {
          for other in own { halfPairs[other] += above - aboveWith[other] }
        }
      }
      start = end
    }
    for other in 0..<tagCount where other != tag {
      let pairs = self[only: tag, not: other] * self[only: other, not: tag]
      guard pairs > 0 else { continue }
      areas[tag * tagCount + other] = Double(halfPairs[other]) / (2 * Double(pairs))
    }
  }

  // MARK: Reading

  /// Clips that have `tag` and not `other`.
  package subscript(only tag: Int, not other: Int) -> Int { clips[tag * tagCount + other] }

  /// A(tag|other).
  package subscript(tag: Int, against other: Int) -> Double? { areas[tag * tagCount + other] }

  /// Two tags, the harder to tell the smaller their `area`, which is Hand and Till's.
  package struct Pair: Equatable, Sendable {
    package let a, b: Int
    package let area: Double
  }

  /// Pairs with fewer clips of either kind say little, and are not among the hardest.
  package static let fewestClips = 5

  /// The pairs that are hardest to tell apart, the hardest first.
  ///
  /// - Parameter isCandidate: which two tags to look at
  package func hardest(
    _ count: Int, among isCandidate: (Int, Int) -> Bool = { _, _ in true }
  ) -> [Pair] {
    var pairs: [Pair] = []
    for a in 0..<tagCount {
      for b in a + 1..<max(tagCount, a + 1) {
        guard isCandidate(a, b),
          min(self[only: a, not: b], self[only: b, not: a]) >= Self.fewestClips,
          let forth = self[a, against: b], let back = self[b, against: a]
        else { continue }
        pairs.append(Pair(a: a, b: b, area: (forth + back) / 2))
      }
    }
    pairs.sort { ($0.area, $0.a, $0.b) < ($1.area, $1.a, $1.b) }
    return Array(pairs.prefix(count))
  }
}

/// `confusions.json`, beside a run's log, and what `tutti evaluate --confusions --json` gives.
package struct TagConfusionsFile: Codable, Equatable, Sendable {
  package let split: String
  /// Of the model that was judged; none for one that does not know it.
  package let step: Int?
  package let tags: [String]
  /// A row for each tag: see `TagConfusions`.
  package let clips: [[Int]]
  package let rocAUC: [[Double?]]

  package init(_ confusions: TagConfusions, split: String, step: Int?, tags: [String]) {
    (self.split, self.step, self.tags) = (split, step, tags)
    let rows = (0..<tags.count).map { $0 * tags.count..<($0 + 1) * tags.count }
    clips = rows.map { Array(confusions.clips[$0]) }
    rocAUC = rows.map { Array(confusions.areas[$0]) }
  }

  /// The confusions, if the file holds a whole table of them.
  package var confusions: TagConfusions? {
    TagConfusions(tagCount: tags.count, clips: clips, areas: rocAUC)
  }
}

extension TagConfusions {
  fileprivate init?(tagCount: Int, clips: [[Int]], areas: [[Double?]]) {
    guard (1...Self.maximumTags).contains(tagCount),
      clips.count == tagCount, areas.count == tagCount,
      clips.allSatisfy({ $0.count == tagCount && $0.allSatisfy { (0...1 << 40).contains($0) } }),
      areas.allSatisfy({ $0.count == tagCount && $0.allSatisfy { $0.map { 0...1 ~= $0 } ?? true } })
    else { return nil }
    self.tagCount = tagCount
    self.clips = clips.flatMap { $0 }
    self.areas = areas.flatMap { $0 }
  }
}
