import Dataset
import Foundation

extension Target {
  /// A `tags.csv`.
  static let tagsFile = Target(
    name: "csv", longest: 4096,
    words: [
      "clip_id", "path", "split", "work", "tags", "train", "validation", "test", "\u{FEFF}", "\r\n",
      "\"", "\"\"", ",", "|", "../", "/", "\u{301}", "\u{600}", "\t",
    ],
    seeds: { tagsFileSeeds.map { Array($0.utf8) } },
    read: { bytes in
      let source = URL(fileURLWithPath: "/music/tags.csv")
      let records = try TagsFile(bytes, source: source).manifest.records
      // What was understood means the same when it is written out.
      let again = try TagsFile(Array(text(of: records).utf8), source: source).manifest.records
      expect(records.count == again.count, "\(records.count) records, then \(again.count)")
      for (a, b) in zip(records, again) {
        expect(
          (a.id, a.path, a.split, a.work, a.tags) == (b.id, b.path, b.split, b.work, b.tags),
          "\(a) was written and read as \(b)")
      }
    })

  private static func text(of records: [ClipRecord]) -> String {
    let rows = records.map { record in
      [
        record.id, record.path, record.split.rawValue, record.work ?? "",
        record.tags.joined(separator: "|"),
      ]
      .map {
        "\"" + $0.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
          + "\""
      }
      .joined(separator: ",")
    }
    return (["clip_id,path,split,work,tags"] + rows).joined(separator: "\r\n") + "\r\n"
  }
}

private let tagsFileSeeds = [
  "clip_id,path,split,work,tags\n0001,audio/0001.flac,train,Op. 27 No. 2,piano|slow\n",
  "clip_id,path,split,tags\r\na,a.wav,train,x\r\nb,b.wav,validation,y\r\nc,c.wav,test,\r\n",
  "\u{FEFF}split,title,tags,path,clip_id,work\r\n"
    + "train,\"Nocturne, \"\"the\"\"\r\nfirst\", slow | piano |slow,a/1.wav,\"c,1\",Op. 9\r\n\r\n"
    + "test,x,,b/../b.wav,c2,",
  "clip_id,path,split,tags\n1,1.wav,train,caf\u{E9}|ぽっぷ\n2,2.wav,train,cafe\u{301}\n",
]
