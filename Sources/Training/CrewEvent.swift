import Cluster

/// Something that happened to the crew: one line for people, one object in `metrics.jsonl`.
package struct CrewEvent: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case join, spare, leave, death, restart, refusal, rejected
    case reassignment, duplicate, desynchronised, recovery, waiting, topology
    case notFinite, audit, delivery
  }

  package let kind: Kind
  package let sentence: String
  /// What programs want to know beside the sentence.
  package let fields: [(name: String, value: LogRecord.Value)]

  package init(
    _ kind: Kind, _ sentence: String, _ fields: KeyValuePairs<String, LogRecord.Value> = [:]
  ) {
    self.kind = kind
    self.sentence = sentence
    self.fields = fields.map { ($0.key, $0.value) }
  }

  /// Somebody could not connect, for the `count`-th time.
  init(_ problem: AccessProblem, count: Int) {
    self.init(
      .refusal, count == 1 ? "\(problem)" : "\(problem) (\(count) times by now)",
      [
        "problem": .text(problem.name), "count": .integer(count),
        "key": problem.key.map { .text($0.fingerprint) } ?? .none,
        "address": problem.address.map { .text($0) } ?? .none,
      ])
  }
}
