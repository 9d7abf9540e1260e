import Dataset
import Foundation
import Testing

@Suite("Importers") struct ImporterTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let fixture: String
    /// Kept clips as "id path tag|tag", by split.
    let train, validation, test: [String]
    let tags: [String]
    var subset: String?
    var genres = ImportRequest.Genres.top
    var testDescription: String { "\(fixture) \(subset ?? "") \(genres)" }
  }

  static let cases: [Case] = [
    Case(
      fixture: "csv",
      train: [
        "c1 piano/a.flac piano|slow", "c2 piano/b.flac piano", "c3 choir/c.flac choir|slow",
      ],
      validation: ["c4 piano/d.flac piano"], test: ["c6 choir/f.flac choir|rare"],
      tags: ["choir", "piano", "rare", "slow"]),
    Case(
      fixture: "msd",
      train: [
        "TRAAAA 1/1/110.clip.mp3 rock", "TRBBBB 2/2/220.clip.mp3 Mellow|jazz",
        "TRCCCC 3/3/330.clip.mp3 drum'n'bass|rock",
      ],
      validation: ["TREEEE 5/5/550.clip.mp3 Mellow|jazz", "TRFFFF 6/6/660.clip.mp3 rock"],
      test: [
        "TRGGGG 7/7/770.clip.mp3 drum'n'bass", "TRHHHH 8/8/880.clip.mp3 rock",
        "TRIIII 9/9/990.clip.mp3 jazz",
      ],
      tags: ["rock", "jazz", "drum'n'bass", "Mellow"]),
    Case(
      fixture: "msd-lists",
      train: ["TRAAAA A/A/A/TRAAAA.mp3 rock", "TRBBBB A/A/B/TRBBBB.mp3 jazz|rock"],
      validation: ["TRCCCC A/A/C/TRCCCC.mp3 jazz"], test: ["TRDDDD A/A/D/TRDDDD.mp3 rock"],
      tags: ["rock", "jazz"]),
    Case(
      fixture: "magnatagatune",
      train: [
        "2 0/ann-first-01-air-0-29.mp3 guitar|slow", "6 0/ann-first-01-air-29-58.mp3 guitar",
        "9 a/bob-second-04-jig-117-146.mp3 guitar|no voice",
      ],
      validation: ["14 c/eve-fifth-01-waltz-0-29.mp3 guitar|slow"],
      test: [
        "20 d/fay-sixth-09-rag-30-59.mp3 no voice",
        "21 f/gus-seventh-03-blues-0-29.mp3 guitar|harp",
      ],
      tags: ["no voice", "guitar", "slow", "harp"]),
    Case(
      fixture: "magnatagatune-lists",
      train: [
        "2 0/ann-first-01-air-0-29.mp3 guitar|slow", "6 0/ann-first-01-air-29-58.mp3 guitar",
        "9 a/bob-second-04-jig-117-146.mp3 guitar|no voice",
      ],
      validation: ["14 c/eve-fifth-01-waltz-0-29.mp3 guitar|slow"],
      test: [
        "20 d/fay-sixth-09-rag-30-59.mp3 no voice",
        "21 f/gus-seventh-03-blues-0-29.mp3 guitar|harp",
      ],
      tags: ["no voice", "guitar", "slow", "harp"]),
    Case(
      fixture: "mtg-jamendo",
      train: [
        "track_0000001 01/901.mp3 mood/theme---calm|mood/theme---film",
        "track_0000002 02/902.mp3 mood/theme---happy",
        "track_0000003 03/903.mp3 mood/theme---calm|mood/theme---film|mood/theme---happy",
      ],
      validation: ["track_0000004 04/904.mp3 mood/theme---calm"],
      test: [
        "track_0000005 05/905.mp3 mood/theme---film|mood/theme---happy",
        "track_0000006 06/906.mp3 mood/theme---calm",
      ],
      tags: ["mood/theme---calm", "mood/theme---film", "mood/theme---happy"]),
    Case(
      fixture: "fma", train: ["2 000/000002.mp3 Rock", "3 000/000003.mp3 Rock"],
      validation: ["134 000/000134.mp3 Pop"], test: ["1040 001/001040.mp3 Rock"],
      tags: ["Pop", "Rock"]),
    Case(
      fixture: "fma", train: ["2 000/000002.mp3 Rock"], validation: ["134 000/000134.mp3 Pop"],
      test: ["1040 001/001040.mp3 Rock"], tags: ["Pop", "Rock"], subset: "small"),
    Case(
      fixture: "fma",
      train: [
        "2 000/000002.mp3 Punk", "3 000/000003.mp3 Rock",
        "5 000/000005.mp3 Old-Time, Historic|Punk",
      ],
      validation: ["134 000/000134.mp3 Old-Time, Historic|Pop"], test: ["1040 001/001040.mp3 Rock"],
      tags: ["Pop", "Rock", "Punk", "Old-Time, Historic"], genres: .listed),
    Case(
      fixture: "fma", train: ["2 000/000002.mp3 Punk|Rock", "3 000/000003.mp3 Rock"],
      validation: ["134 000/000134.mp3 Old-Time, Historic|Pop"], test: ["1040 001/001040.mp3 Rock"],
      tags: ["Pop", "Rock", "Punk", "Old-Time, Historic"], subset: "medium", genres: .all),
    Case(
      fixture: "gtzan",
      train: [
        "blues/blues.00000.wav blues/blues.00000.wav blues",
        "blues/blues.00007.wav blues/blues.00007.wav blues",
        "jazz/jazz.00003.wav jazz/jazz.00003.wav jazz",
      ],
      validation: [
        "blues/blues.00011.wav blues/blues.00011.wav blues",
        "jazz/jazz.00020.wav jazz/jazz.00020.wav jazz",
      ],
      test: [
        "blues/blues.00042.wav blues/blues.00042.wav blues",
        "jazz/jazz.00054.wav jazz/jazz.00054.wav jazz",
      ],
      tags: ["blues", "jazz"]),
  ]

  @Test("every data set gives its clips, splits and tags", arguments: cases)
  func clips(_ expected: Case) throws {
    let imported = try ImporterFixture.named(expected.fixture).imported {
      $0.subset = expected.subset
      $0.genres = expected.genres
    }
    func clips(_ split: Split) -> [String] {
      imported.manifest.records.filter { $0.split == split }.map {
        "\($0.id) \($0.path) \($0.tags.joined(separator: "|"))"
      }
    }
    #expect(clips(.train) == expected.train)
    #expect(clips(.validation) == expected.validation)
    #expect(clips(.test) == expected.test)
    #expect(imported.tags == expected.tags)
    for (index, tag) in imported.tags.enumerated() {
      let counts = Split.allCases.map { split in
        imported.manifest.records.count { $0.split == split && $0.tags.contains(tag) }
      }
      #expect(imported.report.tags[index].clips == counts)
    }
  }

  @Test("records know the file and the line that describe them", arguments: ImporterFixture.all)
  func places(_ fixture: ImporterFixture) throws {
    for record in try fixture.imported().manifest.records {
      let lines = try String(contentsOfFile: record.source, encoding: .utf8)
        .split(omittingEmptySubsequences: false) { $0.isNewline }
      #expect(lines[record.line - 1].contains(record.id))
    }
  }

  @Test("the report says what was read, left out and kept")
  func report() throws {
    let report = try ImporterFixture.named("msd").imported().report
    #expect(report.rows == [4, 2, 3])
    #expect(report.clips == [3, 2, 3])
    #expect(report.kept == [3, 2, 3])
    #expect(report.defects.counts == [.mergedFile: 1])
    let lines = report.lines
    #expect(lines.first == "msd: 9 rows of 3 files")
    #expect(lines.contains { $0.contains("train_x_msd_id.txt, line 4: \"TRDDDD\" is the file") })
    #expect(lines.contains("rock             2           1     1"))
    #expect(lines.contains("4 tags, in the data set's order; 1.38 a clip on average"))
  }

  @Test("a file that the published set has twice is one clip, also strictly")
  func doubleFile() throws {
    let imported = try ImporterFixture.named("msd").imported { $0.policy = .strict }
    #expect(imported.report.defects.counts == [.mergedFile: 1])
    #expect(imported.report.kept == [3, 2, 3])
  }

  /// A data set's own lists, another subset, and what is said.
  static let absent: [(fixture: String, subset: String, says: [String])] = [
    (
      "msd", "musicnn",
      ["train_gt_msd.tsv, val_gt_msd.tsv, test_gt_msd.tsv", "--subset choi", "musicnn-training"]
    ),
    ("msd-lists", "choi", ["valid_x_msd_id.txt", "--subset musicnn", "MSD_split_for_tagging"]),
    (
      "magnatagatune", "musicnn", ["val_gt_mtt.tsv", "is --subset annotations", "musicnn-training"]
    ),
    ("mtg-jamendo", "genre", ["autotagging_genre-validation.tsv", "is --subset moodtheme"]),
    ("gtzan", "stratified", ["valid_stratified.txt", "is --subset filtered"]),
  ]

  @Test("lists of a subset that are not there are named, and what is there", arguments: absent)
  func absentSubset(fixture: String, subset: String, says: [String]) throws {
    let fixture = ImporterFixture.named(fixture)
    let error = try #require(try thrown { _ = try fixture.imported { $0.subset = subset } })
    #expect(error.code == .missing)
    for word in says + [fixture.url.path] { #expect(error.description.contains(word), "\(error)") }
  }

  @Test("strings in Python's lists have Python's escapes")
  func escapes() throws {
    let fixture = ImporterFixture.named("msd")
    func tags(_ list: String) throws -> [String] {
      let folder = try fixture.copy()
      try Data(list.utf8).write(to: folder.file("data/tags.py"))
      return try fixture.imported(from: folder.file("data")).tags
    }
    let list = #"""
      T = ['rock\\n\'roll', "\"jazz\"", 'd\x72um\u00e9\101 \
      \U0001F3B5', 'R\\&B \d']
      """#
    #expect(try tags(list) == [#"rock\n'roll"#, #""jazz""#, "druméA 🎵", #"R\&B \d"#])
    for (string, words) in [
      ("\\x4", "2 hexadecimal digits"), ("\\uD800", "no character"), ("\\x4g", "hexadecimal"),
      ("\\t", "control character"), ("\\", "not closed"),
    ] {
      let error = try thrown { _ = try tags("['a', 'b', 'c', '\(string)']") }
      #expect(error?.description.contains(words) == true, "\(string): \(error as Any)")
    }
  }

  @Test("known broken clips are left out and said, and a strict import refuses them")
  func broken() throws {
    let fixture = ImporterFixture.named("magnatagatune")
    let imported = try fixture.imported()
    #expect(imported.report.defects.counts == [.knownBroken: 1])
    #expect(imported.manifest.records.allSatisfy { $0.id != "35644" })
    let error = try thrown { _ = try fixture.imported { $0.policy = .strict } }
    #expect(error?.description.contains("annotations_final.csv, line 5") == true)
    #expect(error?.description.contains("without --strict") == true)
  }

  @Test("clips of the index that no list has are counted")
  func unlisted() throws {
    let report = try ImporterFixture.named("magnatagatune-lists").imported().report
    #expect(report.defects.counts == [.unlabelled: 1])
  }

  @Test("paths get the extension that the user's files have")
  func suffix() throws {
    let msd = try ImporterFixture.named("msd").imported { $0.audioSuffix = ".mp3" }
    #expect(msd.manifest.records[0].path == "1/1/110.mp3")
    let gtzan = try ImporterFixture.named("gtzan").imported { $0.audioSuffix = ".au" }
    #expect(gtzan.manifest.records[0].path == "blues/blues.00000.au")
  }

  @Test("lists are found under a collection's prefix, unless two could be meant")
  func prefixes() throws {
    let fixture = ImporterFixture.named("gtzan")
    let folder = try fixture.copy()
    func move(_ name: String, _ other: String) throws {
      try FileManager.default.moveItem(at: folder.file("data/\(name)"), to: folder.file(other))
    }
    try move("train_filtered.txt", "data/some_train_filtered.txt")
    #expect(try fixture.imported(from: folder.file("data")).report.kept == [3, 2, 2])
    try FileManager.default.copyItem(
      at: folder.file("data/some_train_filtered.txt"),
      to: folder.file("data/other_train_filtered.txt"))
    let error = try thrown { _ = try fixture.imported(from: folder.file("data")) }
    #expect(error?.detail.contains("other_train_filtered.txt and some_train_filtered.txt") == true)
  }

  @Test("a folder of folders is a data set of one label a clip")
  func folders() throws {
    let folder = try TemporaryFolder()
    for genre in ["blues", "jazz"] {
      try FileManager.default.createDirectory(
        at: folder.file(genre), withIntermediateDirectories: true)
      for number in 0..<8 {
        try Data().write(to: folder.file("\(genre)/\(genre).\(number).au"))
      }
      try Data().write(to: folder.file("\(genre)/notes.txt"))
    }
    let imported = try ImporterFixture.named("gtzan").imported(from: folder.url)
    #expect(imported.report.kept == [8, 4, 4])
    #expect(imported.tags == ["blues", "jazz"])
    #expect(imported.report.defects.counts == [.ignoredFile: 2])
    #expect(
      imported.manifest.records.filter { $0.split == .test }.map(\.id) == [
        "blues/blues.3.au", "blues/blues.7.au", "jazz/jazz.3.au", "jazz/jazz.7.au",
      ])
  }

  @Test("every importer has a fixture and a line in the help")
  func registry() {
    #expect(Set(ImporterFixture.all.map(\.importer)) == Set(Importers.all.map(\.name)))
    #expect(Importers.all.allSatisfy { !$0.summary.isEmpty })
    #expect(Importers.named("nothing") == nil)
  }
}

@Suite("Tag selection") struct TagSelectionTests {
  private func imported(_ change: (inout TagSelection) -> Void) throws -> Imported {
    try ImporterFixture.named("csv").imported { change(&$0.selection) }
  }

  @Test("the most frequent of the training split come first, of equal ones the first by name")
  func top() throws {
    let imported = try imported { $0.top = 2 }
    #expect(imported.tags == ["piano", "slow"])
    #expect(imported.report.droppedTags.map(\.tag) == ["choir", "rare"])
    #expect(imported.manifest.records.map(\.id) == ["c1", "c2", "c3", "c4"])
    #expect(imported.manifest.records[2].tags == ["slow"])
    #expect(imported.report.untagged == [0, 1, 1])
  }

  @Test("rare tags go by their number of training clips")
  func minimumCount() throws {
    #expect(try imported { $0.minimumCount = 1 }.tags == ["choir", "piano", "slow"])
    #expect(try imported { $0.minimumCount = 2 }.tags == ["piano", "slow"])
  }

  @Test("clips without labels are dropped or kept, and counted")
  func untagged() throws {
    let kept = try imported { $0.keepsUntagged = true }
    #expect(kept.report.kept == [3, 2, 1])
    #expect(kept.report.untagged == [0, 1, 0])
    #expect(kept.manifest.records.contains { $0.id == "c5" && $0.tags.isEmpty })
    #expect(kept.report.lines.contains { $0.contains("1 clip without any of the labels, kept") })
    let dropped = try imported { _ in }
    #expect(dropped.report.kept == [3, 1, 1])
    #expect(dropped.report.lines.contains { $0.contains("dropped; --keep-untagged") })
  }

  @Test("nothing is counted in a training split that is not there")
  func noTraining() throws {
    let fixture = ImporterFixture.named("gtzan")
    let folder = try fixture.copy()
    try FileManager.default.removeItem(at: folder.file("data/train_filtered.txt"))
    #expect(try fixture.imported(from: folder.file("data")).report.kept == [0, 2, 2])
    let error = try thrown {
      _ = try fixture.imported(from: folder.file("data")) { $0.selection.top = 1 }
    }
    #expect(error?.code == .emptySplit)
  }
}
