import Foundation

/// A folder for one input's files. It lies where `TMPDIR` says, or else in memory if there is some.
struct Scratch {
  let folder: URL

  /// Passes a new folder to `body` and removes it afterwards.
  static func use<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
    var path = Array((parent + "/tutti-fuzz-XXXXXX").utf8CString)
    guard mkdtemp(&path) != nil else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    let name = path.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    let folder = URL(fileURLWithPath: name, isDirectory: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(Scratch(folder: folder))
  }

  private static let parent: String = {
    let isChosen = ProcessInfo.processInfo.environment["TMPDIR"] != nil
    return !isChosen && access("/dev/shm", W_OK) == 0
      ? "/dev/shm" : FileManager.default.temporaryDirectory.path
  }()

  func subfolder(_ name: String) throws -> Scratch {
    let folder = folder.appendingPathComponent(name, isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    return Scratch(folder: folder)
  }

  /// A file with these bytes.
  func file(_ name: String, _ bytes: [UInt8]) throws -> URL {
    let url = folder.appendingPathComponent(name)
    let descriptor = open(url.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    defer { close(descriptor) }
    guard write(descriptor, bytes, bytes.count) == bytes.count else {
      throw POSIXError(.init(rawValue: errno) ?? .EIO)
    }
    return url
  }
}
