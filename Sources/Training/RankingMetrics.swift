/// How well scores rank: the areas under the ROC and the precision-recall curve.
///
/// As scikit-learn's `roc_auc_score` and `average_precision_score` compute them, ties included.
/// ROC-AUC is the share of (positive, negative) pairs in which the positive clip scores higher, a
/// tie counting half; it is counted in integers and is exact up to one division. The mean over
/// tags ("macro") leaves out tags that all clips have or none has: they have no ROC curve.
/// O(n log n) a tag; only the order of the scores matters, so logits serve as well as probabilities.

/// Scores that cannot be ranked.
package struct RankingError: Error, Equatable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

package struct RankingMetrics: Equatable, Sendable {
  /// One tag's areas; nil where every clip has the tag or none has.
  package struct Tag: Equatable, Sendable {
    package let positives: Int
    package let rocAUC: Double?
    package let prAUC: Double?
  }

  /// In the order of the tags.
  package let tags: [Tag]
  /// Means over the tags that have both positive and negative clips; nil if there is no such tag.
  package let rocAUC: Double?
  package let prAUC: Double?

  /// The tags that are left out of the means.
  package var leftOut: [Int] { tags.indices.filter { tags[$0].rocAUC == nil } }

  /// Ranks the clips by each tag's scores.
  ///
  /// - Parameters:
  ///   - scores: `[N, K]`; infinities are allowed, NaN is not
  ///   - labels: `[N, K]`, 1 where the clip has the tag, else 0
  ///   - tagCount: K
  /// - Precondition: as many labels as scores, a whole number of clips.
  package init(scores: [Float], labels: [UInt8], tagCount: Int) throws(RankingError) {
    precondition(
      tagCount > 0 && scores.count == labels.count && scores.count.isMultiple(of: tagCount),
      "ranking: \(scores.count) scores and \(labels.count) labels of \(tagCount) tags")
    let clips = scores.count / tagCount
    guard clips > 0 else { throw RankingError("there are no clips to rank") }
    var keys = [UInt64](repeating: 0, count: clips)
    var tags: [Tag] = []
    for tag in 0..<tagCount {
      for clip in 0..<clips {
        let index = clip * tagCount + tag
        guard !scores[index].isNaN else {
          throw RankingError("the score of clip \(clip) for tag \(tag) is not a number")
        }
        guard labels[index] <= 1 else {
          throw RankingError("the label of clip \(clip) for tag \(tag) is \(labels[index])")
        }
        keys[clip] = UInt64(Self.descending(scores[index])) << 1 | UInt64(labels[index])
      }
      keys.sort()
      tags.append(Self.areas(keys))
    }
    self.tags = tags
    rocAUC = Self.mean(tags.compactMap(\.rocAUC))
    prAUC = Self.mean(tags.compactMap(\.prAUC))
  }

  /// An integer that is smaller for a higher score, and the same for equal ones (−0 and 0 are).
  private static func descending(_ score: Float) -> UInt32 {
    let bits = (score == 0 ? 0 : score).bitPattern
    return bits >> 31 == 0 ? 0x7fff_ffff - bits : bits
  }

  /// The areas from the clips in order of falling score; a key is the score's rank and the label.
  private static func areas(_ keys: [UInt64]) -> Tag {
    let positives = keys.reduce(0) { $0 + Int($1 & 1) }
    let negatives = keys.count - positives
    guard positives > 0, negatives > 0 else {
      return Tag(positives: positives, rocAUC: nil, prAUC: nil)
    }
    var truePositives = 0
    var falsePositives = 0
    var halfPairs = 0  // twice the pairs in the right order, so that a tie counts 1
    var precision = 0.0
    var start = 0
    while start < keys.count {
      var end = start
      var tied = 0
      while end < keys.count, keys[end] >> 1 == keys[start] >> 1 {
        tied += Int(keys[end] & 1)
        end += 1
      }
      let tiedNegatives = end - start - tied
      truePositives += tied
      falsePositives += tiedNegatives
      halfPairs += tied * (2 * (negatives - falsePositives) + tiedNegatives)
      precision += Double(tied) * (Double(truePositives) / Double(end))
      start = end
    }
    return Tag(
      positives: positives,
      rocAUC: Double(halfPairs) / (2 * Double(positives) * Double(negatives)),
      prAUC: precision / Double(positives))
  }

  private static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}
