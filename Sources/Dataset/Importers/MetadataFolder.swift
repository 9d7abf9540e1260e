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

  /// Lists that belong together, one of several sets that describe a data set.
  struct Lists {
    /// What `--subset` calls them.
    let name: String
    /// One at least must be there.
    let files: [String]
    /// Where to get them.
    let source: String
  }

  /// The one of several sets of lists to read: the one asked for, or the only one there.
  func choice(of sets: [Lists], asked: String?) throws -> String {
    let there = try sets.filter { try $0.files.contains { try file($0) != nil } }.map(\.name)
    let wanted = asked.map { asked in there.filter { $0 == asked } } ?? there
    guard let first = wanted.first else {
      throw DatasetError(
        .missing, attempt: Self.attempt, path: url.path,
        detail: Self.absence(of: sets.filter { asked == nil || asked == $0.name }, there))
    }
    guard wanted.count == 1 else {
      throw DatasetError(
        .malformed, attempt: Self.attempt, path: url.path,
        detail: "there are several sets of lists; choose one with --subset "
          + wanted.joined(separator: " or --subset "))
    }
    return first
  }

  /// - Parameter there: names of the sets that the folder has instead
  private static func absence(of sets: [Lists], _ there: [String]) -> String {
    let looked = sets.map { set in
      let files = set.files.prefix(sets.count == 1 ? set.files.count : 1)
      return files.joined(separator: ", ") + (files.count < set.files.count ? ", …" : "")
        + " (--subset \(set.name))"
    }
    let sources = sets.map(\.source).reduce(into: [String]()) { sources, source in
      if !sources.contains(source) { sources.append(source) }
    }
    return "none of these is there: \(looked.joined(separator: "; "))"
      + (there.isEmpty ? "" : "; what is there is --subset \(there.joined(separator: ", "))")
      + "; get them from \(sources.joined(separator: " or "))"
  }

  private static let attempt = "read a data set's description"
}
