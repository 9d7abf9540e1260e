import Foundation

/// GTZAN: 1,000 clips of ten genres, one genre a clip.
///
/// `filtered` and `stratified`: lists of the three splits (`train_filtered.txt`, `valid_filtered.txt`,
/// `test_filtered.txt`; github.com/coreyker/dnn-mgr, from Kereliuk, Sturm and Larsen), a path such as
/// `blues/blues.00029.wav` a line. The filtered ones leave out repeated and distorted clips and keep an
/// artist within a split; they are what papers compare on. Where the sounds have another extension than
/// the lists, `--audio-suffix .au` says so.
///
/// `folders`: no lists, but a folder for each genre with its clips. Of every four files of a genre, sorted
/// by name, the third goes to validation and the fourth to test.
struct GTZANImporter: Importer {
  let name = "gtzan"
  let summary =
    "GTZAN's train_filtered.txt, valid_filtered.txt and test_filtered.txt; or a folder "
    + "for each genre"
  let subsets = ["filtered", "stratified", "folders"]

  private static let parts = ["train", "valid", "test"]
  private static let extensions: Set = [
    "wav", "au", "flac", "ogg", "mp3", "aif", "aiff", "opus", "snd",
  ]

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    let folder = try MetadataFolder(request.metadata)
    let source = "github.com/coreyker/dnn-mgr, folder gtzan"
    let lists = ["filtered", "stratified"].map { set in
      MetadataFolder.Lists(
        name: set, files: Self.parts.map { "\($0)_\(set).txt" }, source: source)
    }
    let hasLists = try lists.contains { try $0.files.contains { try folder.file($0) != nil } }
    if request.subset == "folders" || request.subset == nil && !hasLists {
      return try scan(request, folder, into: &intake)
    }
    let choice = try folder.choice(of: lists, asked: request.subset)
    for (part, split) in zip(Self.parts, Split.allCases) {
      guard let url = try folder.file("\(part)_\(choice).txt") else {
        intake.note(
          .missingPart, path: folder.url.path,
          "there is no \(part)_\(choice).txt, so the \(split.rawValue) split is empty; get it from "
            + source)
        continue
      }
      let text = try SourceText(url)
      try intake.forEachRow(of: text, .tabs) { row, intake in
        guard row.count == 1 else {
          throw RowProblem(.wrongFieldCount, "the line should have a path and nothing else")
        }
        let path = try row.text(0)
        let parts = path.utf8.split(separator: UInt8(ascii: "/"))
        guard parts.count >= 2 else {
          throw RowProblem(
            .malformed, "the path \(quoted(path)) has no folder, whose name is the clip's genre")
        }
        intake.add(
          ClipRecord(
            id: path, path: path, split: split, tags: [String(Substring(parts[parts.count - 2]))],
            source: text.path, line: row.line))
      }
    }
  }

  private func scan(
    _ request: ImportRequest, _ folder: MetadataFolder, into intake: inout ImportIntake
  ) throws {
    let root = request.audio ?? folder.url
    intake.audio = root
    var files = 0
    for genre in try MetadataFolder(root).names {
      var isFolder: ObjCBool = false
      let url = root.appendingPathComponent(genre)
      guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder),
        isFolder.boolValue
      else { continue }
      let names = try MetadataFolder(url).names
      let sounds = names.filter {
        Self.extensions.contains(URL(fileURLWithPath: $0).pathExtension.lowercased())
      }
      intake.note(
        .ignoredFile, path: url.path, count: names.count - sounds.count,
        "\(names.count - sounds.count) of its files are no sounds by their names")
      for (index, name) in sounds.enumerated() {
        let split: Split =
          switch index % 4 {
          case 2: .validation
          case 3: .test
          default: .train
          }
        intake.add(
          ClipRecord(
            id: "\(genre)/\(name)", path: "\(genre)/\(name)", split: split, tags: [genre],
            source: url.path, line: index + 1))
      }
      files += sounds.count
    }
    guard files > 0 else {
      throw DatasetError(
        .noClips, attempt: "read a data set's description", path: root.path,
        detail: "there are no lists such as train_filtered.txt, and no folders with sounds either")
    }
    intake.countFiles(files, of: root)
  }
}
