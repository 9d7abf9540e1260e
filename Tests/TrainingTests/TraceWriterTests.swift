import Foundation
import Testing
import Training

@Suite("A trace's file")
struct TraceWriterTests {
  let folder: TemporaryFolder
  var path: String { folder / "trace.json" }

  init() throws { folder = try TemporaryFolder() }

  private func event(_ name: String) -> String {
    LogRecord("event", step: 0, ["name": .text(name)]).json
  }

  private func names() throws -> [String] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let events = try JSONSerialization.jsonObject(with: data) as? [[String: Any]]
    return try #require(events).compactMap { $0["name"] as? String }
  }

  @Test("is an array after every block, and holds what came before it")
  func blocks() throws {
    let writer = try TraceWriter(path: path)
    let text = String(repeating: "x", count: 1000)
    var blocks = 0
    for count in 1...500 {
      let before = try Data(contentsOf: URL(fileURLWithPath: path)).count
      try writer.append(event(text), at: .zero)
      let after = try Data(contentsOf: URL(fileURLWithPath: path)).count
      guard after != before else { continue }
      blocks += 1
      // Nothing waits after a block, and never much.
      #expect(try names().count == count)
      #expect(after - before < TraceWriter.block.bytes + 2000)
    }
    // With what stands between them, it takes so many to fill one.
    let size = event(text).utf8.count + 2
    #expect(blocks == 500 / ((TraceWriter.block.bytes + size - 1) / size))
    try writer.flush()
    #expect(try names().count == 500)
  }

  @Test("keeps nothing waiting for longer than a second, if there is more")
  func time() throws {
    let writer = try TraceWriter(path: path)
    try writer.append(event("a"), at: .seconds(5))
    try writer.append(event("b"), at: .milliseconds(5900))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).isEmpty)
    try writer.append(event("c"), at: .seconds(6))
    #expect(try names() == ["a", "b", "c"])
    try writer.append(event("d"), at: .seconds(6))
    #expect(try names().count == 3)
  }

  @Test("takes the place of another trace, of an empty file, and of nothing else")
  func replaced() throws {
    try RunTrace.write(to: path, run: "first, with a longer name")
    try RunTrace.write(to: path, run: "next")
    #expect(try names() == ["process_name", "thread_name", "thread_sort_index"])
    #expect(FileManager.default.createFile(atPath: folder / "empty", contents: nil))
    _ = try TraceWriter(path: folder / "empty")

    for text in ["[\n", "[\n{\"a\": 1}\n]\n", "seed: 1\n", String(repeating: "[", count: 99)] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: RunError.self) { try TraceWriter(path: path) }
      #expect(error?.code == .exists && error?.description.contains(path) == true)
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(text.utf8))
    }
  }

  @Test("of a run that does not begin leaves things as they were")
  func nothing() throws {
    do { _ = try RunTrace(writingTo: path) }
    #expect(try folder.names.isEmpty)
    try RunTrace.write(to: path, run: "one")
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    do { _ = try RunTrace(writingTo: path) }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
  }

  @Test("is refused where it cannot be written, and to a second writer")
  func refusals() throws {
    mkfifo(folder / "pipe", 0o600)
    for (path, reason) in [(folder / "no/trace.json", ENOENT), (folder.path, EISDIR)] {
      #expect(throws: FileError("open", path: path, errno: reason)) { try TraceWriter(path: path) }
    }
    #expect(throws: FileError.self) { try TraceWriter(path: folder / "pipe") }
    let first = try TraceWriter(path: path)
    let error = #expect(throws: RunError.self) { try TraceWriter(path: path) }
    #expect(error?.code == .inUse)
    first.close()
    _ = try TraceWriter(path: path)
  }

  @Test("on a disk that fills up stays an array", .enabled(if: FullDisk.isPossible))
  func fullDisk() throws {
    let disk = try FullDisk(at: folder.path)
    let writer = try TraceWriter(path: path)
    let text = String(repeating: "x", count: 1000)
    var count = 0
    let error = #expect(throws: FileError.self) {
      while true {
        try writer.append(event(text), at: .zero)
        count += 1
      }
    }
    #expect(error?.errno == ENOSPC)
    #expect(try (1...count).contains(names().count))
    writer.close()
    disk.unmount()
  }
}

extension RunTrace {
  /// A trace in which nothing happens.
  fileprivate static func write(to path: String, run: String) throws {
    let trace = try RunTrace(writingTo: path)
    trace.begin(run: run) { Issue.record("\($0)") }
    trace.end()
  }
}
