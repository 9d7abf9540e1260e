import Foundation
import Testing
import Training

/// What scikit-learn says of some scores (see Goldens/make_ranking.py).
struct RankingGolden: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let scores: [Float]
  let labels: [UInt8]
  /// ROC-AUC and average precision; nil where a tag has one class.
  let tags: [[Double]?]
  let means: [Double]?
  var testDescription: String { name }

  static let all: [RankingGolden] = {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Goldens/ranking.json")
    return try! JSONDecoder().decode([RankingGolden].self, from: Data(contentsOf: path))
  }()
}

@Suite struct RankingMetricsTests {
  /// Both sides round differently, a few times for each of at most 200 clips.
  let tolerance = 1e-13

  @Test("the areas are scikit-learn's, ties included", arguments: RankingGolden.all)
  func goldens(golden: RankingGolden) throws {
    let metrics = try RankingMetrics(
      scores: golden.scores, labels: golden.labels, tagCount: golden.tags.count)
    for (tag, expected) in zip(metrics.tags, golden.tags) {
      #expect((tag.rocAUC == nil) == (expected == nil))
      guard let expected, let rocAUC = tag.rocAUC, let prAUC = tag.prAUC else { continue }
      #expect(abs(rocAUC - expected[0]) <= tolerance)
      #expect(abs(prAUC - expected[1]) <= tolerance)
    }
    #expect(metrics.leftOut == golden.tags.indices.filter { golden.tags[$0] == nil })
    #expect((metrics.rocAUC == nil) == (golden.means == nil))
    if let means = golden.means {
      #expect(abs(try #require(metrics.rocAUC) - means[0]) <= tolerance)
      #expect(abs(try #require(metrics.prAUC) - means[1]) <= tolerance)
    }
  }

  @Test("ROC-AUC is the share of pairs in the right order", arguments: [1, 2, 3, 4, 5])
  func pairs(levels: Int) throws {
    var state: UInt64 = 7
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let scores = (0..<101).map { _ in Float(next(levels) - 2) }
    let labels = (0..<101).map { UInt8($0 == 0 ? 1 : $0 == 1 ? 0 : next(2)) }
    var right = 0.0
    var all = 0.0
    for (a, b) in zip(scores, labels) where b == 1 {
      for (c, d) in zip(scores, labels) where d == 0 {
        right += a > c ? 1 : a == c ? 0.5 : 0
        all += 1
      }
    }
    let metrics = try RankingMetrics(scores: scores, labels: labels, tagCount: 1)
    // Both count halves exactly, and divide once.
    #expect(metrics.rocAUC == right / all)
  }

  @Test("the order of the clips does not matter, nor does a rising function of the scores")
  func invariance() throws {
    let golden = RankingGolden.all[1]
    let tags = golden.tags.count
    let metrics = try RankingMetrics(scores: golden.scores, labels: golden.labels, tagCount: tags)
    let clips = (0..<golden.scores.count / tags).reversed()
    let order = clips.flatMap { clip in (0..<tags).map { clip * tags + $0 } }
    let reversed = try RankingMetrics(
      scores: order.map { golden.scores[$0] * 8 - 100 }, labels: order.map { golden.labels[$0] },
      tagCount: tags)
    #expect(reversed == metrics)
  }

  @Test("infinities are the highest and the lowest scores")
  func infinities() throws {
    let metrics = try RankingMetrics(
      scores: [.infinity, 3e38, -3e38, -.infinity], labels: [1, 0, 1, 0], tagCount: 1)
    #expect(metrics.rocAUC == 0.75)
  }

  @Test("what cannot be ranked is refused, with its place")
  func refusals() {
    #expect(throws: RankingError.self) { try RankingMetrics(scores: [], labels: [], tagCount: 3) }
    let nan = #expect(throws: RankingError.self) {
      try RankingMetrics(scores: [0, 1, 2, .nan], labels: [0, 1, 1, 0], tagCount: 2)
    }
    #expect(nan?.description == "the score of clip 1 for tag 1 is not a number")
    let two = #expect(throws: RankingError.self) {
      try RankingMetrics(scores: [0, 1, 2, 3], labels: [0, 1, 2, 0], tagCount: 2)
    }
    #expect(two?.description == "the label of clip 1 for tag 0 is 2")
  }
}
