import Foundation

/// A folder taken for one unfinished store: a file named `unfinished` marks it, and a lock on that
/// file, which ends with the process, keeps a second writer away.
final class DirectoryClaim: Sendable {
  static let markerName = "unfinished"
  private static let attempt = "prepare a store"

  private let directory: URL
  private let descriptor: Int32
  private var marker: URL { directory.appendingPathComponent(Self.markerName) }

  /// - Parameter keepsFinishedBlocks: leave what a journal in the folder vouches for, to go on with
  ///   it; otherwise such a folder is refused. Leftovers without a journal are removed
  /// - Throws: `.finished` if the folder holds a store, which is tidied up if its writer could not;
  ///   `.occupied` if it holds anything else; `.busy` if it is being written
  init(_ directory: URL, keepsFinishedBlocks: Bool = false) throws {
    self.directory = directory
    do {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        .inputOutput, attempt: Self.attempt, path: directory.path,
        detail: "the folder cannot be created; may you write there?")
    }
    try Self.requireUsable(directory, keepsFinishedBlocks)
    descriptor = try Self.lock(directory)
    // Looked at anew: until the lock was ours, another writer may have finished.
    let present = try Self.requireUsable(directory, keepsFinishedBlocks, isLocked: true)
    if present.contains(PreparationJournal.fileName) {
      try remove(present.filter(Self.isPartial))
    } else {
      try clear()
    }
  }

  /// Removes all that an unfinished writer has left.
  func clear() throws {
    try remove(FileManager.default.contentsOfDirectory(atPath: directory.path).filter(Self.isOurs))
  }

  /// Takes the mark away once the store is finished.
  func release() throws {
    unlink(marker.path)
    try DurableFile.synchronize(folder: directory)
  }

  deinit { close(descriptor) }

  // MARK: What may be in the folder

  @discardableResult
  private static func requireUsable(
    _ directory: URL, _ keepsFinishedBlocks: Bool, isLocked: Bool = false
  ) throws -> [String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    let isMarked = names.contains(markerName)
    let hasJournal = names.contains(PreparationJournal.fileName)
    if names.contains(StoreDescription.fileName) {
      // Finished, but perhaps killed before it was tidied up.
      if isMarked, !isLocked { return names }
      if isLocked {
        for name in [PreparationJournal.fileName, markerName] {
          unlink(directory.appendingPathComponent(name).path)
        }
      }
      throw DatasetError(
        .finished, attempt: attempt, path: directory.path,
        detail: "a finished store is already there; remove it, or choose another folder")
    }
    if hasJournal, !keepsFinishedBlocks {
      throw occupied(
        directory,
        "it holds a part of a store, or a store that is not finished; choose another folder")
    }
    if let other = names.first, !isMarked, !hasJournal {
      throw occupied(
        directory, "the folder holds other files, such as \(quoted(other)); choose an empty one")
    }
    return names
  }

  /// Names that an unfinished writer may have left.
  private static func isOurs(_ name: String) -> Bool {
    isPartial(name)
      || [ClipTable.fileName, StoreWriter.quarantineName, PreparationJournal.fileName].contains(
        name)
      || (name.hasPrefix("block-") && name.hasSuffix(".f16"))
  }

  private static func isPartial(_ name: String) -> Bool { name.hasSuffix(".partial") }

  private func remove(_ names: [String]) throws {
    for name in names {
      let path = directory.appendingPathComponent(name).path
      guard unlink(path) == 0 || errno == ENOENT else {
        throw DatasetError.system("remove a leftover", path: path)
      }
    }
  }

  private static func occupied(_ directory: URL, _ detail: String) -> DatasetError {
    DatasetError(.occupied, attempt: attempt, path: directory.path, detail: detail)
  }

  // MARK: The lock

  private static func lock(_ directory: URL) throws -> Int32 {
    let path = directory.appendingPathComponent(markerName).path
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { throw DatasetError.system(attempt, path: directory.path) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let error =
          errno == EWOULDBLOCK
          ? DatasetError(
            .busy, attempt: attempt, path: directory.path,
            detail: "another program is preparing a store there; wait for it to finish")
          : DatasetError.system("lock the mark of an unfinished store", path: path)
        close(descriptor)
        throw error
      }
      // Who finished in between has removed the file, and another may have made a new one.
      var (ours, present) = (stat(), stat())
      if fstat(descriptor, &ours) == 0, stat(path, &present) == 0, ours.st_ino == present.st_ino {
        return descriptor
      }
      close(descriptor)
    }
  }
}
