/// An input that once was a finding. It stays: the tests read it, and every attack starts from it.
package struct Finding: Sendable {
  package let target: String
  package let name: String
  package let input: @Sendable () throws -> [UInt8]

  private init(
    _ target: Target, _ name: String, _ input: @escaping @Sendable () throws -> [UInt8]
  ) {
    (self.target, self.name, self.input) = (target.name, name, input)
  }

  package static let all: [Finding] = [
    Finding(.tagsFile, "a blank behind a sign that makes one character of both") {
      try changed(.tagsFile, "piano|slow", "piano\u{600} |slow")
    },
    Finding(.configuration, "an error that quotes control characters") {
      Array("model:\n  network\u{1}: crnn\n".utf8)
    },
    Finding(.configuration, "a key of 9 to the 12th values") { Array(bomb().utf8) },
    Finding(.configuration, "references behind a comment's sign in quotes") {
      Array(bomb().replacing("- &a1 [", with: "- \"\n # \"\n- &a1 [\" #\", ").utf8)
    },
    Finding(.checkpoint, "a state from which nothing can be counted on") {
      try changed(.checkpoint, "validationsSinceBest\\\":0", "validationsSinceBest\\\":\(Int.max)")
    },
    Finding(.checkpoint, "a state beyond the last step") {
      try changed(.checkpoint, "\\\"step\\\":7,", "\\\"step\\\":\(Int.max),")
    },
    Finding(.checkpoint, "fewer than no reductions of the learning rate") {
      try changed(.checkpoint, "reductions\\\":1", "reductions\\\":-1")
    },
    Finding(.frames, "a time of 292 years") { Target.timingOfAges() },
    Finding(.importers, "a report that quotes control characters") {
      try changed(.importers, "6/cat", "6/\u{1B}[31m", seed: 3)
    },
    Finding(.store, "a tag of more clips than there are") {
      try changed(.store, "\"train\" : 1", "\"train\" : \(Int.max)")
    },
  ]

  /// A list of references to lists of references, as a key, which must be compared with others.
  private static func bomb(depth: Int = 12) -> String {
    let items = (1...depth).map { level in
      let references = [String](repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      return "- &a\(level) [\(references)]\n"
    }
    return "- &a0 x\n" + items.joined() + "- ? *a\(depth)\n  : 1\n"
  }

  /// A target's seed with other text in it.
  private static func changed(
    _ target: Target, _ old: String, _ new: String, seed: Int = 0
  ) throws -> [UInt8] {
    let seed = try target.seeds()[seed]
    let changed = seed.replacing(Array(old.utf8), with: Array(new.utf8))
    expect(changed != seed, "\(target.name): the seed has no \(old)")
    return changed
  }
}
