/// Files that are either the old one or the new one, whenever the power fails.
///
/// A file is written under a temporary name in its own folder, flushed to the disk, renamed over
/// the old one, and then the folder is flushed, so that the new name survives too. Whatever goes
/// wrong before the renaming leaves the old file as it was and removes the temporary one.
/// The system calls are passed in as a `FileSystem`, so that tests can fail each in turn.

import Foundation

/// A system call on a file that failed.
package struct FileError: Error, Equatable, CustomStringConvertible {
  /// What was attempted, as in "write".
  package let operation: String
  package let path: String
  package let errno: Int32

  package init(_ operation: String, path: String, errno: Int32) {
    (self.operation, self.path, self.errno) = (operation, path, errno)
  }

  package var description: String {
    let hint =
      switch errno {
      case ENOSPC, EDQUOT: "; free some space there"
      case EACCES, EPERM, EROFS: "; choose a folder you may write to"
      default: ""
      }
    return "cannot \(operation) \(path): \(String(cString: strerror(errno)))\(hint)"
  }
}

/// The system calls that decide what a crash leaves on the disk. They throw `Failure`.
package struct FileSystem: Sendable {
  package struct Failure: Error {
    package let errno: Int32
    package init(errno: Int32) { self.errno = errno }
  }

  /// Opens a new file for writing; an existing one fails with `EEXIST`.
  package var create: @Sendable (_ path: String) throws -> Int32 = { path in
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    try check(descriptor)
    return descriptor
  }
  /// Writes all of the bytes at an offset.
  package var write:
    @Sendable (_ descriptor: Int32, UnsafeRawBufferPointer, _ offset: Int) throws -> Void = {
      descriptor, bytes, offset in
      var done = 0
      while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
        if written < 0 && errno == EINTR { continue }
        guard written != 0 else { throw Failure(errno: EIO) }
        try check(written)
        done += written
      }
    }
  package var synchronize: @Sendable (_ descriptor: Int32) throws -> Void = { try check(fsync($0)) }
  package var close: @Sendable (_ descriptor: Int32) -> Void = { _ = Foundation.close($0) }
  package var rename: @Sendable (_ old: String, _ new: String) throws -> Void = { old, new in
    try check(Foundation.rename(old, new))
  }
  package var link: @Sendable (_ existing: String, _ new: String) throws -> Void = { old, new in
    try check(Foundation.link(old, new))
  }
  package var remove: @Sendable (_ path: String) throws -> Void = { try check(unlink($0)) }
  package var synchronizeFolder: @Sendable (_ path: String) throws -> Void = { path in
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try check(descriptor)
    defer { _ = Foundation.close(descriptor) }
    try check(fsync(descriptor))
  }

  package static let real = FileSystem()

  private static func check(_ result: some BinaryInteger) throws {
    if result < 0 { throw Failure(errno: errno) }
  }
}

package final class AtomicFile {
  /// The name the file will have.
  package let path: String
  /// Bytes appended so far.
  package private(set) var count = 0
  private let fileSystem: FileSystem
  private let descriptor: Int32

  private init(path: String, descriptor: Int32, fileSystem: FileSystem) {
    (self.path, self.descriptor, self.fileSystem) = (path, descriptor, fileSystem)
  }

  /// Replaces the file at `path` by what `body` writes, or leaves it untouched and throws.
  ///
  /// - Throws: `FileError`, or what `body` throws. If only the last flush of the folder fails, the
  ///   new file is in place but may not survive a power failure.
  package static func write(
    _ path: String, fileSystem: FileSystem = .real, body: (AtomicFile) throws -> Void
  ) throws {
    let (temporary, descriptor) = try createTemporary(for: path, fileSystem.create)
    do {
      defer { fileSystem.close(descriptor) }
      let file = AtomicFile(path: path, descriptor: descriptor, fileSystem: fileSystem)
      try body(file)
      try naming("write", path) { try fileSystem.synchronize(descriptor) }
    } catch {
      try? fileSystem.remove(temporary)
      throw error
    }
    try replace(path, by: temporary, fileSystem)
  }

  /// Makes `path` another name of the file `existing`, or a copy where a file system has no links.
  package static func link(
    _ existing: String, as path: String, fileSystem: FileSystem = .real
  ) throws {
    do {
      let (temporary, _) = try createTemporary(for: path) { try fileSystem.link(existing, $0) }
      try replace(path, by: temporary, fileSystem)
      // Renaming one link of a file over another does nothing at all, and says so nowhere.
      if access(temporary, F_OK) == 0 { try? fileSystem.remove(temporary) }
    } catch let error as FileError
      where [EPERM, EOPNOTSUPP, EMLINK, EXDEV, ENOSYS].contains(error.errno)
    {
      try copy(existing, to: path, fileSystem: fileSystem)
    }
  }

  private static func copy(_ source: String, to path: String, fileSystem: FileSystem) throws {
    let descriptor = open(source, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("read", path: source, errno: errno) }
    defer { close(descriptor) }
    try write(path, fileSystem: fileSystem) { file in
      let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
      defer { block.deallocate() }
      while true {
        let count = read(descriptor, block.baseAddress, block.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw FileError("read", path: source, errno: errno) }
        if count == 0 { break }
        try file.append(UnsafeRawBufferPointer(block)[..<count])
      }
    }
  }

  /// Appends `bytes`.
  package func append(_ bytes: RawSpan) throws {
    try bytes.withUnsafeBytes { try append($0[...]) }
  }

  /// Appends `text` in UTF-8.
  package func append(_ text: String) throws {
    var text = text
    try text.withUTF8 { try append(UnsafeRawBufferPointer($0)[...]) }
  }

  private func append(_ bytes: Slice<UnsafeRawBufferPointer>) throws {
    try write(UnsafeRawBufferPointer(rebasing: bytes), at: count)
    count += bytes.count
  }

  /// Replaces bytes that were appended before.
  package func overwrite(at offset: Int, _ bytes: RawSpan) throws {
    precondition(
      offset >= 0 && offset + bytes.byteCount <= count,
      "overwrite: \(bytes.byteCount) bytes at \(offset) of a file of \(count)")
    try bytes.withUnsafeBytes { try write($0, at: offset) }
  }

  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    try Self.naming("write", path) { try fileSystem.write(descriptor, bytes, offset) }
  }

  // MARK: - Names

  /// Removes temporary files that a crash left in `folder`. Nobody may be writing there.
  package static func removeLeftovers(in folder: String, fileSystem: FileSystem = .real) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasPrefix(".") && name.contains(marker) {
      try? fileSystem.remove(folder + "/" + name)
    }
  }

  private static let marker = ".partial-"

  /// Gives `create` names beside `path` until one is free.
  private static func createTemporary<Result>(
    for path: String, _ create: (String) throws -> Result
  ) throws -> (path: String, Result) {
    let url = URL(fileURLWithPath: path)
    let stem = folder(of: path) + "/." + url.lastPathComponent + marker
    var number = 0
    while true {
      do {
        return (stem + "\(number)", try create(stem + "\(number)"))
      } catch let failure as FileSystem.Failure {
        guard failure.errno == EEXIST && number < 10_000 else {
          throw FileError("create", path: path, errno: failure.errno)
        }
        number += 1
      }
    }
  }

  private static func replace(
    _ path: String, by temporary: String, _ fileSystem: FileSystem
  ) throws {
    do {
      try naming("replace", path) { try fileSystem.rename(temporary, path) }
    } catch {
      try? fileSystem.remove(temporary)
      throw error
    }
    try naming("flush the folder of", path) { try fileSystem.synchronizeFolder(folder(of: path)) }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Says which operation on which path a failure belongs to.
  private static func naming(_ operation: String, _ path: String, _ body: () throws -> Void) throws
  {
    do {
      try body()
    } catch let failure as FileSystem.Failure {
      throw FileError(operation, path: path, errno: failure.errno)
    }
  }
}
