/// The checkpoints of a run: written, linked, thinned out, and found again after a crash.
///
/// A checkpoint is complete on the disk before `last` and `best` point to it and before an older
/// one goes. Thinning out keeps the newest ones, the best, and the newest that was read back
/// without an error, which is nearly always the one just written.

import Foundation

extension RunFolder {
  /// A checkpoint that was opened and whose checksum agrees.
  package struct Found {
    package let file: SafetensorsFile
    package let step: Int
    /// What had to be passed over to get here; to be shown loudly.
    package let warnings: [String]
  }

  package func checkpointPath(step: Int) -> String {
    checkpointsPath + "/step-" + String(format: "%07d", step) + ".safetensors"
  }

  /// The steps of the checkpoints on disk, newest first, readable or not.
  package func checkpointSteps() throws -> [Int] {
    try Self.names(in: checkpointsPath).compactMap { name -> Int? in
      guard name.hasPrefix("step-"), name.hasSuffix(".safetensors") else { return nil }
      guard let step = Int(name.dropFirst(5).dropLast(12)), step >= 0 else { return nil }
      return checkpointPath(step: step).hasSuffix("/" + name) ? step : nil
    }.sorted(by: >)
  }

  /// Writes a checkpoint, points `last` (and `best`) to it, and removes old ones.
  ///
  /// - Parameters:
  ///   - keep: how many of the newest checkpoints stay
  ///   - metadata: `step` is added
  ///   - body: appends the numbers of `tensors`, in their order
  /// - Returns: warnings about what could not be removed or read back
  /// - Throws: `FileError`, `CheckpointError`; the checkpoints before are then as they were
  package func writeCheckpoint(
    step: Int, isBest: Bool, keep: Int, tensors: [SafetensorsTensor], metadata: [String: String],
    body: (SafetensorsWriter) throws -> Void
  ) throws -> [String] {
    let path = checkpointPath(step: step)
    let metadata = metadata.merging(["step": String(step)]) { _, new in new }
    try SafetensorsWriter.write(
      path, tensors: tensors, metadata: metadata, fileSystem: fileSystem, body: body)
    try AtomicFile.link(path, as: lastPath, fileSystem: fileSystem)
    if isBest { try AtomicFile.link(path, as: bestPath, fileSystem: fileSystem) }
    return try thinOut(keep: keep)
  }

  /// Removes old checkpoints, but never the best, the last, or the only readable one.
  private func thinOut(keep: Int) throws -> [String] {
    let steps = try checkpointSteps()
    var kept = Set(steps.prefix(max(1, keep)))
    for link in [lastPath, bestPath] {
      if let step = (try? SafetensorsFile(path: link))?.step { kept.insert(step) }
    }
    let doomed = steps.filter { !kept.contains($0) }
    guard !doomed.isEmpty else { return [] }
    var warnings: [String] = []
    let readable = steps.first { step in
      do {
        _ = try verified(checkpointPath(step: step), step: step)
        return true
      } catch {
        warnings.append("\(error); older checkpoints are kept")
        return false
      }
    }
    guard let readable else { return warnings }
    for step in doomed where step != readable {
      do {
        try fileSystem.remove(checkpointPath(step: step))
      } catch let failure as FileSystem.Failure where failure.errno == ENOENT {
        continue
      } catch let failure as FileSystem.Failure {
        let error = FileError("remove", path: checkpointPath(step: step), errno: failure.errno)
        warnings.append(error.description)
      }
    }
    return warnings
  }

  /// The newest checkpoint that can be read; nil if none was ever written.
  ///
  /// A damaged one is passed over with a warning, and so on to the oldest; then `last` and `best`
  /// are tried, which may be copies.
  ///
  /// - Throws: `RunError.noReadableCheckpoint` if there are checkpoints and all are damaged
  package func newestCheckpoint() throws -> Found? {
    let links: [String] = [lastPath, bestPath].filter { access($0, F_OK) == 0 }
    let numbered = try checkpointSteps().map { (path: checkpointPath(step: $0), step: Int?($0)) }
    let candidates = numbered + links.map { (path: $0, step: nil) }
    var warnings: [String] = []
    for (path, step) in candidates {
      do {
        let (file, step) = try verified(path, step: step)
        return Found(file: file, step: step, warnings: warnings)
      } catch let error as CheckpointError {
        warnings.append("\(error); falling back to the checkpoint before")
      }
    }
    guard candidates.isEmpty else {
      throw RunError(
        code: .noReadableCheckpoint, path: path,
        detail: "has no readable checkpoint: "
          + warnings.map { $0.replacing("; falling back to the checkpoint before", with: "") }
          .joined(separator: "; "))
    }
    return nil
  }

  /// Points `last` and `best` to the checkpoints that the resumed state names, where a crash or a
  /// fall-back left them on others.
  ///
  /// - Returns: a warning if the best checkpoint is gone
  package func repairLinks(last: Int, best: Int?) throws -> [String] {
    var warnings: [String] = []
    for (link, step) in [(lastPath, last), (bestPath, best)] {
      // With no best yet, a left-over one stays until the first validation replaces it.
      guard let step else { continue }
      if (try? verified(link, step: step)) != nil { continue }
      let path = checkpointPath(step: step)
      if (try? verified(path, step: step)) != nil {
        try AtomicFile.link(path, as: link, fileSystem: fileSystem)
      } else {
        warnings.append("\(link) should be the checkpoint of step \(step), which cannot be read")
      }
    }
    return warnings
  }

  /// Opens a checkpoint, checks every byte of it, and that it is of `step` (nil: of any).
  private func verified(_ path: String, step: Int?) throws -> (SafetensorsFile, step: Int) {
    let file = try SafetensorsFile(path: path)
    try file.verify()
    guard let found = file.step, found == step ?? found else {
      let says = file.metadata["step"].map { "says step \($0.prefix(20))" } ?? "names no step"
      throw CheckpointError(.mismatched, path: path, detail: "its metadata \(says)")
    }
    return (file, found)
  }
}

extension SafetensorsFile {
  /// The step in the metadata of a checkpoint.
  package var step: Int? { metadata["step"].flatMap { Int($0) } }
}
