import Foundation

/// A file system in memory that is soon full.
final class SmallDisk {
  /// Whether this process may mount one: only root outside of a container without rights can.
  static let canBeMade = (try? SmallDisk(kilobytes: 16)) != nil

  private let folder: TemporaryFolder
  var path: String { folder / "disk" }

  init(kilobytes: Int) throws {
    folder = try TemporaryFolder()
    mkdir(folder / "disk", 0o700)
    try mount(kilobytes, flags: 0)
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  func grow(kilobytes: Int) throws { try mount(kilobytes, flags: UInt(MS_REMOUNT)) }

  private func mount(_ kilobytes: Int, flags: UInt) throws {
    guard Glibc.mount("tmpfs", path, "tmpfs", flags, "size=\(kilobytes)k") == 0 else {
      throw Program.Failure(description: "cannot mount: \(String(cString: strerror(errno)))")
    }
  }
}
