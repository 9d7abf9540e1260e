import Dataset
import Foundation
import Testing

private let source = URL(fileURLWithPath: "/music/tags.csv")

private func read(_ text: String) throws -> TagsFile {
  try TagsFile(Array(text.utf8), source: source)
}

@Suite struct TagsFileTests {
  @Test("quotes, byte order mark, CRLF, empty lines and any order of columns are read")
  func dialects() throws {
    let file = try read(
      "\u{FEFF}split,title,tags,path,clip_id,work\r\n"
        + "train,\"Nocturne, \"\"the\"\"\r\nfirst\", slow | piano |slow,a/1.wav,\"c,1\",Op. 9\r\n"
        + "\r\n"
        + "test,x,,b.wav,c2,")
    #expect(file.ignoredColumns == ["title"])
    #expect(
      file.manifest.records == [
        ClipRecord(
          id: "c,1", path: "a/1.wav", split: .train, work: "Op. 9", tags: ["piano", "slow"],
          source: "/music/tags.csv", line: 2),
        ClipRecord(
          id: "c2", path: "b.wav", split: .test, tags: [], source: "/music/tags.csv", line: 5),
      ])
    #expect(file.manifest.tags == ["piano", "slow"])
  }

  @Test("a tag is one tag whichever way its accents were typed")
  func composedTags() throws {
    let file = try read("clip_id,path,split,tags\na,a,train,caf\u{E9}\nb,b,train,cafe\u{301}\n")
    #expect(
      file.manifest.tags.map { Array($0.unicodeScalars) } == [Array("caf\u{E9}".unicodeScalars)])
  }

  struct Refusal: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let rows: String
    let code: DatasetError.Code
    let line: Int?
    let mentions: String
    var header = "clip_id,path,split,work,tags\n"
  }

  static let refusals: [Refusal] = [
    .init(
      testDescription: "empty file", rows: "", code: .missingColumn, line: 1, mentions: "empty",
      header: ""),
    .init(
      testDescription: "missing column", rows: "", code: .missingColumn, line: 1,
      mentions: "column split", header: "clip_id,path,tags\n"),
    .init(
      testDescription: "column twice", rows: "", code: .malformed, line: 1, mentions: "twice",
      header: "clip_id,path,split,tags,path\n"),
    .init(
      testDescription: "no rows", rows: "", code: .noClips, line: nil, mentions: "no clips"),
    .init(
      testDescription: "short row", rows: "a,a.wav,train,,x\nb,b.wav,train\n", code: .malformed,
      line: 3, mentions: "3 fields"),
    .init(
      testDescription: "long row", rows: "a,a.wav,train,,x,y\n", code: .malformed, line: 2,
      mentions: "6 fields"),
    .init(
      testDescription: "open quote", rows: "a,a.wav,train,,x\n\"b,b.wav\n\n", code: .malformed,
      line: 3, mentions: "never closed"),
    .init(
      testDescription: "text after quote", rows: "\"a\"b,a.wav,train,,x\n", code: .malformed,
      line: 2, mentions: "closing quote"),
    .init(
      testDescription: "quote inside", rows: "a,12\" mix.wav,train,,x\n", code: .malformed, line: 2,
      mentions: "inside a field"),
    .init(
      testDescription: "lone carriage return", rows: "a,a.wav,train,,x\rb", code: .malformed,
      line: 2, mentions: "line feed"),
    .init(
      testDescription: "unknown split", rows: "a,a.wav,Train,,x\n", code: .unknownSplit, line: 2,
      mentions: "\"Train\""),
    .init(
      testDescription: "repeated id",
      rows: "a,a.wav,train,,x\nb,b.wav,train,,x\na,c.wav,train,,x\n",
      code: .duplicate, line: 4, mentions: "line 2"),
    .init(
      testDescription: "repeated file", rows: "a,a.wav,train,,x\nb,a.wav,train,,x\n",
      code: .duplicate, line: 3, mentions: "line 2"),
    .init(
      testDescription: "file in two splits", rows: "a,a.wav,train,,x\nb,a.wav,test,,x\n",
      code: .leakage, line: 3, mentions: "train split"),
    .init(
      testDescription: "work in two splits",
      rows: "a,a.wav,train,W,x\nb,b.wav,train,W,x\nc,c.wav,test,W,x\n", code: .leakage, line: 4,
      mentions: "work \"W\""),
    .init(
      testDescription: "absolute path", rows: "a,/etc/passwd,train,,x\n", code: .unsafePath,
      line: 2,
      mentions: "absolute"),
    .init(
      testDescription: "path that leaves the folder", rows: "a,x/../../b.wav,train,,x\n",
      code: .unsafePath, line: 2, mentions: "leads out"),
    .init(
      testDescription: "empty id", rows: ",a.wav,train,,x\n", code: .malformed, line: 2,
      mentions: "id is empty"),
    .init(
      testDescription: "empty path", rows: "a,,train,,x\n", code: .malformed, line: 2,
      mentions: "path of clip \"a\""),
    .init(
      testDescription: "empty tag", rows: "a,a.wav,train,,x||y\n", code: .malformed, line: 2,
      mentions: "empty tag"),
    .init(
      testDescription: "control character", rows: "a,a\0.wav,train,,x\n", code: .malformed, line: 2,
      mentions: "control character"),
  ]

  @Test("what is wrong is refused with its line and a sentence", arguments: refusals)
  func refuses(_ refusal: Refusal) throws {
    let error = try #require(try thrown { _ = try read(refusal.header + refusal.rows) })
    #expect(error.code == refusal.code)
    #expect(error.line == refusal.line)
    #expect(error.description.contains(refusal.mentions), "\(error)")
    #expect(error.description.contains("/music/tags.csv"))
    #expect(error.exitCode == 65)
  }

  @Test("bytes that are not UTF-8 are refused with their line")
  func latin1() throws {
    let bytes = Array("clip_id,path,split,tags\na,a,train,x\nb,caf".utf8) + [0xE9, 0x0A]
    let error = try thrown { _ = try TagsFile(bytes, source: source) }
    #expect(error?.code == .malformed)
    #expect(error?.line == 3)
  }

  @Test("dots that stay inside the folder are allowed")
  func harmlessDots() throws {
    let file = try read("clip_id,path,split,tags\na,./x/../b..c.wav,train,x\n")
    #expect(file.manifest.records.count == 1)
  }

  @Test("a file that is not there, or is a folder, is refused")
  func unreadable() throws {
    let folder = try TemporaryFolder()
    #expect(try thrown { _ = try TagsFile(folder.file("nothing.csv")) }?.code == .missing)
    #expect(try thrown { _ = try TagsFile(folder.url) }?.code == .inputOutput)
  }
}
