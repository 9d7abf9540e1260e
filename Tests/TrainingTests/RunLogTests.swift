import Foundation
import Testing
import Training

@Suite struct RunLogTests {
  let folder: TemporaryFolder
  var path: String { folder / "metrics.jsonl" }

  init() throws { folder = try TemporaryFolder() }

  func contents() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  func write(_ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }

  @Test("a record is one line, its keys in the order given")
  func json() throws {
    let record = LogRecord(
      "step", step: 3,
      [
        "zeta": .number(0.1), "alpha": .integer(-7), "say \"x\"\n\u{1}": .text("a\\b\tぽ"),
        "nan": .number(.nan), "list": .numbers([1, .infinity, 1e-9]), "flag": .flag(true),
        "nothing": .none,
      ])
    #expect(
      record.json == #"{"kind":"step","step":3,"zeta":0.1,"alpha":-7,"say \"x\"\n\u0001":"#
        + #""a\\b\u0009ぽ","nan":null,"list":[1.0,null,1e-09],"flag":true,"nothing":null}"#)
    let object = try JSONSerialization.jsonObject(with: Data(record.json.utf8)) as? [String: Any]
    #expect(object?.count == 9)
    #expect(object?["say \"x\"\n\u{1}"] as? String == "a\\b\tぽ")
  }

  @Test("lines are appended, by every opening of the log")
  func appends() throws {
    try RunLog(path: path).append(LogRecord("step", step: 1))
    let log = try RunLog(path: path)
    try log.append(LogRecord("step", step: 2))
    try log.append(LogRecord("validation", step: 2))
    #expect(
      try contents() == """
        {"kind":"step","step":1}
        {"kind":"step","step":2}
        {"kind":"validation","step":2}

        """)
  }

  @Test("on resuming, the lines after the checkpoint's step go")
  func cut() throws {
    try write((1...9).map { "{\"step\":\($0)}\n{\"kind\":\"v\",\"step\":\($0)}\n" }.joined())
    let removed = try RunLog.cut(path, after: 6)
    #expect(removed == (6, 0))
    #expect(
      try contents()
        == (1...6).map { "{\"step\":\($0)}\n{\"kind\":\"v\",\"step\":\($0)}\n" }.joined())
    #expect(try RunLog.cut(path, after: 6) == (0, 0))
    #expect(try folder.names == ["metrics.jsonl"])
  }

  @Test(
    "torn lines go, and the whole ones stay",
    arguments: [
      ("{\"step\":1}\n{\"step\":2", "{\"step\":1}\n", 1),
      ("{\"step\":1}\n{\"step\":2}", "{\"step\":1}\n", 1),
      ("{\"step\":1}\n\u{0}\u{0}\u{0}", "{\"step\":1}\n", 1),
      ("{\"step\":1}\n{\"st\n{\"step\":2}\n\n", "{\"step\":1}\n{\"step\":2}\n", 2),
      ("[]\n{\"step\":\"1\"}\n{\"step\":1.5}\n", "", 3),
      ("{", "", 1),
      ("{\"step\":1}\n", "{\"step\":1}\n", 0),
    ])
  func torn(text: String, rest: String, count: Int) throws {
    try write(text)
    #expect(try RunLog.cut(path, after: 5) == (0, count))
    #expect(try contents() == rest)
  }

  @Test("no log and an empty log have nothing to cut")
  func nothing() throws {
    #expect(try RunLog.cut(path, after: 5) == (0, 0))
    try write("")
    #expect(try RunLog.cut(path, after: 5) == (0, 0))
    #expect(try folder.names == ["metrics.jsonl"])
  }

  @Test("a crash while cutting leaves the log as it was, or cut", arguments: 0..<5)
  func crash(call: Int) throws {
    let text = "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n"
    try write(text)
    let crashing = FailingFileSystem(failAt: call, mode: .crash)
    #expect(throws: FailingFileSystem.Crash.self) {
      try RunLog.cut(path, after: 1, fileSystem: crashing.fileSystem)
    }
    #expect(try contents() == (call < 4 ? text : "{\"step\":1}\n"))
  }

  @Test("a log that cannot be opened, and a full disk, are reported with the path")
  func failures() throws {
    let missing = folder / "no/metrics.jsonl"
    #expect(throws: FileError("open", path: missing, errno: ENOENT)) { try RunLog(path: missing) }
    #expect(throws: FileError("write", path: "/dev/full", errno: ENOSPC)) {
      try RunLog(path: "/dev/full").append(LogRecord("step", step: 1))
    }
  }

  @Test("on a disk that fills up, no half line stays", .enabled(if: FullDisk.isPossible))
  func fullDisk() throws {
    let disk = try FullDisk(at: folder.path)
    let log = try RunLog(path: path)
    var written = 0
    let error = #expect(throws: FileError.self) {
      while true {
        let text = String(repeating: "x", count: 3_000)
        try log.append(LogRecord("step", step: written, ["text": .text(text)]))
        written += 1
      }
    }
    #expect(error?.errno == ENOSPC)
    let text = try contents()
    #expect(text.hasSuffix("\"}\n") && text.split(separator: "\n").count == written && written > 5)
    disk.unmount()
  }
}
