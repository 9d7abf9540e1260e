import Foundation

/// The folder with a data set's lists and tables.
///
/// Collections rename what they gather by a prefix (`musicnn_index_mtt.tsv`), so a file is also found
/// under its name behind an underscore.
struct MetadataFolder {
  let url: URL
  /// Names of what lies in it, sorted.
  let names: [String]

  init(_ url: URL) throws {
    self.url = url
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else {
      throw DatasetError(
        .missing, attempt: Self.attempt, path: url.path,
        detail: "there is no such folder, or it may not be read; --metadata names the folder of "
          + "the data set's lists")
    }
    // What begins with a dot is some system's own (macOS leaves a ._x beside every x).
    self.names = names.filter { !$0.hasPrefix(".") }.sorted(by: utf8Precedes)
  }

  /// - Throws: if several files go by that name
  func file(_ name: String) throws -> URL? {
    if names.contains(name) { return url.appendingPathComponent(name) }
    let found = names.filter { $0.hasSuffix("_" + name) }
    guard found.count <= 1 else {
      throw DatasetError(
        .malformed, attempt: Self.attempt, path: url.path,
        detail: "\(found.joined(separator: " and ")) could both be \(name); move one away")
    }
    return found.first.map(url.appendingPathComponent)
  }

  /// - Parameter advice: where to get it
  func required(_ name: String, _ advice: String) throws -> SourceText {
    guard let url = try file(name) else {
      throw DatasetError(
        .missing, attempt: Self.attempt, path: url.path,
        detail: "there is no \(name); \(advice)")
    }
    return try SourceText(url)
  }

  /// The one of several kinds of list to read: the one asked for, or the only one there.
  ///
  /// - Parameters:
  ///   - kinds: names for `--subset`, each with the files of which one at least must be there
  ///   - expected: what the folder should hold, for people
  func choice(
    of kinds: [(name: String, files: [String])], asked: String?, expected: String
  ) throws -> String {
    let there = try kinds.filter { kind in
      guard asked == nil || asked == kind.name else { return false }
      return try kind.files.contains { try file($0) != nil }
    }.map(\.name)
    guard let first = there.first else {
      throw DatasetError(
        .missing, attempt: Self.attempt, path: url.path, detail: "there is no \(expected)")
    }
    guard there.count == 1 else {
      throw DatasetError(
        .malformed, attempt: Self.attempt, path: url.path,
        detail: "there are several sets of lists; choose one with --subset "
          + there.joined(separator: " or --subset "))
    }
    return first
  }

  private static let attempt = "read a data set's description"
}
