import Dataset
import Foundation
import Testing

/// A small data set in the shape of a public one; `ImporterFixtures/make_fixtures.py` wrote them.
struct ImporterFixture: Sendable {
  let importer: String
  let folder: String

  static let all = [
    ImporterFixture(importer: "csv", folder: "csv"),
    ImporterFixture(importer: "msd", folder: "msd"),
    ImporterFixture(importer: "msd", folder: "msd-lists"),
    ImporterFixture(importer: "magnatagatune", folder: "magnatagatune"),
    ImporterFixture(importer: "magnatagatune", folder: "magnatagatune-lists"),
    ImporterFixture(importer: "mtg-jamendo", folder: "mtg-jamendo"),
    ImporterFixture(importer: "fma", folder: "fma"),
    ImporterFixture(importer: "gtzan", folder: "gtzan"),
  ]

  static func named(_ folder: String) -> ImporterFixture { all.first { $0.folder == folder }! }

  var url: URL {
    URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "ImporterFixtures/\(folder)")
  }

  /// Imports the fixture.
  func imported(_ change: (inout ImportRequest) -> Void = { _ in }) throws -> Imported {
    try imported(from: url, change)
  }

  /// Imports what lies in another folder.
  func imported(
    from url: URL, _ change: (inout ImportRequest) -> Void = { _ in }
  ) throws -> Imported {
    var request = ImportRequest(metadata: url)
    change(&request)
    return try request.imported(by: Importers.named(importer)!)
  }

  /// A copy of the fixture, to be changed.
  func copy() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(at: url, to: folder.file("data"))
    return folder
  }
}

extension ImporterFixture: CustomTestStringConvertible {
  var testDescription: String { folder }
}
