import Foundation
import Testing
import Training

@Suite struct TagConfusionsTests {
  /// Scores on a few levels, so that there are ties, and about two tags a clip.
  struct Material {
    let tags: Int
    var scores: [Float] = []
    var labels: [UInt8] = []

    init(clips: Int, tags: Int, levels: Int, seed: UInt64) {
      self.tags = tags
      var state = seed
      func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
      }
      for _ in 0..<clips * tags {
        scores.append(Float(next(levels) - 2) / 2)
        labels.append(next(tags) < 2 ? 1 : 0)
      }
    }

    func clips(with tag: Int, without other: Int) -> [Int] {
      (0..<labels.count / tags).filter {
        labels[$0 * tags + tag] == 1 && labels[$0 * tags + other] == 0
      }
    }

    /// A(tag|other) by looking at every pair of clips.
    func area(_ tag: Int, _ other: Int) -> Double? {
      let (own, others) = (clips(with: tag, without: other), clips(with: other, without: tag))
      guard !own.isEmpty, !others.isEmpty else { return nil }
      var half = 0
      for a in own {
        for b in others {
          let (x, y) = (scores[a * tags + tag], scores[b * tags + tag])
          half += x > y ? 2 : x == y ? 1 : 0
        }
      }
      return Double(half) / Double(2 * own.count * others.count)
    }
  }

  @Test(
    "areas are those of all pairs of clips, ties included, to the bit",
    arguments: [(60, 5, 1), (90, 6, 4), (140, 7, 1_000), (3, 4, 2), (40, 1, 3)])
  func pairs(clips: Int, tags: Int, levels: Int) throws {
    let material = Material(clips: clips, tags: tags, levels: levels, seed: UInt64(clips))
    let confusions = try #require(
      TagConfusions(scores: material.scores, labels: material.labels, tagCount: tags))
    for i in 0..<tags {
      for j in 0..<tags where i != j {
        #expect(confusions[i, against: j] == material.area(i, j), "\(i) against \(j)")
        #expect(confusions[only: i, not: j] == material.clips(with: i, without: j).count)
      }
      #expect(confusions[i, against: i] == nil)
    }
  }

  @Test("minus zero is zero, and infinities have their places")
  func extremes() throws {
    let confusions = try #require(
      TagConfusions(
        scores: [0, 0, -0.0, 0, .infinity, 0, -.infinity, 0], labels: [1, 0, 0, 1, 1, 0, 0, 1],
        tagCount: 2))
    // 0 against −0 and −∞: half and one; ∞ against both: two.
    #expect(confusions[0, against: 1] == 3.5 / 4)
    #expect(confusions[1, against: 0] == 0.5)
  }

  @Test("the hardest pairs come first, and those of few clips not at all")
  func hardest() throws {
    // Tags 0 and 1 are scored alike, tag 2 is told from both; tag 3 has too few clips.
    var (scores, labels): ([Float], [UInt8]) = ([], [])
    for clip in 0..<21 {
      let tag = clip == 20 ? 3 : clip % 3
      labels += (0..<4).map { $0 == tag ? 1 : 0 }
      scores += (0..<4).map { other in
        other == 2 || tag == 2 ? (other == tag ? 1 : -1) : Float(clip * 7 % 5)
      }
    }
    let confusions = try #require(TagConfusions(scores: scores, labels: labels, tagCount: 4))
    let pairs = confusions.hardest(10)
    #expect(pairs.map { [$0.a, $0.b] }.first == [0, 1])
    #expect(pairs.count == 3 && pairs.allSatisfy { $0.b < 3 })
    #expect(confusions.hardest(1) == [pairs[0]])
    #expect(confusions.hardest(9) { _, b in b == 2 } == pairs.filter { $0.b == 2 })
    #expect(pairs.map(\.area) == pairs.map(\.area).sorted())
  }

  @Test("what is written is read back the same; a table that is none is refused")
  func file() throws {
    let material = Material(clips: 50, tags: 4, levels: 9, seed: 3)
    let confusions = try #require(
      TagConfusions(scores: material.scores, labels: material.labels, tagCount: 4))
    let file = TagConfusionsFile(confusions, split: "test", step: 7, tags: ["a", "b", "c", "d"])
    let data = try JSONEncoder().encode(file)
    let back = try JSONDecoder().decode(TagConfusionsFile.self, from: data)
    #expect(back.confusions == confusions && back.step == 7)
    for (clips, areas) in [
      ("[[1,2]]", "[[null,1],[1,null]]"), ("[[1,2],[3,4]]", "[[null,7],[1,null]]"),
      ("[[1,-2],[3,4]]", "[[null,1],[1,null]]"), ("[[1,2],[3,4]]", "[[null,1],[1]]"),
    ] {
      let text = #"{"split":"test","tags":["a","b"],"clips":\#(clips),"rocAUC":\#(areas)}"#
      let broken = try JSONDecoder().decode(TagConfusionsFile.self, from: Data(text.utf8))
      #expect(broken.confusions == nil, "\(text)")
    }
  }

  @Test("more tags than a table can have give none")
  func many() {
    let count = TagConfusions.maximumTags + 1
    let scores = [Float](repeating: 0, count: count)
    #expect(
      TagConfusions(
        scores: scores, labels: [UInt8](repeating: 0, count: count), tagCount: count) == nil)
  }
}
