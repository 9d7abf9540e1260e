import Foundation

/// Reads one kind of data set as its authors publish it.
///
/// A new one is a file with a conformer, a small fixture, and a line in `Importers.all`.
package protocol Importer: Sendable {
  /// What `--dataset` calls it.
  var name: String { get }
  /// One line for people: what has to be in the folder.
  var summary: String { get }
  /// What `--subset` may say, the most usual first.
  var subsets: [String] { get }

  /// Hands every clip, and whatever is wrong or worth a word, to `intake`.
  ///
  /// - Throws: `DatasetError` if the data set cannot be read at all; a row that cannot is a defect
  func read(_ request: ImportRequest, into intake: inout ImportIntake) throws
}

extension Importer {
  package var subsets: [String] { [] }
}

package enum Importers {
  package static let all: [any Importer] = [
    CSVImporter(),
    MSDImporter(),
    MagnaTagATuneImporter(),
    JamendoImporter(),
    FMAImporter(),
    GTZANImporter(),
  ]

  package static func named(_ name: String) -> (any Importer)? { all.first { $0.name == name } }
}

/// What is to be imported, and how.
package struct ImportRequest: Sendable {
  /// The folder with the data set's lists and tables; for `csv` the file.
  package var metadata: URL
  /// Where the paths start; nil: where the metadata is.
  package var audio: URL?
  /// Which part or which lists of the data set; nil: the usual, or the only one there.
  package var subset: String?
  /// What takes the place of the paths' extension (`.clip.mp3`), if anything.
  package var audioSuffix: String?
  /// Which of FMA's genres are the tags.
  package var genres = Genres.top
  package var selection = TagSelection()
  package var policy = DefectPolicy.refuse

  package enum Genres: String, Sendable, CaseIterable {
    /// The one top-level genre of a clip.
    case top
    /// Those that the clip's artist gave.
    case listed
    /// Those, and all above them.
    case all
  }

  package init(metadata: URL) { self.metadata = metadata }

  /// Reads the data set, checks it, and chooses the tags.
  ///
  /// - Throws: `DatasetError`: what cannot be read at all, or the defects that the policy refuses
  package func imported(by importer: any Importer) throws -> Imported {
    if let subset, !importer.subsets.contains(subset) {
      throw DatasetError(
        .missing, attempt: "import the data set \(importer.name)", path: metadata.path,
        detail: importer.subsets.isEmpty
          ? "it has no subsets; leave --subset out"
          : "it has no subset \(quoted(subset)); it has " + importer.subsets.joined(separator: ", ")
      )
    }
    var intake = ImportIntake(audio: audio ?? metadata, audioSuffix: audioSuffix)
    try importer.read(self, into: &intake)
    try intake.defects.require(policy, dataset: importer.name)
    return try intake.imported(as: importer.name, selection: selection, path: metadata.path)
  }
}

/// A data set ready to be prepared.
package struct Imported: Sendable {
  package let manifest: Manifest
  /// The K labels in their order.
  package let tags: [String]
  /// The folder that the records' paths start from.
  package let audio: URL
  package let report: ImportReport
}
