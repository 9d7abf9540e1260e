import Dataset
import Testing
import fuzz

/// The readers against hostile inputs: a trap would end the process, which is the failure.
@Suite struct ReaderTests {
  static let targets = Target.all.map(\.name)

  @Test("what the attacks start from is read without an error", arguments: targets)
  func seeds(of name: String) throws {
    let target = try #require(Target.named(name))
    for seed in try target.seeds() {
      try target.read(seed)
      target.run(seed)
      #expect(seed.count <= target.longest)
    }
  }

  @Test("changed inputs give values, or errors that say what is wrong", arguments: targets)
  func mutations(of name: String) throws {
    let target = try #require(Target.named(name))
    var mutation = try Mutation(target, seed: 1)
    for _ in 0..<2_000 { target.run(mutation.next()) }
  }

  @Test("a forged store is read, so that attacks get behind its checksums")
  func repair() throws {
    let store = try #require(Target.named("store"))
    let seed = try store.seeds()[0]
    let forged = seed.replacing(Array("piano".utf8), with: Array("flute".utf8))
    #expect(throws: DatasetError.self) { try store.read(forged) }
    let repair = try #require(store.repair)
    try store.read(repair(forged))
  }

  @Test("what once was a finding is none any more", arguments: Finding.all.map(\.name))
  func findings(name: String) throws {
    let finding = try #require(Finding.all.first { $0.name == name })
    try #require(Target.named(finding.target)).run(finding.input())
  }
}
