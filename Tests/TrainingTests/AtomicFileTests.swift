import Foundation
import Synchronization
import Testing
import Training

/// A file system that fails at a chosen call, or stops there for good as a crash would.
///
/// A failing write leaves half of its bytes, as a full disk does.
final class FailingFileSystem: Sendable {
  enum Mode: Sendable { case fail, crash }
  struct Crash: Error {}

  private let state: Mutex<(calls: Int, names: [String], crashed: Bool)>
  private let failAt: Int?
  private let mode: Mode
  private let errno: Int32

  init(failAt: Int? = nil, mode: Mode = .fail, errno: Int32 = ENOSPC) {
    (self.failAt, self.mode, self.errno) = (failAt, mode, errno)
    state = Mutex((0, [], false))
  }

  /// The calls so far.
  var names: [String] { state.withLock { $0.names } }

  /// Whether this call is to fail; throws if the process is gone.
  private func fails(_ name: String) throws -> Bool {
    try state.withLock { state in
      if state.crashed { throw Crash() }
      defer { state.calls += 1 }
      state.names.append(name)
      guard state.calls == failAt else { return false }
      state.crashed = mode == .crash
      return true
    }
  }

  private var failure: any Error {
    mode == .crash ? Crash() : FileSystem.Failure(errno: errno)
  }

  var fileSystem: FileSystem {
    let real = FileSystem.real
    var result = real
    result.create = {
      if try self.fails("create") { throw self.failure }
      return try real.create($0)
    }
    result.write = { descriptor, bytes, offset in
      if try self.fails("write") {
        try real.write(
          descriptor, UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]), offset)
        throw self.failure
      }
      try real.write(descriptor, bytes, offset)
    }
    result.synchronize = {
      if try self.fails("synchronize") { throw self.failure }
      try real.synchronize($0)
    }
    result.rename = {
      if try self.fails("rename") { throw self.failure }
      try real.rename($0, $1)
    }
    result.link = {
      if try self.fails("link") { throw self.failure }
      try real.link($0, $1)
    }
    result.remove = {
      if try self.fails("remove") { throw self.failure }
      try real.remove($0)
    }
    result.synchronizeFolder = {
      if try self.fails("synchronizeFolder") { throw self.failure }
      try real.synchronizeFolder($0)
    }
    return result
  }
}

@Suite struct AtomicFileTests {
  let folder: TemporaryFolder
  var path: String { folder / "file" }

  init() throws { folder = try TemporaryFolder() }

  func write(_ text: String, _ fileSystem: FileSystem = .real) throws {
    try AtomicFile.write(path, fileSystem: fileSystem) { file in
      try file.append("#")
      try file.append(text)
      try file.overwrite(at: 0, Array("!".utf8).span.bytes)
      #expect(file.count == text.utf8.count + 1)
    }
  }

  func contents() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  @Test("a file is written, replaced, and leaves nothing beside it")
  func replaces() throws {
    try write("old")
    try write("new and longer")
    #expect(try contents() == "!new and longer")
    #expect(try folder.names == ["file"])
  }

  @Test("the order of the calls is what makes it safe")
  func order() throws {
    let counting = FailingFileSystem()
    try write("new", counting.fileSystem)
    #expect(
      counting.names == [
        "create", "write", "write", "write", "synchronize", "rename", "synchronizeFolder",
      ])
  }

  @Test("when any call fails, the old file stays, and the temporary one goes", arguments: 0..<6)
  func failures(call: Int) throws {
    try write("old")
    let failing = FailingFileSystem(failAt: call)
    let error = try #require(throws: FileError.self) { try write("new", failing.fileSystem) }
    #expect(error.path == path)
    #expect(error.description.contains("No space left on device; free some space"))
    #expect(try contents() == "!old")
    #expect(try folder.names == ["file"])
  }

  @Test("when the folder cannot be flushed, the new file is whole and the failure is reported")
  func folderFailure() throws {
    try write("old")
    let failing = FailingFileSystem(failAt: 6, errno: EIO)
    #expect(throws: FileError("flush the folder of", path: path, errno: EIO)) {
      try write("new", failing.fileSystem)
    }
    #expect(try contents() == "!new")
  }

  @Test("a crash at any call leaves the old file or the new one", arguments: 0..<7)
  func crashes(call: Int) throws {
    try write("old")
    let crashing = FailingFileSystem(failAt: call, mode: .crash)
    #expect(throws: FailingFileSystem.Crash.self) { try write("new", crashing.fileSystem) }
    #expect(try contents() == (call < 6 ? "!old" : "!new"))
    // The next life sweeps up and writes, even before it has swept.
    try write("next")
    AtomicFile.removeLeftovers(in: folder.path)
    #expect(try contents() == "!next")
    #expect(try folder.names == ["file"])
  }

  @Test("an error of the caller's leaves the old file")
  func callersError() throws {
    struct Mine: Error {}
    try write("old")
    #expect(throws: Mine.self) {
      try AtomicFile.write(path) { file in
        try file.append("half")
        throw Mine()
      }
    }
    #expect(try contents() == "!old")
    #expect(try folder.names == ["file"])
  }

  @Test("a folder that is not there, and one that is in the way, are reported with the path")
  func badPaths() throws {
    let missing = folder / "no/file"
    let error = try #require(throws: FileError.self) { try AtomicFile.write(missing) { _ in } }
    #expect(error.description == "cannot create \(missing): No such file or directory")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    #expect(throws: FileError("replace", path: path, errno: EISDIR)) { try write("new") }
    #expect(try folder.names == ["file"])
  }

  @Test("a link is another name of the file, again and over an older one")
  func links() throws {
    try write("old")
    let other = folder / "other"
    try AtomicFile.link(path, as: other)
    try AtomicFile.link(path, as: other)
    try write("new")
    #expect(try String(contentsOfFile: other, encoding: .utf8) == "!old")
    try AtomicFile.link(path, as: other)
    #expect(try String(contentsOfFile: other, encoding: .utf8) == "!new")
    #expect(try folder.names == ["file", "other"])
  }

  @Test("where links are not possible, a link is a copy", arguments: [EPERM, EOPNOTSUPP, EMLINK])
  func copies(errno: Int32) throws {
    try write(String(repeating: "x", count: 3_000_000))
    let failing = FailingFileSystem(failAt: 0, errno: errno)
    let other = folder / "other"
    try AtomicFile.link(path, as: other, fileSystem: failing.fileSystem)
    #expect(failing.names.prefix(2) == ["link", "create"])
    #expect(FileManager.default.contentsEqual(atPath: path, andPath: other))
  }

  @Test("a link to nothing is refused")
  func danglingLink() throws {
    let other = folder / "other"
    #expect(throws: FileError("create", path: other, errno: ENOENT)) {
      try AtomicFile.link(path, as: other)
    }
    #expect(try folder.names == [])
  }

  @Test("a disk that is really full", .enabled(if: FullDisk.isPossible))
  func fullDisk() throws {
    let disk = try FullDisk(at: folder.path)
    try write("old")
    let text = String(repeating: "x", count: 100_000)
    let error = try #require(throws: FileError.self) { try write(text) }
    #expect(error.errno == ENOSPC)
    #expect(try contents() == "!old")
    #expect(try folder.names == ["file"])
    disk.unmount()
  }
}

/// A file system of 64 KiB, mounted over a folder until it is let go. Only root may.
final class FullDisk {
  private let path: String

  static var isPossible: Bool {
    guard geteuid() == 0, let folder = try? TemporaryFolder() else { return false }
    return (try? FullDisk(at: folder.path)) != nil
  }

  init(at path: String) throws {
    self.path = path
    guard mount("tmpfs", path, "tmpfs", 0, "size=64k") == 0 else {
      throw FileSystem.Failure(errno: errno)
    }
  }

  func unmount() { umount2(path, Int32(MNT_DETACH)) }

  deinit { unmount() }
}
