import Dataset
import Foundation

extension Target {
  /// The metadata of a public data set: a line with the importer's name, then its files, each behind
  /// `FolderInput.cut` and a line with its name.
  static let importers = Target(
    name: "importers", longest: 4096,
    words: [
      FolderInput.cut, "[", "]", "'", "\\", "[1.0, 0.0]", "TAGS = ", "\u{FEFF}", "\r\n", "\t", "\"\"",
      "track", "set", "subset", "split", "genre_top", "genres_all", "genre_id", "title", "artist",
      "mood/theme---", "TRACK_ID", "35644", "_filtered.txt", "_y.npy", "tags.py", "999999999999999",
    ],
    seeds: {
      try importerSeeds.map { Array($0.utf8) }
        + [Array(msdSeed.utf8) + Array((FolderInput.cut + "train_y.npy\n").utf8) + labels]
    },
    read: { bytes in
      let input = FolderInput(bytes)
      try Scratch.use { scratch in
        try input.write(to: scratch)
        guard let importer = Importers.named(input.head) else { return }
        for genres in importer.name == "fma" ? [.top, .all] : [ImportRequest.Genres.top] {
          for policy in [DefectPolicy.skip, .strict] {
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
    expect(!imported.manifest.records.isEmpty && !imported.report.lines.isEmpty, "nothing is left")
  }

  private static let labels = array("<f4", "(2, 50)", (0..<100).map { Float($0 % 2) })
}

private let importerSeeds = [
  "csv\n--cut--tags.csv\nclip_id,path,split,tags\na,a.wav,train,x\nb,b.wav,test,x|y\n",
  """
  fma
  --cut--genres.csv
  genre_id,#tracks,parent,title,top_level
  10,3,0,Pop,10
  12,5,0,"Rock, ""old""",12
  --cut--tracks.csv
  ,artist,set,set,track,track,track
  ,id,split,subset,genre_top,genres,genres_all
  track_id,,,,,,
  2,1,training,small,Pop,[10],"[10, 12]"
  3,2,test,large,,[],[12]

  """,
  "gtzan\n--cut--train_filtered.txt\nblues/blues.00000.wav\njazz/jazz.00003.wav\n"
    + "--cut--valid_filtered.txt\nblues/blues.00011.wav\n",
  "magnatagatune\n--cut--annotations_final.csv\n\"clip_id\"\t\"slow\"\t\"harp\"\t\"mp3_path\"\n"
    + "\"2\"\t\"0\"\t\"1\"\t\"0/ann-first-01-air-0-29.mp3\"\n\"35644\"\t\"1\"\t\"0\"\t\"6/cat.mp3\"\n",
  "magnatagatune\n--cut--index_mtt.tsv\n2\t0/a-b-01-c-0-29.mp3\n6\tc/d.mp3\n"
    + "--cut--output_labels_mtt.txt\nL = ['slow', \"h'arp\"]\n--cut--train_gt_mtt.tsv\n2\t[1.0, 0.0]\n",
  "mtg-jamendo\n--cut--autotagging_moodtheme-train.tsv\nTRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION"
    + "\tTAGS\r\nt1\ta5\tb1\t01/901.mp3\t187.4\tmood/theme---calm\tmood/theme---film\r\n",
  "msd\n--cut--index_msd.tsv\nTRA\tA/A.mp3\nTRB\tA/B.mp3\n--cut--tags.txt\n"
    + "--cut--output_labels_msd.txt\n['rock', 'jazz']\n--cut--train_gt_msd.tsv\nTRA\t[1, 0]\nTRB\t[0, 1]\n",
]

private let msdSeed = """
  msd
  --cut--train_x_msd_id.txt
  TRAAAA
  TRBBBB
  --cut--train_x_filename.txt
  1/1/110.npy
  2/2/220.npy

  """
