/// What can be wrong with a row of a data set's description.
package enum DefectKind: String, Sendable, CaseIterable {
  // The row cannot be used; an import that meets one is refused, or goes on without the row.
  case malformed, wrongFieldCount, notText, emptyValue, badLabel, unknownTag, unknownSplit,
    unknownClip, unsafePath, conflict, leakage
  // The import goes on, and says what it met; only a strict one is refused.
  case repetition, sharedFile, knownBroken, unlabelled, missingPart, ignoredColumn, ignoredFile
  // The data set is like that, and nothing is lost: it is said, and no import is refused.
  case mergedFile

  /// Whether an import without `--strict` goes on.
  package var isTolerated: Bool {
    switch self {
    case .malformed, .wrongFieldCount, .notText, .emptyValue, .badLabel, .unknownTag,
      .unknownSplit, .unknownClip, .unsafePath, .conflict, .leakage:
      false
    case .repetition, .sharedFile, .knownBroken, .unlabelled, .missingPart, .ignoredColumn,
      .ignoredFile, .mergedFile:
      true
    }
  }

  fileprivate func isRefused(by policy: DefectPolicy) -> Bool {
    switch policy {
    case .skip: false
    case .refuse: !isTolerated
    case .strict: self != .mergedFile
    }
  }

  /// A heading, after a number.
  package var title: String {
    switch self {
    case .malformed: "malformed"
    case .wrongFieldCount: "with too few or too many fields"
    case .notText: "not UTF-8"
    case .emptyValue: "with something missing"
    case .badLabel: "with a label that is none"
    case .unknownTag: "with a tag that is not in the list of tags"
    case .unknownSplit: "of an unknown split"
    case .unknownClip: "of a clip that the index lacks"
    case .unsafePath: "with a path out of the data set's folder"
    case .conflict: "that contradict an earlier one"
    case .leakage: "that would leak one split into another"
    case .repetition: "repeated"
    case .sharedFile: "of a file that another clip has already"
    case .knownBroken: "whose sound is known to be broken"
    case .unlabelled: "without labels"
    case .missingPart: "parts of the data set not there"
    case .ignoredColumn: "columns ignored"
    case .ignoredFile: "files ignored"
    case .mergedFile: "of a file that another clip has already, one clip now"
    }
  }

  /// How a `DatasetError` about one such row is classed.
  var code: DatasetError.Code {
    switch self {
    case .unknownSplit: .unknownSplit
    case .unsafePath: .unsafePath
    case .leakage: .leakage
    case .conflict, .repetition, .sharedFile, .mergedFile: .duplicate
    case .unlabelled, .missingPart: .missing
    case .malformed, .wrongFieldCount, .notText, .emptyValue, .badLabel, .unknownTag,
      .unknownClip, .knownBroken, .ignoredColumn, .ignoredFile:
      .malformed
    }
  }
}

/// What an import does about rows that it cannot use.
package enum DefectPolicy: Sendable {
  /// Imports nothing if a row is bad; notes what is merely odd.
  case refuse
  /// Leaves bad rows out.
  case skip
  /// Imports nothing if anything is odd.
  case strict
}

/// What an import met, counted by kind, with the first few of each kind to show. Memory does not grow
/// with the number of defects.
package struct Defects: Sendable {
  package struct Example: Sendable {
    package let kind: DefectKind
    package let path: String
    package let line: Int?
    package let sentence: String
    /// Which defect of all this one is.
    fileprivate let order: Int

    package var text: String { "\(path)\(line.map { ", line \($0)" } ?? ""): \(sentence)" }
  }

  package private(set) var counts: [DefectKind: Int] = [:]
  package private(set) var examples: [DefectKind: [Example]] = [:]
  private static let shown = 3

  package init() {}

  /// - Parameter count: rows that this one sentence is about
  mutating func add(
    _ kind: DefectKind, path: String, line: Int? = nil, count: Int = 1, _ sentence: String
  ) {
    guard count > 0 else { return }
    let order = counts.values.reduce(0, +)
    counts[kind, default: 0] += count
    if examples[kind, default: []].count < Self.shown {
      examples[kind, default: []].append(
        Example(kind: kind, path: path, line: line, sentence: sentence, order: order))
    }
  }

  /// The first defect met whose kind is in question.
  func first(where isInQuestion: (DefectKind) -> Bool) -> Example? {
    examples.values.joined().filter { isInQuestion($0.kind) }.min { $0.order < $1.order }
  }

  /// Those kinds that occurred, in the order of the list of kinds.
  package var kinds: [DefectKind] { DefectKind.allCases.filter { counts[$0] != nil } }

  /// Each kind with its number and its first few.
  func lines(of kinds: [DefectKind]) -> [String] {
    kinds.flatMap { kind -> [String] in
      let (count, examples) = (counts[kind] ?? 0, examples[kind] ?? [])
      let isCounted = ![.missingPart, .ignoredColumn, .ignoredFile].contains(kind)
      let heading = "\(grouped(count)) \(isCounted ? (count == 1 ? "row " : "rows ") : "")"
      return [heading + kind.title] + examples.map { "  " + $0.text }
        + (count > examples.count && examples.count == Self.shown ? ["  …"] : [])
    }
  }

  /// - Throws: `DatasetError` with the first few of each kind and the totals, if `policy` does not
  ///   let them pass
  func require(_ policy: DefectPolicy, dataset: String) throws {
    let refused = kinds.filter { $0.isRefused(by: policy) }
    guard let first = first(where: refused.contains) else { return }
    let total = refused.reduce(0) { $0 + (counts[$1] ?? 0) }
    let advice =
      refused.allSatisfy(\.isTolerated)
      ? "they are tolerated without --strict"
      : "correct them, or leave such rows out with --skip-bad"
    throw DatasetError(
      first.kind.code, attempt: "import the data set \(dataset)", path: first.path,
      line: first.line,
      detail: "\(grouped(total)) \(total == 1 ? "defect" : "defects"), and nothing was imported; "
        + advice + ":\n" + lines(of: refused).map { "  " + $0 }.joined(separator: "\n"))
  }
}

/// 201680 as "201,680".
func grouped(_ number: Int) -> String {
  let digits = String(number.magnitude)
  var text = number < 0 ? "-" : ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index).isMultiple(of: 3) { text += "," }
    text.append(digit)
  }
  return text
}
