import Foundation

/// What tells whether a sound file is still the one that features were computed from: its size and
/// when it was last modified, as `make` and `rsync` do it.
package struct FileStamp: Codable, Sendable, Equatable {
  /// Bytes.
  let size: Int
  /// Nanoseconds since 1970.
  let modified: Int

  /// - Returns: nil if there is no such file, or it may not be read
  package init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0, access(path, R_OK) == 0 else { return nil }
    size = Int(status.st_size)
    modified = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
  }
}
