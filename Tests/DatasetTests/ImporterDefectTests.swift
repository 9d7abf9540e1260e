import Dataset
import Foundation
import Testing

@Suite("Defects of data sets") struct ImporterDefectTests {
  /// One line of a fixture's file changed, or its bytes.
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let fixture: String
    let file: String
    /// The line to replace, counted from 1, or one behind the last to append.
    let line: Int
    let text: String
    let kind: DefectKind
    let mentions: String
    /// Clips that an import with `--skip-bad` keeps.
    let kept: [Int]
    /// The file that the message names, if it is another one.
    var named: String?
    var subset: String?
    var genres = ImportRequest.Genres.top
  }

  static let cases: [Case] = [
    Case(
      testDescription: "csv: short row", fixture: "csv", file: "tags.csv", line: 3,
      text: "c2,piano/b.flac", kind: .wrongFieldCount, mentions: "2 fields and the header 5",
      kept: [2, 1, 1]),
    Case(
      testDescription: "csv: lonely quote", fixture: "csv", file: "tags.csv", line: 3,
      text: "\"c2,piano/b.flac,train,,piano", kind: .malformed, mentions: "never closed",
      kept: [2, 1, 1]),
    Case(
      testDescription: "csv: text behind a quote", fixture: "csv", file: "tags.csv", line: 3,
      text: "\"c2\"x,piano/b.flac,train,,piano", kind: .malformed, mentions: "closing quote",
      kept: [2, 1, 1]),
    Case(
      testDescription: "csv: unknown split", fixture: "csv", file: "tags.csv", line: 4,
      text: "c3,choir/c.flac,dev,,choir", kind: .unknownSplit, mentions: "\"dev\"", kept: [2, 1, 1]),
    Case(
      testDescription: "csv: path out of the folder", fixture: "csv", file: "tags.csv", line: 4,
      text: "c3,choir/../../c.flac,train,,choir", kind: .unsafePath, mentions: "leads out",
      kept: [2, 1, 1]),
    Case(
      testDescription: "csv: work in two splits", fixture: "csv", file: "tags.csv", line: 5,
      text: "c4,piano/d.flac,validation,\"Sonata, first\",piano", kind: .leakage,
      mentions: "train split on line 2", kept: [3, 0, 1]),
    Case(
      testDescription: "csv: file in two splits, spelled differently", fixture: "csv",
      file: "tags.csv", line: 5, text: "c4,./piano//b.flac,validation,,piano", kind: .leakage,
      mentions: "already on line 3", kept: [3, 0, 1]),
    Case(
      testDescription: "csv: same clip, other tags", fixture: "csv", file: "tags.csv", line: 3,
      text: "c1,piano/a.flac,train,\"Sonata, first\",piano", kind: .conflict,
      mentions: "described differently", kept: [2, 1, 1]),
    Case(
      testDescription: "msd: no id", fixture: "msd", file: "train_x_msd_id.txt", line: 2, text: "",
      kind: .emptyValue, mentions: "id is empty", kept: [3, 2, 3]),
    Case(
      testDescription: "msd: the same id in two splits", fixture: "msd", file: "test_x_msd_id.txt",
      line: 2, text: "TREEEE", kind: .leakage, mentions: "valid_x_msd_id.txt, line 1",
      kept: [3, 2, 2]),
    Case(
      testDescription: "msd: the same file in two splits", fixture: "msd",
      file: "valid_x_filename.txt", line: 2, text: "1/1/110.npy", kind: .leakage,
      mentions: "as clip \"TRAAAA\" of the train split", kept: [3, 1, 3],
      named: "valid_x_msd_id.txt"),
    Case(
      testDescription: "annotations: not 0 or 1", fixture: "magnatagatune",
      file: "annotations_final.csv", line: 3,
      text: "\"6\"\t\"0\"\t\"2\"\t\"0\"\t\"0\"\t\"0\"\t\"0/x.mp3\"", kind: .badLabel,
      mentions: "\"2\" stands under \"guitar\"", kept: [2, 1, 2]),
    Case(
      testDescription: "annotations: too few fields", fixture: "magnatagatune",
      file: "annotations_final.csv", line: 3, text: "\"6\"\t\"0\"\t\"1\"\t\"0/x.mp3\"",
      kind: .wrongFieldCount, mentions: "4 fields and the header 7", kept: [2, 1, 2]),
    Case(
      testDescription: "annotations: folder g", fixture: "magnatagatune",
      file: "annotations_final.csv", line: 3,
      text: "\"6\"\t\"0\"\t\"1\"\t\"0\"\t\"0\"\t\"0\"\t\"g/x.mp3\"", kind: .unknownSplit,
      mentions: "folders 0 to f", kept: [2, 1, 2]),
    Case(
      testDescription: "lists: a label is no number", fixture: "magnatagatune-lists",
      file: "val_gt_mtt.tsv", line: 1, text: "14\t[0.0, 1.0, nan, 0.0]", kind: .badLabel,
      mentions: "label 2 is \"nan\"", kept: [3, 0, 2]),
    Case(
      testDescription: "lists: too few labels", fixture: "magnatagatune-lists",
      file: "val_gt_mtt.tsv", line: 1, text: "14\t[0.0, 1.0]", kind: .wrongFieldCount,
      mentions: "2 labels", kept: [3, 0, 2]),
    Case(
      testDescription: "lists: no list", fixture: "magnatagatune-lists", file: "val_gt_mtt.tsv",
      line: 1, text: "14\t0.0, 1.0", kind: .malformed, mentions: "brackets", kept: [3, 0, 2]),
    Case(
      testDescription: "lists: clip that the index lacks", fixture: "magnatagatune-lists",
      file: "val_gt_mtt.tsv", line: 1, text: "15\t[0.0, 1.0, 0.0, 0.0]", kind: .unknownClip,
      mentions: "not in index_mtt.tsv", kept: [3, 0, 2]),
    Case(
      testDescription: "lists: one clip, two paths", fixture: "magnatagatune-lists",
      file: "index_mtt.tsv", line: 9, text: "14\tc/other.mp3", kind: .conflict,
      mentions: "already in the index", kept: [3, 1, 2]),
    Case(
      testDescription: "jamendo: no tags and no field for them", fixture: "mtg-jamendo",
      file: "autotagging_moodtheme-train.tsv", line: 3,
      text: "track_0000002\tartist_000005\talbum_000001\t02/902.mp3\t187.4",
      kind: .wrongFieldCount, mentions: "5 fields", kept: [2, 1, 2]),
    Case(
      testDescription: "jamendo: tag of another subset", fixture: "mtg-jamendo",
      file: "autotagging_moodtheme-train.tsv", line: 3,
      text: "track_0000002\tartist_000005\talbum_000001\t02/902.mp3\t187.4\tgenre---rock",
      kind: .unknownTag, mentions: "mood/theme---", kept: [2, 1, 2]),
    Case(
      testDescription: "jamendo: artist in two splits", fixture: "mtg-jamendo",
      file: "autotagging_moodtheme-test.tsv", line: 2,
      text: "track_0000005\tartist_000007\talbum_000001\t05/905.mp3\t187.4\tmood/theme---calm",
      kind: .leakage, mentions: "autotagging_moodtheme-validation.tsv, line 2", kept: [3, 1, 1]),
    Case(
      testDescription: "fma: unknown genre", fixture: "fma", file: "tracks.csv", line: 6,
      text: "3,,1,training,medium,Skiffle,[12],[12],Electric Ave", kind: .unknownTag,
      mentions: "\"Skiffle\" is not in genres.csv", kept: [1, 1, 1]),
    Case(
      testDescription: "fma: unknown number of a genre", fixture: "fma", file: "tracks.csv",
      line: 6, text: "3,,1,training,medium,Rock,\"[12, 13]\",[12],Electric Ave",
      kind: .unknownTag, mentions: "genre 13", kept: [2, 1, 1], genres: .listed),
    Case(
      testDescription: "fma: a list that is none", fixture: "fma", file: "tracks.csv", line: 6,
      text: "3,,1,training,medium,Rock,\"[12, -99999999999999999999]\",[12],Electric Ave",
      kind: .badLabel, mentions: "is none", kept: [2, 1, 1], genres: .listed),
    Case(
      testDescription: "fma: unknown subset", fixture: "fma", file: "tracks.csv", line: 6,
      text: "3,,1,training,huge,Rock,[12],[12],Electric Ave", kind: .malformed,
      mentions: "\"huge\"", kept: [1, 1, 1]),
    Case(
      testDescription: "fma: a number that is none", fixture: "fma", file: "tracks.csv", line: 6,
      text: "../3,,1,training,medium,Rock,[12],[12],Electric Ave", kind: .malformed,
      mentions: "\"../3\"", kept: [1, 1, 1]),
    Case(
      testDescription: "gtzan: no folder", fixture: "gtzan", file: "train_filtered.txt", line: 2,
      text: "blues.00007.wav", kind: .malformed, mentions: "no folder", kept: [2, 2, 2]),
    Case(
      testDescription: "gtzan: clip in two splits", fixture: "gtzan", file: "test_filtered.txt",
      line: 1, text: "blues/blues.00011.wav", kind: .leakage,
      mentions: "valid_filtered.txt, line 1", kept: [3, 2, 1]),
  ]

  private static func change(_ folder: TemporaryFolder, _ change: Case) throws {
    let url = folder.file("data/\(change.file)")
    let text = try String(contentsOf: url, encoding: .utf8)
    let end = text.contains("\r\n") ? "\r\n" : "\n"
    var lines = text.components(separatedBy: end)
    lines[change.line - 1] = change.text + (change.line == lines.count ? end : "")
    try Data(lines.joined(separator: end).utf8).write(to: url)
  }

  @Test("a bad row is refused with its file and line, or left out and counted", arguments: cases)
  func badRows(_ defect: Case) throws {
    let fixture = ImporterFixture.named(defect.fixture)
    let folder = try fixture.copy()
    try Self.change(folder, defect)
    func imported(_ policy: DefectPolicy) throws -> Imported {
      try fixture.imported(from: folder.file("data")) {
        $0.policy = policy
        $0.subset = defect.subset
        $0.genres = defect.genres
      }
    }
    let error = try #require(try thrown { _ = try imported(.refuse) })
    let file = defect.named ?? defect.file
    #expect(error.path == folder.file("data/\(file)").path)
    #expect(error.line == defect.line)
    #expect(error.detail.contains("\(file), line \(defect.line): "), "\(error)")
    #expect(error.detail.contains(defect.mentions), "\(error)")
    #expect(error.detail.contains("--skip-bad"))
    #expect(error.exitCode == 65)

    let report = try imported(.skip).report
    #expect(report.kept == defect.kept)
    #expect(report.defects.counts[defect.kind] == 1)
    #expect(report.lines.contains { $0.contains(defect.mentions) })
    #expect(report.clipRows == report.kept.reduce(0, +) + report.dropped.reduce(0) { $0 + $1.rows })
  }

  @Test("the rows that were read are those kept and those dropped")
  func account() throws {
    let folder = try TemporaryFolder()
    let rows = [
      "c1,a.wav,train,x", "c2,b.wav", "\"c3,c.wav,train,x", "c4,d.wav,dev,x", "c1,a.wav,train,x",
      "c5,e.wav,test,", "c6,f.wav,validation,x",
    ]
    try Data((["clip_id,path,split,tags"] + rows).joined(separator: "\n").utf8)
      .write(to: folder.file("tags.csv"))
    let report = try ImporterFixture.named("csv").imported(from: folder.file("tags.csv")) {
      $0.policy = .skip
    }.report
    #expect(report.lines.first == "csv: 7 rows of 1 file")
    #expect(
      report.lines.contains(
        "7 rows of clips: 2 kept, 1 malformed, 1 with too few or too many fields, "
          + "1 of an unknown split, 1 repeated, 1 without any of the labels"))
  }

  @Test("the account is right for every data set", arguments: ImporterFixture.all)
  func accounts(_ fixture: ImporterFixture) throws {
    for keepsUntagged in [true, false] {
      let report = try fixture.imported {
        $0.selection.keepsUntagged = keepsUntagged
        if fixture.importer == "fma" { $0.subset = "small" }
      }.report
      let dropped = report.dropped.reduce(0) { $0 + $1.rows }
      #expect(report.clipRows == report.kept.reduce(0, +) + dropped, "\(report.summary)")
    }
  }

  @Test("the first few of each kind are shown, and all are counted")
  func totals() throws {
    let folder = try TemporaryFolder()
    let rows = (0..<40).map { "c\($0),a\($0).wav,\($0 % 4 == 0 ? "dev" : "train"),x" } + ["y"]
    try Data(("clip_id,path,split,tags\n" + rows.joined(separator: "\n")).utf8)
      .write(to: folder.file("tags.csv"))
    let error = try #require(
      try thrown { _ = try ImporterFixture.named("csv").imported(from: folder.file("tags.csv")) })
    #expect(error.detail.hasPrefix("11 defects, and nothing was imported"))
    #expect(error.detail.contains("10 rows of an unknown split"))
    #expect(error.detail.contains("1 row with too few or too many fields"))
    #expect(error.detail.components(separatedBy: "\"dev\"").count == 4)
    #expect(error.line == 2)
  }

  @Test("what repeats an earlier row is dropped and said, unless the import is strict")
  func repetitions() throws {
    let folder = try ImporterFixture.named("csv").copy()
    let url = folder.file("data/tags.csv")
    var text = try String(contentsOf: url, encoding: .utf8)
    text += "c2,piano/b.flac,train,,piano\nc9,piano/b.flac,train,,piano\n"
    try Data(text.utf8).write(to: url)
    let fixture = ImporterFixture.named("csv")
    let report = try fixture.imported(from: url).report
    #expect(report.defects.counts == [.repetition: 1, .sharedFile: 1])
    #expect(report.rows[0] == 5 && report.clips[0] == 3)
    let error = try thrown { _ = try fixture.imported(from: url) { $0.policy = .strict } }
    #expect(error?.code == .duplicate)
  }

  @Test("byte order marks, CRLF and blank lines at the end are understood")
  func lineEnds() throws {
    for fixture in ImporterFixture.all {
      let folder = try fixture.copy()
      let data = folder.file("data")
      for name in try FileManager.default.contentsOfDirectory(atPath: data.path)
      where !name.hasSuffix(".npy") {
        let url = data.appendingPathComponent(name)
        let text = try String(contentsOf: url, encoding: .utf8)
          .replacingOccurrences(of: "\r\n", with: "\n")
        let mark = name.hasSuffix(".py") || name.hasPrefix("output") ? "" : "\u{FEFF}"
        try Data((mark + text.replacingOccurrences(of: "\n", with: "\r\n") + "\r\n\r\n").utf8)
          .write(to: url)
      }
      let expected = try fixture.imported()
      let imported = try fixture.imported(from: data)
      #expect(imported.manifest.records.map(\.id) == expected.manifest.records.map(\.id))
      #expect(imported.tags == expected.tags)
      #expect(imported.report.kept == expected.report.kept)
    }
  }

  @Test("a split without labels is left out, and the file to get is named")
  func unlabelled() throws {
    let fixture = ImporterFixture.named("msd")
    let folder = try fixture.copy()
    try FileManager.default.removeItem(at: folder.file("data/train_y.npy"))
    let report = try fixture.imported(from: folder.file("data")).report
    #expect(report.rows == [4, 2, 3])
    #expect(report.clips == [3, 2, 3])
    #expect(report.kept == [0, 2, 3])
    #expect(report.defects.counts[.unlabelled] == 3)
    #expect(report.lines.contains { $0.contains("there is no train_y.npy") })
    for part in ["valid", "test"] {
      try FileManager.default.removeItem(at: folder.file("data/\(part)_y.npy"))
    }
    let error = try #require(try thrown { _ = try fixture.imported(from: folder.file("data")) })
    #expect(error.code == .noClips)
    #expect(error.description.contains("there is no test_y.npy"))
  }

  @Test("lists that do not belong together are refused")
  func misaligned() throws {
    let fixture = ImporterFixture.named("msd")
    for (name, mention) in [
      ("train_x_filename.txt", "4 lines and train_x_filename.txt 2"),
      ("train_y.npy", "should be [4, 4]"),
    ] {
      let folder = try fixture.copy()
      let source = name == "train_y.npy" ? "valid_y.npy" : "valid_x_filename.txt"
      try FileManager.default.removeItem(at: folder.file("data/\(name)"))
      try FileManager.default.copyItem(
        at: folder.file("data/\(source)"), to: folder.file("data/\(name)"))
      let error = try thrown { _ = try fixture.imported(from: folder.file("data")) }
      #expect(error?.detail.contains(mention) == true, "\(String(describing: error))")
    }
  }

  @Test("labels that are neither 0 nor 1 are named with their row")
  func badMatrix() throws {
    let fixture = ImporterFixture.named("msd")
    let folder = try fixture.copy()
    let url = folder.file("data/valid_y.npy")
    var bytes = [UInt8](try Data(contentsOf: url))
    bytes[bytes.count - 2] = 7
    try Data(bytes).write(to: url)
    let error = try thrown { _ = try fixture.imported(from: folder.file("data")) }
    #expect(error?.detail.contains("valid_x_msd_id.txt, line 2: its label 2 in") == true)
    #expect(error?.detail.contains("row 2, is 7.0") == true)
  }

  @Test(
    "a folder without the lists is refused with what should be there",
    arguments: Importers.all.map(\.name))
  func emptyFolder(_ name: String) throws {
    let folder = try TemporaryFolder()
    let request = ImportRequest(metadata: folder.url)
    let error = try #require(try thrown { _ = try request.imported(by: Importers.named(name)!) })
    #expect(error.description.contains(folder.url.path))
    #expect(error.exitCode == 65)
    let nowhere = ImportRequest(metadata: folder.file("nothing"))
    #expect(try thrown { _ = try nowhere.imported(by: Importers.named(name)!) } != nil)
  }

  @Test("an unknown subset is refused with the known ones")
  func unknownSubset() throws {
    let error = try thrown {
      _ = try ImporterFixture.named("fma").imported { $0.subset = "tiny" }
    }
    #expect(error?.detail.contains("small, medium, large, full") == true)
  }

  @Test(
    "cut off or with any byte changed, a list is imported or refused",
    arguments: ImporterFixture.all)
  func hostileBytes(_ fixture: ImporterFixture) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: fixture.url.path).sorted()
    let folder = try fixture.copy()
    for name in names {
      let url = folder.file("data/\(name)")
      let bytes = [UInt8](try Data(contentsOf: url))
      var outcomes = (imported: 0, refused: 0)
      let step = max(1, bytes.count / 12)
      for place in stride(from: 0, to: bytes.count, by: step) {
        var variants = [Array(bytes[..<place])]
        for byte: UInt8 in [0, 0x0A, 0x0D, 0x22, 0xFF] {
          var changed = bytes
          changed[place] = byte
          variants.append(changed)
        }
        for variant in variants {
          try Data(variant).write(to: url)
          let error = try thrown {
            _ = try fixture.imported(from: folder.file("data")) { $0.policy = .skip }
          }
          if error == nil { outcomes.imported += 1 } else { outcomes.refused += 1 }
        }
      }
      try Data(bytes).write(to: url)
      #expect(outcomes.imported > 0)
    }
  }
}
