/// The Free Music Archive's dataset: 106,574 tracks with genres.
///
/// `tracks.csv` has two rows of column names (`track` over `genre_top`), a row that names the index, and
/// literal lists (`[12, 21]`) of genres' numbers; `genres.csv` names the genres. The tags are each
/// track's top-level genre, one a clip, or with `--genres listed` and `--genres all` any number. Track 2
/// lies in `000/000002.mp3`. The subsets `small`, `medium`, `large` hold each other in this order, and
/// `full` has all tracks whole. No artist is in two splits.
struct FMAImporter: Importer {
  let name = "fma"
  let summary = "FMA's tracks.csv and genres.csv; --audio is fma_small or another folder of sounds"
  let subsets = ["small", "medium", "large", "full"]

  private static let splits: [String: Split] = [
    "training": .train, "validation": .validation, "test": .test,
  ]

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    let folder = try MetadataFolder(request.metadata)
    let advice = "get it from fma_metadata.zip, github.com/mdeff/fma"
    let genresURL = try folder.file("genres.csv")
    if genresURL == nil && request.genres != .top {
      throw DatasetError(
        .missing, attempt: "read a data set's description", path: folder.url.path,
        detail: "there is no genres.csv, which names the genres of the tracks; \(advice)")
    }
    let genres = try genresURL.map { try Self.genres(SourceText($0), into: &intake) }
    intake.labels = genres?.titles
    let text = try folder.required("tracks.csv", advice)
    let limit = request.subset.flatMap(subsets.firstIndex) ?? subsets.count - 1
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, .commas)
      let columns = try Columns(&reader, of: text, request.genres)
      try intake.forEachRow(of: text, &reader) { row, intake in
        try columns.header.requireCount(row)
        let subset = try row.text(columns.subset)
        guard let level = subsets.firstIndex(of: subset) else {
          throw RowProblem(
            .malformed,
            "the subset \(quoted(subset)) is none of \(subsets.joined(separator: ", "))")
        }
        guard level <= limit else {
          intake.outsideSubset += 1
          return
        }
        let tags = try Self.tags(row, columns.genres, request.genres, genres)
        intake.add(try record(row, columns, tags, source: text.path))
      }
    }
  }

  private func record(
    _ row: SeparatedReader, _ columns: Columns, _ tags: [String], source: String
  ) throws(RowProblem) -> ClipRecord {
    let splitText = try row.text(columns.split)
    guard let split = Self.splits[splitText] else {
      throw RowProblem(
        .unknownSplit, "the split \(quoted(splitText)) is none of training, validation, test")
    }
    let id = try row.text(0)
    guard LiteralList.naturalNumber(id.utf8) != nil else {
      throw RowProblem(.malformed, "the track's number \(quoted(id)) is none")
    }
    let digits = String(repeating: "0", count: max(0, 6 - id.utf8.count)) + id
    var artist: String?
    if let column = columns.artist { artist = try row.text(column) }
    return ClipRecord(
      id: id, path: "\(digits.prefix(3))/\(digits).mp3", split: split,
      work: artist == "" ? nil : artist.map { "artist \($0)" }, tags: tags, source: source,
      line: row.line)
  }

  private static func tags(
    _ row: SeparatedReader, _ column: Int, _ choice: ImportRequest.Genres, _ genres: Genres?
  ) throws(RowProblem) -> [String] {
    if choice == .top {
      let title = try row.text(column)
      if let genres, !title.isEmpty, !genres.known.contains(title) {
        throw RowProblem(.unknownTag, "the genre \(quoted(title)) is not in genres.csv")
      }
      return title.isEmpty ? [] : [title]
    }
    var tags: [String] = []
    for number in try LiteralList.numbers(row.raw(column)) {
      guard let title = genres?.byNumber[number] else {
        throw RowProblem(.unknownTag, "genre \(number) is not in genres.csv")
      }
      tags.append(title)
    }
    return tags
  }

  private struct Genres {
    var byNumber: [Int: String] = [:]
    /// Each title once, in the order of the file.
    var titles: [String] = []
    var known: Set<String> = []
  }

  private static func genres(
    _ text: SourceText, into intake: inout ImportIntake
  ) throws -> Genres {
    try text.withBytes { bytes in
      var reader = SeparatedReader(bytes, .commas)
      let expected = "the first line must be genre_id,#tracks,parent,title,top_level"
      let header = try ColumnNames(next: &reader, of: text, expected: expected)
      let number = try header.required("genre_id", expected: expected)
      let title = try header.required("title", expected: expected)
      var genres = Genres()
      try intake.forEachRow(of: text, &reader, describesClips: false) { row, _ in
        try header.requireCount(row)
        let name = try row.text(title)
        guard let number = LiteralList.naturalNumber(trimmed(row.raw(number))), !name.isEmpty else {
          throw RowProblem(.emptyValue, "a genre needs a number and a title")
        }
        guard genres.byNumber.updateValue(name, forKey: number) ?? name == name else {
          throw RowProblem(.conflict, "genre \(number) is there twice, with different titles")
        }
        if genres.known.insert(name).inserted { genres.titles.append(name) }
      }
      return genres
    }
  }
}

/// Where the two rows of column names put what is needed.
private struct Columns {
  /// "track.genre_top" and so on.
  let header: ColumnNames
  let split, subset, genres: Int
  let artist: Int?

  init(
    _ reader: inout SeparatedReader, of text: SourceText, _ choice: ImportRequest.Genres
  ) throws {
    let expected =
      "the first two lines must name the columns, set over split and track over genre_top"
    let groups = try ColumnNames(next: &reader, of: text, expected: expected)
    let names = try ColumnNames(next: &reader, of: text, expected: expected)
    guard groups.names.count == names.names.count else {
      throw text.refusal(
        .malformed, line: reader.line, "the two lines of names differ in length; \(expected)")
    }
    header = ColumnNames(
      zip(groups.names, names.names).map { $0 + "." + $1 }, of: text, line: reader.line)
    split = try header.required("set.split", expected: expected)
    subset = try header.required("set.subset", expected: expected)
    artist = try header.place("artist.id")
    let column =
      switch choice {
      case .top: "track.genre_top"
      case .listed: "track.genres"
      case .all: "track.genres_all"
      }
    genres = try header.required(column, expected: expected)
    // The third row names the index, and nothing else.
    var ahead = reader
    if (try? ahead.next()) == true, (try? ahead.text(0)) == "track_id" { reader = ahead }
  }
}
