import Foundation

/// The Million Song Dataset with last.fm tags, as two groups have split it.
///
/// `choi`, the split of the CRNN's paper (github.com/keunwoochoi/MSD_split_for_tagging): for each of
/// train, valid and test three files whose lines and rows belong together, `train_x_msd_id.txt`,
/// `train_x_filename.txt` and `train_y.npy`, one column for each of the 50 tags in the order of `tags.py`.
/// 201,680 / 12,634 / 28,540 clips. The paths end in `.npy`, that of the authors' features; the sound is
/// `.clip.mp3` with them, and whatever `--audio-suffix` says with others. Two files of the training
/// split go by two track ids each; one clip becomes of each. That is how the set was published, so a
/// strict import takes it too.
///
/// `musicnn` (github.com/jordipons/musicnn-training, the split of Lee and others): lists of labels, see
/// `LabelLists`. 201,680 / 11,774 / 28,435 clips. It is the former without clips shorter than 29.1 s:
/// the first 201,680 of what is left of train and valid together, and the rest. So neither 11,774 nor
/// which clips they are follows from the former's files.
struct MSDImporter: Importer {
  let name = "msd"
  let summary =
    "the Million Song Dataset's *_x_msd_id.txt, *_x_filename.txt, *_y.npy and tags.py; or "
    + "index_msd.tsv and *_gt_msd.tsv"
  let subsets = ["choi", "musicnn"]

  private static let tags = [
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop",
    "sad", "House", "happy",
  ]
  private static let source = "github.com/keunwoochoi/MSD_split_for_tagging"
  private static let advice = "get it from \(source)"

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    let folder = try MetadataFolder(request.metadata)
    let parts = ["train", "valid", "test"]
    let lists = LabelLists(dataset: "msd")
    let choice = try folder.choice(
      of: [
        .init(
          name: "choi", files: parts.map { "\($0)_x_msd_id.txt" }, source: Self.source),
        .init(name: "musicnn", files: lists.files, source: LabelLists.source),
      ], asked: request.subset)
    let builtIn = try LabelColumns(Self.tags, path: "")
    intake.mergesSharedFiles = true
    if choice == "musicnn" {
      return try lists.read(folder, builtIn: builtIn, into: &intake)
    }
    let labels = try folder.file("tags.py").map { try LabelColumns(python: SourceText($0)) }
    intake.labels = (labels ?? builtIn).names
    intake.audioSuffix = request.audioSuffix ?? ".clip.mp3"
    for (part, split) in zip(parts, Split.allCases) {
      guard let ids = try folder.file("\(part)_x_msd_id.txt") else {
        intake.note(
          .missingPart, path: folder.url.path,
          "there is no \(part)_x_msd_id.txt, so the \(split.rawValue) split is empty; "
            + Self.advice)
        continue
      }
      let files = try folder.required(
        "\(part)_x_filename.txt", "the clips of \(part)_x_msd_id.txt have no paths; \(Self.advice)")
      let y = try folder.file("\(part)_y.npy").map(NumPyArray.init)
      try read(SourceText(ids), files, y, labels ?? builtIn, split, into: &intake)
      guard y == nil else { continue }
      intake.leaveOutUnlabelled(
        split, from: try SourceText(ids),
        "there is no \(part)_y.npy beside it, so its clips have no labels; \(Self.advice)")
    }
  }

  /// One split: line n of both lists and row n of `y` are one clip.
  private func read(
    _ ids: SourceText, _ files: SourceText, _ y: NumPyArray?, _ labels: LabelColumns,
    _ split: Split, into intake: inout ImportIntake
  ) throws {
    let count = ids.withBytes { LineReader($0).countRemaining() }
    let fileCount = files.withBytes { LineReader($0).countRemaining() }
    guard count == fileCount else {
      throw ids.refusal(
        .malformed,
        "it has \(grouped(count)) lines and \(files.name) \(grouped(fileCount)), so "
          + "they do not belong together; get both again")
    }
    if let y, y.shape != [count, labels.names.count] {
      throw DatasetError(
        .malformed, attempt: "read the labels", path: y.path,
        detail: "its shape is \(y.shape) and should be [\(count), \(labels.names.count)]: a row "
          + "for each line of \(ids.name), a column for each tag")
    }
    var rows = LabelRows(y, columns: labels.names.count)
    ids.withBytes { idBytes in
      files.withBytes { fileBytes in
        var (idLines, fileLines) = (LineReader(idBytes), LineReader(fileBytes))
        while let id = idLines.next(), let file = fileLines.next() {
          do throws(RowProblem) {
            let columns = try rows.next()
            intake.add(
              ClipRecord(
                id: try validated(trimmed(id)), path: try validated(trimmed(file)), split: split,
                tags: labels.tags(columns), source: ids.path, line: idLines.line))
          } catch {
            intake.drop(error.kind, path: ids.path, line: idLines.line, error.detail)
          }
        }
      }
    }
    intake.count(count, of: ids)
  }
}

/// The rows of a matrix of zeros and ones, read some thousand at a time.
private struct LabelRows {
  private let array: NumPyArray?
  private let columns: Int
  private var row = 0
  private var chunk: [Float] = []
  private static let rowsAChunk = 4096

  /// - Parameter array: `[rows, columns]`; without one all rows are zero
  init(_ array: NumPyArray?, columns: Int) { (self.array, self.columns) = (array, columns) }

  /// The columns that hold 1 in the next row.
  mutating func next() throws(RowProblem) -> [Int] {
    guard let array else { return [] }
    let place = row % Self.rowsAChunk
    if place == 0 {
      chunk = array.floats(
        row * columns..<min(array.count, (row + Self.rowsAChunk) * columns))
    }
    row += 1
    var set: [Int] = []
    for column in 0..<columns {
      let value = chunk[place * columns + column]
      if value == 1 {
        set.append(column)
      } else if value != 0 {
        throw RowProblem(
          .badLabel,
          "its label \(column) in \(array.path), row \(row), is \(value) and should be "
            + "0 or 1")
      }
    }
    return set
  }
}
