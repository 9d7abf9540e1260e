/// A data set's labels, ready to turn a row of zeros and ones into tags in their order by name.
struct LabelColumns {
  let names: [String]
  /// Each column's place in the order by name.
  private let ranks: [Int]
  private let sorted: [String]

  /// - Throws: `.malformed` if a name is empty or there twice
  init(_ names: [String], path: String) throws {
    let names = names.map(composed)
    let order = names.indices.sorted { utf8Precedes(names[$0], names[$1]) }
    guard !names.isEmpty, !names.contains(""), Set(names).count == names.count else {
      throw DatasetError(
        .malformed, attempt: "read the list of tags", path: path,
        detail: "the list is empty, or a tag of it is empty or there twice")
    }
    var ranks = [Int](repeating: 0, count: names.count)
    for (rank, column) in order.enumerated() { ranks[column] = rank }
    (self.names, self.ranks, sorted) = (names, ranks, order.map { names[$0] })
  }

  /// The list of strings in a Python file such as `tags.py`.
  init(python text: SourceText) throws {
    do {
      try self.init(text.withBytes { try LiteralList.strings($0) }, path: text.path)
    } catch let problem as RowProblem {
      throw text.refusal(.malformed, problem.detail)
    }
  }

  /// - Parameter columns: which labels are 1
  func tags(_ columns: [Int]) -> [String] { columns.map { ranks[$0] }.sorted().map { sorted[$0] } }
}
