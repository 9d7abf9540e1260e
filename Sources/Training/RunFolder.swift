/// A run on disk: configuration, log, checkpoints, and who may write to them.
///
/// ```
/// runs/2026-03-01-120000/
///   config.yaml                        the resolved configuration
///   metrics.jsonl                      one object per step and per validation (see `RunLog`)
///   checkpoints/step-0001234.safetensors
///   confusions.json                    at the end: which tags the best model takes for each other
///   best.safetensors, last.safetensors links to checkpoints, or copies
///   .lock                              held by the one coordinator that writes here
/// ```
/// Every file but the log is replaced atomically, so that a crash at any moment leaves a run that
/// can be resumed.

import Foundation

/// A run that cannot be made or resumed.
package struct RunError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    case exists, notARun, inUse, noReadableCheckpoint
  }
  package let code: Code
  package let path: String
  package let detail: String

  package var description: String { "\(path) \(detail)" }
}

package final class RunFolder {
  package let path: String
  let fileSystem: FileSystem
  private let lock: Int32

  package var configurationPath: String { path + "/config.yaml" }
  package var logPath: String { path + "/metrics.jsonl" }
  package var bestPath: String { path + "/best.safetensors" }
  package var lastPath: String { path + "/last.safetensors" }
  var checkpointsPath: String { path + "/checkpoints" }

  private init(path: String, fileSystem: FileSystem) throws {
    self.path = path
    self.fileSystem = fileSystem
    lock = try Self.takeLock(of: path)
    for folder in [path, checkpointsPath] {
      AtomicFile.removeLeftovers(in: folder, fileSystem: fileSystem)
    }
  }

  deinit { close(lock) }

  // MARK: - Making and resuming

  /// Makes a new run with its resolved configuration.
  ///
  /// - Parameters:
  ///   - path: the run's folder; nil makes one in `runs`, named by date and time (UTC)
  ///   - store: what it trains on, to be known from the first moment that the run can be resumed
  ///   - now: the time for that name
  /// - Throws: `RunError.exists` if there is a run or anything else at `path`, `RunError.inUse`,
  ///   `FileError`
  package static func create(
    _ path: String?, configuration: Configuration, store: URL? = nil, runs: String = "runs",
    now: Date = Date(), fileSystem: FileSystem = .real
  ) throws -> RunFolder {
    if let path { return try create(path, configuration, store, fileSystem) }
    let name = runs + "/" + defaultName(at: now)
    for number in 1... {
      do {
        return try create(
          name + (number == 1 ? "" : "-\(number)"), configuration, store, fileSystem)
      } catch let error as RunError where [.exists, .inUse].contains(error.code) && number < 1_000 {
        continue
      }
    }
    preconditionFailure("an endless range ended")
  }

  private static func create(
    _ path: String, _ configuration: Configuration, _ store: URL?, _ fileSystem: FileSystem
  ) throws -> RunFolder {
    // Before anything is written there, and again under the lock.
    try refuseIfOccupied(path)
    try makeFolders(path + "/checkpoints")
    let run = try RunFolder(path: path, fileSystem: fileSystem)
    try refuseIfOccupied(path)
    try store.map(run.remember(store:))
    // Last: from here on it is a run.
    try run.write(configuration)
    return run
  }

  private static func refuseIfOccupied(_ path: String) throws {
    guard access(path, F_OK) == 0 else { return }
    let occupants = try names(in: path).filter { name in
      let isEmptyFolder = name == "checkpoints" && (try? names(in: path + "/" + name)) == []
      return !name.hasPrefix(".") && !isEmptyFolder
    }
    guard !occupants.isEmpty else { return }
    throw RunError(
      code: .exists, path: path,
      detail: occupants.contains("config.yaml")
        ? "holds a run already; continue it with --resume \(path), or give --run another name"
        : "is not empty and holds no run; give --run another name")
  }

  /// Opens an existing run for writing.
  ///
  /// - Throws: `RunError.notARun`, `RunError.inUse`, `FileError`
  package static func resume(
    _ path: String, fileSystem: FileSystem = .real
  ) throws -> RunFolder {
    guard access(path + "/config.yaml", F_OK) == 0 else {
      throw RunError(
        code: .notARun, path: path,
        detail: "is not a run: it has no config.yaml; give --resume the folder of a run")
    }
    try makeFolders(path + "/checkpoints")
    return try RunFolder(path: path, fileSystem: fileSystem)
  }

  /// Removes a run in which nothing has happened yet.
  package func discard() {
    for name in [".term", ".store", "metrics.jsonl", "config.yaml", ".lock"] {
      unlink(path + "/" + name)
    }
    for folder in [checkpointsPath, path] { rmdir(folder) }
  }

  /// Writes the resolved configuration.
  package func write(_ configuration: Configuration) throws {
    try AtomicFile.write(configurationPath, fileSystem: fileSystem) { file in
      try file.append(configuration.yaml)
    }
  }

  /// The run's configuration, under `overrides`.
  package func configuration(overrides: [String] = []) throws -> Configuration {
    try Configuration(path: configurationPath, overrides: overrides)
  }

  /// Opens the log for appending, without the lines after `step`.
  package func log(after step: Int) throws -> RunLog {
    _ = try RunLog.cut(logPath, after: step, fileSystem: fileSystem)
    return try RunLog(path: logPath)
  }

  static func defaultName(at date: Date) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "yyyy-MM-dd-HHmmss"
    return formatter.string(from: date)
  }

  // MARK: - The lock

  /// Locks the folder for this process. The lock goes with the process, however it ends.
  private static func takeLock(of path: String) throws -> Int32 {
    let file = path + "/.lock"
    // Close-on-exec, so that a worker started here does not hold the lock after us.
    let lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard lock >= 0 else { throw FileError("open", path: file, errno: errno) }
    guard lockAtOnce(lock) else {
      let reason = errno
      defer { close(lock) }
      guard reason == EWOULDBLOCK else { throw FileError("lock", path: file, errno: reason) }
      let owner = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
      throw RunError(
        code: .inUse, path: path,
        detail: "is being written by another coordinator (\(owner.isEmpty ? "starting" : owner)); "
          + "stop that one first, or give --run another name")
    }
    let owner = "process \(getpid())"
    ftruncate(lock, 0)
    pwrite(lock, owner, owner.utf8.count, 0)
    return lock
  }

  /// Who only looks whether a run is being written holds its lock for a moment.
  private static func lockAtOnce(_ lock: Int32) -> Bool {
    if flock(lock, LOCK_EX | LOCK_NB) == 0 { return true }
    guard errno == EWOULDBLOCK else { return false }
    usleep(20_000)
    return flock(lock, LOCK_EX | LOCK_NB) == 0
  }

  // MARK: - Folders

  static func names(in folder: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      throw FileError("list", path: folder, errno: cause.map { Int32($0.code) } ?? EIO)
    }
  }

  /// Makes a folder and those above it, as far as they are missing.
  private static func makeFolders(_ path: String) throws {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += part
      guard mkdir(made, 0o777) == 0 || errno == EEXIST || errno == EROFS else {
        throw FileError("create", path: made, errno: errno)
      }
      made += "/"
    }
  }
}
