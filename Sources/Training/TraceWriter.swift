/// A file of trace events, as https://ui.perfetto.dev and chrome://tracing open it: the array form of the
/// Trace Event Format.
///
/// Events are gathered and written a block at a time. Every block brings the array's closing bracket with it, and
/// the next one is written over that: the file is JSON after each write, whenever the run ends. (If a block
/// is torn by the machine's end, the format allows the bracket to be missing.)

import Foundation

package final class TraceWriter {
  package let path: String
  private let descriptor: Int32
  /// Whether there was no such file before.
  private let isNew: Bool
  /// Bytes in the file before its closing bracket.
  private var written = 0
  private var waiting: [UInt8] = []
  private var waitingSince: Duration?

  /// What is gathered before it is written, in bytes and in time: what a crash may cost.
  package static let block = (bytes: 16 << 10, time: Duration.seconds(1))

  private static let (opening, separator, closing) = ("[\n", ",\n", "\n]\n")
  /// What every trace of ours begins with.
  private static let beginning = opening + #"{"name":"process_name""#

  /// Opens `path`, which becomes a trace with the first block; until then what is there stays.
  ///
  /// - Throws: `FileError`; `RunError` if another file than a trace is there, or somebody writes to it
  package init(path: String) throws {
    isNew = access(path, F_OK) != 0
    // Not blocking: nobody may be at a pipe's other end.
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o666)
    self.path = path
    guard descriptor >= 0 else { throw FileError("open", path: path, errno: errno) }
    guard lseek(descriptor, 0, SEEK_CUR) == 0 else {
      throw FileError("write", path: path, errno: errno)
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw RunError(
        code: .inUse, path: path,
        detail: "is being written by another coordinator; give --trace another name")
    }
    guard isReplaceable else {
      throw RunError(
        code: .exists, path: path,
        detail: "exists and is no trace of Tutti; give --trace another name")
    }
  }

  deinit { close() }

  private var isReplaceable: Bool {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return true }
    var head = [UInt8](repeating: 0, count: Self.beginning.utf8.count)
    let count = pread(descriptor, &head, head.count, 0)
    return count == 0 || head.elementsEqual(Self.beginning.utf8)
  }

  /// Takes an event, a JSON object; the first one names the process.
  ///
  /// - Throws: `FileError`; the file then ends with the events that were written before
  package func append(_ event: String, at now: Duration) throws(FileError) {
    waiting += (written + waiting.count == 0 ? Self.opening : Self.separator).utf8
    waiting += event.utf8
    let since = waitingSince ?? now
    waitingSince = since
    if waiting.count >= Self.block.bytes || now - since >= Self.block.time { try flush() }
  }

  /// Writes what waits.
  package func flush() throws(FileError) {
    guard !waiting.isEmpty else { return }
    if written == 0 { ftruncate(descriptor, 0) }
    let count = waiting.count
    waiting += Self.closing.utf8
    let failure = write(waiting, at: written)
    waiting.removeAll(keepingCapacity: true)
    waitingSince = nil
    guard failure == 0 else {
      ftruncate(descriptor, off_t(written))
      if written > 0 { _ = write(Array(Self.closing.utf8), at: written) }
      throw FileError("write", path: path, errno: failure)
    }
    written += count
  }

  /// - Returns: 0, or the number of the error that ended it
  private func write(_ bytes: [UInt8], at offset: Int) -> Int32 {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset + done))
      }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return count < 0 ? errno : EIO }
      done += count
    }
    return 0
  }

  private var isClosed = false

  /// Without `flush()` before, what waits is lost. A file that was made for nothing is removed.
  package func close() {
    guard !isClosed, descriptor >= 0 else { return }
    isClosed = true
    if isNew && written == 0 { unlink(path) }
    Foundation.close(descriptor)
  }
}
