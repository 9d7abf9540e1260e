import Foundation

/// Tutti's own `tags.csv` (see `TagsFile`).
struct CSVImporter: Importer {
  let name = "csv"
  let summary = "Tutti's own tags.csv: clip_id, path, split, work (optional) and tags joined by |"

  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(
      atPath: request.metadata.path, isDirectory: &isFolder)
    let url =
      exists && isFolder.boolValue
      ? request.metadata.appendingPathComponent("tags.csv") : request.metadata
    intake.audio = request.audio ?? url.deletingLastPathComponent()
    _ = try TagsFile.read(SourceText(url), into: &intake)
  }
}
