/// Which tune, style and tags each clip of a corpus has, before any of them is rendered.
///
/// Tunes are dealt to the splits first, and clips to the tunes of their split, so a network cannot
/// score by recognising a melody. Styles are dealt by their shares within each split. What is left to
/// chance is drawn again until the plan is fit for training: each tag present and absent in every
/// split, nowhere less than half as often as in the whole, and no tag a copy of another.
package struct CorpusPlan: Sendable {
  package let clips: [ClipPlan]
  package let seed: UInt64

  /// In fewer clips, some tag is almost sure to be missing in a split.
  package static let minimumClips = 60
  /// Tags of one clip.
  package static let tagsPerClip = 3...6
  /// Bound of the correlation (phi) of two tags over the corpus.
  package static let highestCorrelation = 0.8
  private static let attempts = 5_000

  /// - Throws: `SynthesisError` `.tooFewClips` below `minimumClips`, or if no fit plan was found
  package init(clips count: Int, seed: UInt64) throws(SynthesisError) {
    guard count >= Self.minimumClips else {
      throw SynthesisError(
        .tooFewClips, attempt: "plan \(count) clips",
        detail: "every tag has to be present and absent in training, validation and test, "
          + "which takes at least \(Self.minimumClips)")
    }
    for attempt in 0..<Self.attempts {
      let clips = Self.draw(count, seed: seed, attempt: attempt)
      if Self.isFit(clips) {
        self.clips = clips
        self.seed = seed
        return
      }
    }
    throw SynthesisError(
      .tooFewClips, attempt: "plan \(count) clips from seed \(seed)",
      detail: "no draw had every tag present and absent in each split; ask for more clips")
  }

  private static func draw(_ count: Int, seed: UInt64, attempt: Int) -> [ClipPlan] {
    var random = RandomSource(seed: seed, purpose: .corpusPlan, index: attempt)
    let tunes = random.shuffled(Tune.all)
    let held = count * 15 / 100
    let heldTunes = (tunes.count * 15 + 50) / 100
    let parts: [(split: Split, clips: Int, tunes: ArraySlice<Tune>)] = [
      (.validation, held, tunes[..<heldTunes]),
      (.test, held, tunes[heldTunes..<2 * heldTunes]),
      (.train, count - 2 * held, tunes[(2 * heldTunes)...]),
    ]
    var seats: [(split: Split, tune: Tune, style: Style)] = []
    for part in parts {
      let styles = random.shuffled(dealtStyles(part.clips))
      for place in 0..<part.clips {
        let tune = part.tunes[part.tunes.startIndex + place % part.tunes.count]
        seats.append((part.split, tune, styles[place]))
      }
    }
    return random.shuffled(seats).enumerated().map { index, seat in
      var random = RandomSource(seed: seed, purpose: .clipPlan, index: index << 16 | attempt)
      while true {
        let clip = ClipPlan(
          index: index, split: seat.split, tune: seat.tune, style: seat.style, random: &random)
        if tagsPerClip.contains(clip.tags.count) { return clip }
      }
    }
  }

  /// Each style as often as its share says, rounded so that the whole is `count`.
  private static func dealtStyles(_ count: Int) -> [Style] {
    var styles: [Style] = []
    var share = 0.0
    for style in Style.allCases {
      share += style.table.share
      let end = min(count, Int((share * Double(count)).rounded()))
      styles += Array(repeating: style, count: end - styles.count)
    }
    return styles
  }
}

// MARK: - What makes a plan fit

extension CorpusPlan {
  private static func isFit(_ clips: [ClipPlan]) -> Bool {
    let columns = TagRule.all.map { rule in clips.map(rule.holds) }
    for column in columns {
      let share = Double(column.count { $0 }) / Double(clips.count)
      for split in Split.allCases {
        let inSplit = clips.indices.filter { clips[$0].split == split }
        let present = inSplit.count { column[$0] }
        guard present > 0, present < inSplit.count,
          Double(present) >= share * Double(inSplit.count) / 2
        else { return false }
      }
    }
    for (place, column) in columns.enumerated() {
      for other in columns[..<place] where abs(correlation(column, other)) > highestCorrelation {
        return false
      }
    }
    return true
  }

  /// The correlation phi of two tags, −1…1; 0 if one of them is constant.
  package static func correlation(_ first: [Bool], _ second: [Bool]) -> Double {
    let n = Double(first.count)
    let p = Double(first.count { $0 }) / n
    let q = Double(second.count { $0 }) / n
    let both = Double(zip(first, second).count { $0 && $1 }) / n
    let spread = (p * (1 - p) * q * (1 - q)).squareRoot()
    return spread > 0 ? (both - p * q) / spread : 0
  }
}
