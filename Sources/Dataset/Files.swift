import CMemory
import Foundation

/// A file seen as memory, read only. The pages come from disk when they are first touched.
///
/// The file must not shrink while it is mapped: reading beyond its end would stop the process.
final class MappedFile: @unchecked Sendable {
  /// Whole file; immutable, hence `Sendable`.
  let bytes: UnsafeRawBufferPointer

  /// - Throws: `.missing`, `.inputOutput`, or `.truncated` if the file has not the size expected
  init(_ url: URL, attempt: String, expectedSize: Int? = nil) throws {
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT {
        throw DatasetError(.missing, attempt: attempt, path: url.path, detail: "no such file")
      }
      throw DatasetError.system(attempt, path: url.path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw DatasetError.system(attempt, path: url.path)
    }
    let size = Int(status.st_size)
    if let expectedSize, expectedSize != size {
      throw DatasetError.wrongSize(size, expected: expectedSize, attempt: attempt, path: url.path)
    }
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED
    else { throw DatasetError.system(attempt, path: url.path) }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  /// Memory of its own with these bytes, where no file can be.
  init(holding data: Data) throws {
    guard !data.isEmpty else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let flags = MAP_PRIVATE | MAP_ANONYMOUS
    guard let base = mmap(nil, data.count, PROT_READ | PROT_WRITE, flags, -1, 0),
      base != MAP_FAILED
    else { throw DatasetError.system("hold \(data.count) bytes", path: "memory") }
    data.copyBytes(to: UnsafeMutableRawBufferPointer(start: base, count: data.count))
    bytes = UnsafeRawBufferPointer(start: base, count: data.count)
  }

  /// Asks the system to start reading a part from disk; returns at once.
  func willNeed(_ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    madvise(
      UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, MADV_WILLNEED)
  }

  /// Gives back the memory that reading a part has taken; read again, it comes from the system's
  /// cache or the disk. May be called while others read.
  func doNotKeep(_ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    madvise(
      UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, MADV_DONTNEED)
  }

  deinit {
    if let base = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }
}

/// A part of a file, read or written without a map: others may cut the file or remove it meanwhile.
enum FilePart {
  /// - Returns: nil if there is no such file, or it ends before
  /// - Throws: `.inputOutput`
  static func read(_ url: URL, _ offset: Int, count: Int) throws -> [UInt8]? {
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw DatasetError.system("read", path: url.path)
    }
    defer { close(descriptor) }
    var done = 0
    let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while done < count {
        let got = pread(
          descriptor, buffer.baseAddress! + done, count - done, off_t(offset + done))
        if got < 0, errno == EINTR { continue }
        guard got >= 0 else { throw DatasetError.system("read", path: url.path) }
        if got == 0 { break }
        done += got
      }
      filled = done
    }
    return done == count ? bytes : nil
  }

  /// Writes within a file of `size` bytes, which is made, cut or lengthened to that with a hole.
  ///
  /// - Throws: `.inputOutput`
  static func write(_ bytes: [UInt8], to url: URL, _ offset: Int, size: Int) throws {
    let descriptor = open(url.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw DatasetError.system("write", path: url.path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0,
      Int(status.st_size) == size || ftruncate(descriptor, off_t(size)) == 0
    else { throw DatasetError.system("write", path: url.path) }
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw DatasetError.system("write", path: url.path) }
      done += count
    }
  }

  /// Makes a hole, so that a part takes no room on the disk, if the file system knows how.
  static func release(_ url: URL, _ range: Range<Int>) {
    let descriptor = open(url.path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    _ = punch_hole(descriptor, Int64(range.lowerBound), Int64(range.count))
  }

  /// Bytes that a file takes on the disk; 0 if there is none.
  static func diskBytes(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_blocks) * 512 : 0
  }
}

/// A file that appears under its name whole or not at all: written beside it as `NAME.partial`,
/// brought to the disk, renamed.
struct DurableFile: ~Copyable {
  private let url: URL
  private let partial: URL
  private let descriptor: Int32

  /// Begins the file, or goes on with what an earlier `DurableFile` of this name has written.
  ///
  /// - Parameter marker: goes into the partial file's name, to keep it from another process's
  init(_ url: URL, marker: String? = nil) throws {
    self.url = url
    let partial = (marker.map(url.appendingPathExtension) ?? url).appendingPathExtension("partial")
    self.partial = partial
    descriptor = open(partial.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw DatasetError.system("write", path: partial.path) }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw DatasetError.system("write", path: partial.path) }
      done += count
    }
  }

  /// Moves bytes within the file, towards its beginning.
  func move(_ count: Int, from source: Int, to target: Int) throws {
    guard source != target else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { buffer.deallocate() }
    var done = 0
    while done < count {
      let got = pread(
        descriptor, buffer.baseAddress! + done, count - done, off_t(source + done))
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { throw DatasetError.system("read back", path: partial.path) }
      done += got
    }
    try write(UnsafeRawBufferPointer(buffer), at: target)
  }

  /// Cuts or extends the file to its size, and gives it its name.
  func publish(size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0, fsync(descriptor) == 0 else {
      throw DatasetError.system("write", path: partial.path)
    }
    guard rename(partial.path, url.path) == 0 else {
      throw DatasetError.system("rename", path: partial.path)
    }
  }

  deinit { close(descriptor) }

  /// Writes a whole file.
  static func write(_ bytes: UnsafeRawBufferPointer, to url: URL) throws {
    let file = try DurableFile(url, marker: UUID().uuidString)
    do {
      try file.write(bytes, at: 0)
      try file.publish(size: bytes.count)
    } catch {
      unlink(file.partial.path)
      throw error
    }
  }

  /// Makes `url` another name of the file `source`, which is brought to the disk. What had the name
  /// is replaced.
  ///
  /// - Returns: false if the two are on different file systems, or theirs knows no links
  static func link(_ source: URL, as url: URL) throws -> Bool {
    guard unlink(url.path) == 0 || errno == ENOENT else {
      throw DatasetError.system("replace", path: url.path)
    }
    guard Foundation.link(source.path, url.path) == 0 else {
      if [EXDEV, EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(errno) { return false }
      throw DatasetError.system("link to \(source.path)", path: url.path)
    }
    try synchronize(file: url)
    return true
  }

  /// Brings a folder's list of names to the disk, so that renamed files survive a power cut.
  static func synchronize(folder: URL) throws { try synchronize(file: folder) }

  private static func synchronize(file: URL) throws {
    let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw DatasetError.system("open", path: file.path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw DatasetError.system("write", path: file.path) }
  }
}

extension DatasetError {
  static func wrongSize(
    _ size: Int, expected: Int, attempt: String, path: String
  ) -> DatasetError {
    DatasetError(
      size < expected ? .truncated : .damaged, attempt: attempt, path: path,
      detail:
        "the file has \(size) bytes and should have \(expected); copy it again or prepare anew")
  }
}
