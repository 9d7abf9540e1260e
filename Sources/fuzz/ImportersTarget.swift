import Dataset
import Foundation

extension Target {
  /// The metadata of a public data set: a line with the importer's name, then its files, each behind
  /// `FolderInput.cut` and a line with its name.
  static let importers = Target(
    name: "importers", longest: 4096,
    words: [
      FolderInput.cut, "[", "]", "'", "\\", "[1.0, 0.0]", "TAGS = ", "\u{FEFF}", "\r\n", "\t",
      "\"\"",
      "track", "set", "subset", "split", "genre_top", "genres_all", "genre_id", "title", "artist",
      "mood/theme---", "TRACK_ID", "35644", "_filtered.txt", "_y.npy", "tags.py", "999999999999999",
    ],
    seeds: { importerSeeds.map(\.bytes) },
    read: { bytes in
      let input = FolderInput(bytes)
      try Scratch.use { scratch in
        try input.write(to: scratch)
        guard let importer = Importers.named(input.head) else { return }
        for genres in importer.name == "fma" ? [.top, .all] : [ImportRequest.Genres.top] {
          for policy in [DefectPolicy.skip, .refuse] {
            var request = ImportRequest(metadata: scratch.folder)
            if importer.name == "csv" {
              request.metadata = scratch.folder.appendingPathComponent("tags.csv")
            }
            (request.genres, request.policy) = (genres, policy)
            try check(request.imported(by: importer))
          }
        }
      }
    })

  private static func check(_ imported: Imported) throws {
    let tags = Set(imported.tags)
    expect(tags.count == imported.tags.count, "a tag is there twice: \(imported.tags)")
    for record in imported.manifest.records {
      expect(record.tags.allSatisfy(tags.contains), "\(record) has a tag that is none")
      expect(
        !record.path.hasPrefix("/") && !record.path.hasPrefix("../"), "unsafe: \(record.path)")
    }
    let account = imported.report
    let dropped = account.dropped.reduce(0) { $0 + $1.rows }
    expect(account.clipRows == account.kept.reduce(0, +) + dropped, "\(account.summary)")
    let report = imported.report.lines.joined(separator: "\n")
    expect(!imported.manifest.records.isEmpty && isReadable(report), "a report: \(report)")
  }
}

/// A small data set of each kind, as its authors would publish it.
private let importerSeeds: [FolderInput] = [
  FolderInput(
    "csv",
    texts: [("tags.csv", "clip_id,path,split,tags\na,a.wav,train,x\nb,b.wav,test,x|y\n")]),
  FolderInput(
    "fma",
    texts: [
      ("genres.csv", "genre_id,#tracks,title\n10,3,Pop\n12,5,\"Rock, \"\"old\"\"\"\n"),
      (
        "tracks.csv",
        ",artist,set,set,track,track\n,id,split,subset,genre_top,genres_all\ntrack_id,,,,,\n"
          + "2,1,training,small,Pop,\"[10, 12]\"\n3,2,test,large,,[12]\n"
      ),
    ]),
  FolderInput(
    "gtzan",
    texts: [
      ("train_filtered.txt", "blues/blues.00000.wav\njazz/jazz.00003.wav\n"),
      ("valid_filtered.txt", "blues/blues.00011.wav\n"),
      ("test_filtered.txt", "jazz/jazz.00012.wav\n"),
    ]),
  FolderInput(
    "magnatagatune",
    texts: [
      (
        "annotations_final.csv",
        "\"clip_id\"\t\"slow\"\t\"harp\"\t\"mp3_path\"\n"
          + "\"2\"\t\"0\"\t\"1\"\t\"0/ann-first-01-air-0-29.mp3\"\n"
          + "\"35644\"\t\"1\"\t\"0\"\t\"6/cat.mp3\"\n"
      )
    ]),
  FolderInput(
    "magnatagatune",
    texts: [
      ("index_mtt.tsv", "2\t0/a-b-01-c-0-29.mp3\n6\tc/d.mp3\n"),
      ("output_labels_mtt.txt", "# Tags\nL = ['slow', \"h'arp\"]\n"),
      ("train_gt_mtt.tsv", "2\t[1.0, 0.0]\n"),
    ]),
  FolderInput(
    "mtg-jamendo",
    texts: [
      (
        "autotagging_moodtheme-train.tsv",
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\r\n"
          + "t1\ta5\tb1\t01/901.mp3\t187.4\tmood/theme---calm\tmood/theme---film\r\n"
      )
    ]),
  FolderInput(
    "msd",
    texts: [
      ("index_msd.tsv", "TRA\tA/A.mp3\nTRB\tA/B.mp3\n"),
      ("output_labels_msd.txt", "['rock', 'jazz']\n"),
      ("train_gt_msd.tsv", "TRA\t[1, 0]\nTRB\t[0, 1]\n"),
    ]),
  FolderInput(
    "msd",
    texts: [
      ("tags.py", "TAGS = ['rock', 'jazz',\n  \"drum'n'bass\"]\n"),
      ("train_x_msd_id.txt", "TRAAAA\nTRBBBB\n"),
      ("train_x_filename.txt", "1/1/110.npy\n2/2/220.npy\n"),
    ], others: [("train_y.npy", Target.array("<f4", "(2, 3)", [1, 0, 0, 0, 1, 1] as [Float]))]),
]
