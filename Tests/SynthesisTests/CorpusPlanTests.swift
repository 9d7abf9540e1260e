import Synthesis
import Testing

@Suite("Corpus plan")
struct CorpusPlanTests {
  private static let seeds: [UInt64] = [0, 1, 2, 3, 17, 2_026, .max]
  private static let sizes = [CorpusPlan.minimumClips, 240]

  private func column(_ rule: TagRule, _ plan: CorpusPlan) -> [Bool] { plan.clips.map(rule.holds) }

  @Test("every tag is present and absent in every split", arguments: seeds, sizes)
  func classes(seed: UInt64, count: Int) throws {
    let plan = try CorpusPlan(clips: count, seed: seed)
    for rule in TagRule.all {
      for split in Split.allCases {
        let inSplit = plan.clips.filter { $0.split == split }
        let present = inSplit.count(where: rule.holds)
        #expect(present > 0 && present < inSplit.count, "\(rule.name) in \(split)")
      }
    }
  }

  @Test("no tune is in two splits, and the splits are 70, 15 and 15 %", arguments: seeds, sizes)
  func splits(seed: UInt64, count: Int) throws {
    let plan = try CorpusPlan(clips: count, seed: seed)
    #expect(plan.clips.map(\.index) == Array(0..<count))
    let works = Split.allCases.map { split in
      Set(plan.clips.filter { $0.split == split }.map(\.tune.title))
    }
    #expect(works[0].isDisjoint(with: works[1]))
    #expect(works[0].isDisjoint(with: works[2]))
    #expect(works[1].isDisjoint(with: works[2]))
    for split in [Split.validation, .test] {
      #expect(plan.clips.count { $0.split == split } == count * 15 / 100)
    }
  }

  @Test("tags are of four kinds, uneven, and none is a copy of another", arguments: seeds)
  func tags(seed: UInt64) throws {
    let plan = try CorpusPlan(clips: 240, seed: seed)
    #expect((12...20).contains(TagRule.all.count))
    #expect(Set(TagRule.all.map(\.category)).count == TagRule.Category.allCases.count)
    for clip in plan.clips { #expect(CorpusPlan.tagsPerClip.contains(clip.tags.count)) }
    for (place, rule) in TagRule.all.enumerated() {
      let share = Double(column(rule, plan).count { $0 }) / 240
      #expect(share > 0.05 && share < 0.6, "\(rule.name) has a share of \(share)")
      for other in TagRule.all[..<place] {
        let phi = CorpusPlan.correlation(column(rule, plan), column(other, plan))
        #expect(abs(phi) <= CorpusPlan.highestCorrelation, "\(rule.name) and \(other.name)")
      }
    }
  }

  @Test("the correlation is the usual one")
  func correlation() {
    let first = [true, true, false, false]
    #expect(CorpusPlan.correlation(first, first) == 1)
    #expect(CorpusPlan.correlation(first, first.map { !$0 }) == -1)
    #expect(CorpusPlan.correlation(first, [true, false, true, false]) == 0)
    #expect(CorpusPlan.correlation(first, [true, true, true, true]) == 0)
  }

  @Test("a plan is a function of its seed")
  func determinism() throws {
    let plan = try CorpusPlan(clips: 240, seed: 5)
    #expect(try CorpusPlan(clips: 240, seed: 5).clips == plan.clips)
    #expect(try CorpusPlan(clips: 240, seed: 6).clips != plan.clips)
  }

  @Test("too few clips are refused with the reason", arguments: [-1, 0, 1, 59])
  func refusal(count: Int) {
    let error = #expect(throws: SynthesisError.self) { try CorpusPlan(clips: count, seed: 1) }
    #expect(error?.code == .tooFewClips)
    #expect(error?.description.contains("at least 60") == true)
  }
}
