import Foundation

/// A folder taken for one unfinished store: a file named `unfinished` marks it, and a lock on that
/// file, which ends with the process, keeps a second writer away.
final class DirectoryClaim: Sendable {
  static let markerName = "unfinished"
  private static let attempt = "prepare a store"

  private let directory: URL
  private let descriptor: Int32
  private var marker: URL { directory.appendingPathComponent(Self.markerName) }

  /// - Throws: `.occupied` if the folder holds a store or anything else, or is being written
  init(_ directory: URL) throws {
    func occupied(_ detail: String) -> DatasetError {
      DatasetError(.occupied, attempt: Self.attempt, path: directory.path, detail: detail)
    }
    func system() -> DatasetError { .system(Self.attempt, path: directory.path) }
    self.directory = directory
    do {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        .inputOutput, attempt: Self.attempt, path: directory.path,
        detail: "the folder cannot be created; may you write there?")
    }
    func names() throws -> [String] {
      let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      if names.contains(StoreDescription.fileName) {
        throw occupied("a finished store is already there; remove it or choose another folder")
      }
      return names.sorted()
    }
    let present = try names()
    if let other = present.first, !present.contains(Self.markerName) {
      throw occupied("the folder holds other files, such as \(quoted(other)); choose an empty one")
    }
    let path = directory.appendingPathComponent(Self.markerName).path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw system() }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw occupied("another program is preparing a store there; wait for it to finish")
    }
    // Looked at anew: until the lock was ours, another writer may have finished.
    for name in try names() where Self.isOurs(name) {
      try FileManager.default.removeItem(at: directory.appendingPathComponent(name))
    }
  }

  /// Names that an unfinished writer may have left.
  private static func isOurs(_ name: String) -> Bool {
    name.hasSuffix(".partial") || name == ClipTable.fileName || name == "quarantine.csv"
      || (name.hasPrefix("block-") && name.hasSuffix(".f16"))
  }

  /// Takes the mark away once the store is finished.
  func release() throws {
    unlink(marker.path)
    try DurableFile.synchronize(folder: directory)
  }

  deinit { close(descriptor) }
}
