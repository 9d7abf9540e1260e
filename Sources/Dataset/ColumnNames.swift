/// Where the header of a table puts each column.
struct ColumnNames {
  /// In the file's order, without blanks at their ends.
  let names: [String]
  private let text: SourceText
  private let line: Int

  init(_ names: [String], of text: SourceText, line: Int) {
    (self.names, self.text, self.line) = (names, text, line)
  }

  /// Reads the row that the reader comes to next.
  ///
  /// - Parameter expected: what the row should be, for people
  init(next reader: inout SeparatedReader, of text: SourceText, expected: String) throws {
    do {
      guard try reader.next() else {
        throw text.refusal(.missingColumn, line: 1, "the file is empty; \(expected)")
      }
      let names = try (0..<reader.count).map { try reader.text($0) }
      self.init(names, of: text, line: reader.line)
    } catch let problem as RowProblem {
      throw text.refusal(.malformed, line: problem.line ?? reader.line, problem.detail)
    }
  }

  /// - Throws: `.malformed` if the column is there twice
  func place(_ name: String) throws -> Int? {
    let places = names.indices.filter { names[$0] == name }
    guard places.count <= 1 else {
      throw text.refusal(.malformed, line: line, "column \(name) stands there twice")
    }
    return places.first
  }

  /// - Throws: `.missingColumn` with what the header should be
  func required(_ name: String, expected: String) throws -> Int {
    guard let place = try place(name) else {
      throw text.refusal(.missingColumn, line: line, "column \(name) is missing; \(expected)")
    }
    return place
  }

  /// Refuses a row that does not have a field for each column.
  func requireCount(_ row: SeparatedReader) throws(RowProblem) {
    guard row.count == names.count else {
      throw RowProblem(
        .wrongFieldCount,
        "the row has \(row.count) fields and the header \(names.count); a field with a separator "
          + "or a line end in it needs quotes")
    }
  }
}
