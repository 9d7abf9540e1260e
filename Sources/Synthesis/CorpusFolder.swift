/// The folder that a corpus is written to: whose it is, and files that are there whole or not at all.
///
///     synthesis.txt   says that the folder is ours; locked while a corpus is being made
///     clips/0001.flac …
///     tags.csv        comes last: without it the corpus is not complete

import Foundation

struct CorpusFolder: ~Copyable {
  static let markerName = "synthesis.txt"
  static let clipsName = "clips"
  static let tagsName = "tags.csv"

  let path: String
  private let marker: Int32

  /// Makes the folder, or takes over one that is empty or ours, and keeps others out of it.
  ///
  /// - Throws: `SynthesisError` `.occupied`, `.busy`, `.notWritable` or `.diskFull`
  init(_ path: String) throws(SynthesisError) {
    let marker = try Self.claim(path)
    self.path = path
    self.marker = marker
  }

  deinit { close(marker) }

  /// Says in the marker what is being made, and clears away what an earlier corpus left.
  func begin(_ text: String) throws(SynthesisError) {
    let markerPath = "\(path)/\(Self.markerName)"
    try Self.write(Array(text.utf8), to: marker, markerPath)
    guard ftruncate(marker, off_t(text.utf8.count)) == 0 else {
      throw Self.systemError("write", markerPath)
    }
    try Self.remove("\(path)/\(Self.tagsName)")
    try Self.makeDirectory("\(path)/\(Self.clipsName)")
    try clear()
  }

  /// Writes a file beside its place, then gives it its name.
  func write(_ bytes: [UInt8], as name: String) throws(SynthesisError) {
    let target = "\(path)/\(name)"
    let partial = "\(target).partial"
    let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw Self.systemError("write", partial) }
    do {
      try Self.write(bytes, to: file, partial)
    } catch {
      close(file)
      unlink(partial)
      throw error
    }
    guard close(file) == 0, rename(partial, target) == 0 else {
      throw Self.systemError("write", target)
    }
  }

  /// Removes the clips of an earlier corpus; what we did not name, we do not touch.
  private func clear() throws(SynthesisError) {
    let clips = "\(path)/\(Self.clipsName)"
    for name in (try? FileManager.default.contentsOfDirectory(atPath: clips)) ?? [] {
      let stem = name.prefix { $0.isNumber }
      let ending = name.dropFirst(stem.count)
      if !stem.isEmpty, ending == ".flac" || ending == ".flac.partial" {
        try Self.remove("\(clips)/\(name)")
      }
    }
  }
}

extension CorpusFolder {
  /// Opens and locks the marker, in a folder that is new, empty or ours.
  private static func claim(_ path: String) throws(SynthesisError) -> Int32 {
    try makeDirectory(path)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    guard names.isEmpty || names.contains(markerName) else {
      throw SynthesisError(
        .occupied, attempt: "make a corpus in", path: path,
        detail: "the folder holds other files, such as \(names.sorted()[0]); name a new folder")
    }
    let markerPath = "\(path)/\(markerName)"
    let marker = open(markerPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard marker >= 0 else { throw systemError("write", markerPath) }
    guard flock(marker, LOCK_EX | LOCK_NB) == 0 else {
      close(marker)
      throw SynthesisError(
        .busy, attempt: "make a corpus in", path: path,
        detail: "another process is doing so at this moment; wait for it or name another folder")
    }
    return marker
  }
}

// MARK: - System calls

extension CorpusFolder {
  private static func write(
    _ bytes: [UInt8], to file: Int32, _ path: String
  ) throws(SynthesisError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(file, $0.baseAddress! + done, $0.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw systemError("write", path) }
      done += count
    }
  }

  /// Makes the folder, and those above it, where they do not exist.
  private static func makeDirectory(_ path: String) throws(SynthesisError) {
    let above = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    if !path.isEmpty, !above.isEmpty, above != path, access(above, F_OK) != 0, errno == ENOENT {
      try makeDirectory(above)
    }
    if mkdir(path, 0o777) == 0 { return }
    guard errno == EEXIST else { throw systemError("make the folder", path) }
    var status = stat()
    guard stat(path, &status) == 0 else { throw systemError("make the folder", path) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      errno = ENOTDIR
      throw systemError("make the folder", path)
    }
    guard access(path, W_OK | X_OK) == 0 else { throw systemError("write to the folder", path) }
  }

  private static func remove(_ path: String) throws(SynthesisError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw systemError("remove", path) }
  }

  /// The error that `errno` describes; to be called directly after the failed system call.
  private static func systemError(_ attempt: String, _ path: String) -> SynthesisError {
    let number = errno
    if number == ENOSPC || number == EDQUOT {
      return SynthesisError(
        .diskFull, attempt: attempt, path: path,
        detail: "the disk is full; free some space or name a folder on another disk")
    }
    return SynthesisError(
      .notWritable, attempt: attempt, path: path,
      detail: "\(String(cString: strerror(number))); name a folder that you may write to")
  }
}
