import Dataset
import Foundation
import Synthesis

/// The data set that comes with Tutti: tunes that it arranges and plays itself, made once and kept in
/// the user's cache folder.
package enum EmbeddedDataset {
  package static let clips = 240
  package static let seed: UInt64 = 1
  /// Goes up when the tunes, the synthesis or the features change.
  private static let edition = 2

  /// `$XDG_CACHE_HOME/tutti` or `~/.cache/tutti`.
  package static var cache: URL {
    let environment = ProcessInfo.processInfo.environment
    func folder(_ name: String) -> URL? {
      environment[name].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
    }
    let home = folder("HOME") ?? FileManager.default.homeDirectoryForCurrentUser
    return (folder("XDG_CACHE_HOME") ?? home.appendingPathComponent(".cache"))
      .appendingPathComponent("tutti")
  }

  /// Where copies of coordinators' stores lie.
  package static var copies: URL { cache.appendingPathComponent("stores") }

  private static var folder: URL { cache.appendingPathComponent("embedded-\(edition)") }
  private static var store: URL { folder.appendingPathComponent("store") }

  /// The store, if it was made.
  static var finishedStore: Store? { try? Store(store) }

  /// The store, made now if it is not there. Only one process at a time makes it.
  ///
  /// - Parameter progress: what is being done, how much of it is done, and how much there is
  package static func store(
    progress: @escaping @Sendable (_ what: String, _ done: Int, _ total: Int) -> Void
  ) throws -> URL {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw TrainingError(
        .unavailable,
        "cannot make the cache folder \(folder.path): \(error.localizedDescription); "
          + "set XDG_CACHE_HOME to a folder that can be written")
    }
    let lock = open(folder.appendingPathComponent("lock").path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    defer { if lock >= 0 { close(lock) } }
    if lock >= 0 { while flock(lock, LOCK_EX) == -1 && errno == EINTR {} }
    if (try? Store(store)) != nil { return store }

    // Nothing here is anybody's work: what is not whole is made anew.
    let audio = folder.appendingPathComponent("audio")
    for leftover in [audio, store] { try? FileManager.default.removeItem(at: leftover) }
    let threads = ProcessInfo.processInfo.activeProcessorCount
    try Synthesis.synthesize(
      into: audio.path, clips: clips, seed: seed, threads: threads
    ) { progress("synthesizing the embedded data set", $0, clips) }
    let manifest = try TagsFile(audio.appendingPathComponent("tags.csv")).manifest
    let preparation = Preparation(
      manifest: manifest, tags: manifest.tags, audio: audio, store: store)
    _ = try preparation.run { progress("computing its features", $1, $2) }
    try? FileManager.default.removeItem(at: audio)
    return store
  }
}
