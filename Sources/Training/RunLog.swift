/// A run's `metrics.jsonl`: one JSON object a line, one line for each step, each validation
/// and each term.
///
/// A line is written by a single call, so a reader following the file sees whole lines, and a crash
/// tears at most the last one. On resuming from a checkpoint the lines after its step are cut off,
/// so that the log has each step once; so is the line of a run's end, which was none.

import Foundation

/// A line of the log: names and values in the order in which they are written.
package struct LogRecord: Equatable, Sendable {
  package enum Value: Equatable, Sendable {
    case integer(Int)
    case number(Double)
    case text(String)
    case flag(Bool)
    case numbers([Double])
    case texts([String])
    case none
  }

  package private(set) var fields: [(name: String, value: Value)]

  /// - Parameters:
  ///   - kind: what the line is about, as in `step` or `validation`
  ///   - step: updates made so far; it decides what is cut off on resuming
  package init(_ kind: String, step: Int, _ fields: KeyValuePairs<String, Value> = [:]) {
    self.fields = [("kind", .text(kind)), ("step", .integer(step))]
    for (name, value) in fields { self.fields.append((name, value)) }
  }

  package mutating func append(_ name: String, _ value: Value) { fields.append((name, value)) }

  /// The line, without its end. JSON has no NaN and no infinity: they become null.
  package var json: String { "{" + Self.json(fields) + "}" }

  /// What stands between an object's braces.
  static func json(_ fields: [(name: String, value: Value)]) -> String {
    fields.map { "\($0.name.quotedAsJSON):\($0.value.json)" }.joined(separator: ",")
  }

  package static func == (a: LogRecord, b: LogRecord) -> Bool { a.json == b.json }
}

extension LogRecord.Value {
  fileprivate var json: String {
    switch self {
    case .integer(let value): String(value)
    case .number(let value): value.isFinite ? value.description : "null"
    case .text(let value): value.quotedAsJSON
    case .flag(let value): String(value)
    case .numbers(let values):
      "[" + values.map { Self.number($0).json }.joined(separator: ",") + "]"
    case .texts(let values): "[" + values.map(\.quotedAsJSON).joined(separator: ",") + "]"
    case .none: "null"
    }
  }
}

package final class RunLog {
  package let path: String
  private let descriptor: Int32

  /// Opens the log at `path` for appending; creates it if there is none.
  ///
  /// - Throws: `FileError`
  package init(path: String) throws {
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileError("open", path: path, errno: errno) }
    self.path = path
  }

  deinit { close(descriptor) }

  /// Appends one line.
  ///
  /// - Throws: `FileError`; what was written of the line is taken back
  package func append(_ record: LogRecord) throws {
    var line = record.json + "\n"
    let start = lseek(descriptor, 0, SEEK_END)
    try line.withUTF8 { bytes in
      var written = write(descriptor, bytes.baseAddress, bytes.count)
      while written < 0 && errno == EINTR {
        written = write(descriptor, bytes.baseAddress, bytes.count)
      }
      guard written == bytes.count else {
        let reason = written < 0 ? errno : ENOSPC
        if written > 0 && start >= 0 { _ = ftruncate(descriptor, start) }
        throw FileError("write", path: path, errno: reason)
      }
    }
  }

  /// Removes the lines after `step`, and lines that a crash tore; returns how many of each.
  ///
  /// A missing log has nothing to cut. The file is replaced atomically, and only if it changes.
  package static func cut(
    _ path: String, after step: Int, fileSystem: FileSystem = .real
  ) throws -> (later: Int, torn: Int) {
    struct Head: Decodable {
      let step: Int
      let kind: String?
    }
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
    } catch {
      guard access(path, F_OK) == 0 else { return (0, 0) }
      throw FileError("read", path: path, errno: errno)
    }
    let decoder = JSONDecoder()
    var kept: [Range<Int>] = []
    var (later, torn) = (0, 0)
    var start = data.startIndex
    while start < data.endIndex {
      let newline = data[start...].firstIndex(of: UInt8(ascii: "\n"))
      let end = newline ?? data.endIndex
      if newline != nil, let head = try? decoder.decode(Head.self, from: data[start..<end]) {
        if head.step <= step && head.kind != "end" {
          if kept.last?.upperBound == start {
            kept[kept.count - 1] = kept[kept.count - 1].lowerBound..<end + 1
          } else {
            kept.append(start..<end + 1)
          }
        } else {
          later += 1
        }
      } else {
        torn += 1
      }
      start = end + 1
    }
    guard later + torn > 0 else { return (0, 0) }
    try AtomicFile.write(path, fileSystem: fileSystem) { file in
      for range in kept { try file.append(data[range].bytes) }
    }
    return (later, torn)
  }
}
