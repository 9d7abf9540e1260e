import Cluster
import Foundation

/// Which run this is, and which life of its coordinator.
///
/// The wire tells messages of other runs and of earlier lives by it. It is no part of a checkpoint.
package struct RunTerm: Equatable, Sendable {
  package let run: RunID
  package let number: UInt32
}

extension RunFolder {
  private var termPath: String { path + "/.term" }

  /// Begins another term: the first of a new run, or the one after the last that began here.
  ///
  /// - Throws: `FileError`
  package func beginTerm() throws -> RunTerm {
    let words = (try? String(contentsOfFile: termPath, encoding: .utf8))?.split(separator: " ")
    let term: RunTerm
    if let words, words.count == 2, let run = RunID(String(words[0])), let last = UInt32(words[1]) {
      term = RunTerm(run: run, number: last &+ 1)
    } else {
      term = RunTerm(run: .random(), number: 1)
    }
    try AtomicFile.write(termPath, fileSystem: fileSystem) { file in
      try file.append("\(term.run) \(term.number)")
    }
    return term
  }
}

/// Which store a run trains on, on this machine: a checkpoint knows its fingerprint, not its place.
extension RunFolder {
  private static func storePath(_ run: String) -> String { run + "/.store" }

  /// - Throws: `FileError`
  package func remember(store: URL) throws {
    try AtomicFile.write(Self.storePath(path), fileSystem: fileSystem) { file in
      try file.append(store.standardizedFileURL.path)
    }
  }

  /// The store of the run in `folder`; nil if that is the embedded data set's, which is made again where
  /// it is gone.
  ///
  /// - Throws: `TrainingError.badInput` if another is gone, or it is not known which: what the user did not
  ///   name would be no better
  package static func rememberedStore(of folder: String) throws -> URL? {
    guard let path = try? String(contentsOfFile: storePath(folder), encoding: .utf8) else {
      // Without a run there, somebody else has the better words.
      guard FileManager.default.fileExists(atPath: folder + "/config.yaml") else { return nil }
      throw TrainingError(
        .badInput,
        "\(folder) does not say on which store it was trained (\(storePath(folder)) is gone or damaged): "
          + "give --data its place")
    }
    if path.hasPrefix(EmbeddedDataset.cache.standardizedFileURL.path) { return nil }
    guard FileManager.default.fileExists(atPath: path) else {
      throw TrainingError(
        .badInput,
        "\(folder) was trained on the store \(path), which is not there: give --data its new place")
    }
    return URL(fileURLWithPath: path)
  }
}
