import Foundation

/// The folder in which a user's copies of stores lie, each under its fingerprint, and what all of them
/// together may take of the disk. Any number of processes may use it at once.
package struct StoreCache: Sendable {
  package static let defaultLimit = 50_000_000_000
  /// The part of a disk that stays free for others.
  private static let margin = 0.05
  /// Marks a copy as in use by a shared lock, and tells when that was by its time.
  private static let markName = "in-use"
  /// Others may remove a copy while it is taken into use, but not that often.
  private static let tries = 100

  package let folder: URL
  /// Bytes.
  package let limit: Int

  package init(_ folder: URL, limit: Int = defaultLimit) {
    (self.folder, self.limit) = (folder, limit)
  }

  package func folder(of fingerprint: String) -> URL { folder.appendingPathComponent(fingerprint) }

  static func isFingerprint(_ text: String) -> Bool {
    text.utf8.count == 64 && text.allSatisfy(\.isHexDigit)
  }

  /// Bytes that may still be kept: within the limit, and without using the disk up.
  func room() -> Int {
    let used = copies().reduce(0) { $0 + Self.diskBytes(of: $1) }
    var disk = statvfs()
    guard statvfs(folder.path, &disk) == 0 else { return 0 }
    let block = Int(disk.f_frsize)
    let reserve = Int(Self.margin * Double(disk.f_blocks)) * block
    return min(limit - used, Int(disk.f_bavail) * block - reserve)
  }

  /// Removes the copy that was used longest ago and is not in use.
  ///
  /// - Returns: whether there was one
  func removeOldest() -> Bool {
    let byAge = copies().map { (lastUse(of: $0), $0) }.sorted { $0.0 < $1.0 }
    for (_, copy) in byAge {
      let mark = copy.appendingPathComponent(Self.markName).path
      let descriptor = open(mark, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
      if (try? FileManager.default.removeItem(at: copy)) != nil { return true }
    }
    return false
  }

  /// Makes the folder of a copy and holds it for as long as the result lives.
  ///
  /// - Throws: `.inputOutput`
  func use(_ fingerprint: String) throws -> CopyUse {
    let folder = folder(of: fingerprint)
    let mark = folder.appendingPathComponent(Self.markName)
    for _ in 0..<Self.tries {
      do {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      } catch {
        throw DatasetError(
          .inputOutput, attempt: "keep a copy of the store", path: folder.path,
          detail: "the folder cannot be made; name another one with --cache")
      }
      let descriptor = open(mark.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        if errno == ENOENT { continue }
        throw DatasetError.system("keep a copy of the store", path: mark.path)
      }
      let use = CopyUse(descriptor)
      // Alone with it: what is half written nobody will finish.
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { Self.removePartial(in: folder) }
      while flock(descriptor, LOCK_SH) != 0 && errno == EINTR {}
      // Who has removed the copy in between has removed the mark.
      var (ours, present) = (stat(), stat())
      if fstat(descriptor, &ours) == 0, stat(mark.path, &present) == 0,
        ours.st_ino == present.st_ino
      {
        futimens(descriptor, nil)
        return use
      }
    }
    throw DatasetError(
      .inputOutput, attempt: "keep a copy of the store", path: mark.path,
      detail: "it cannot be made, or goes away each time; remove the folder that it is in")
  }

  private func copies() -> [URL] {
    Self.names(in: folder)
      .filter(Self.isFingerprint)
      .map(folder(of:))
  }

  private func lastUse(of copy: URL) -> Int {
    var status = stat()
    let mark = copy.appendingPathComponent(Self.markName).path
    return stat(mark, &status) == 0 ? Int(status.st_mtim.tv_sec) : 0
  }

  private static func diskBytes(of copy: URL) -> Int {
    names(in: copy).reduce(0) { $0 + FilePart.diskBytes(copy.path + "/" + $1) }
  }

  private static func removePartial(in copy: URL) {
    for name in names(in: copy) where name.hasSuffix(".partial") {
      unlink(copy.path + "/" + name)
    }
  }

  private static func names(in folder: URL) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
  }
}

/// Keeps a copy from being removed, as long as it lives.
final class CopyUse: Sendable {
  private let descriptor: Int32
  init(_ descriptor: Int32) { self.descriptor = descriptor }
  deinit { close(descriptor) }
}
