import Cluster
import Foundation

/// A folder of keys as `tutti keygen` makes it, with one worker, gone with the last reference to it.
final class KeysFolder: Sendable {
  let path: String
  let folder: KeyFolder
  let host: KeyFolder
  let permit: String

  init(worker: String = "oboe") throws {
    path =
      FileManager.default.temporaryDirectory
      .appendingPathComponent("tutti-test-\(UUID().uuidString)").path
    folder = KeyFolder(path)
    _ = try folder.makeCoordinator()
    (host, permit) = try folder.makeWorker(worker)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
    let file = "\(path)/\(name)"
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    return file
  }

  func text(of file: String) throws -> String { try String(contentsOfFile: file, encoding: .utf8) }
}
