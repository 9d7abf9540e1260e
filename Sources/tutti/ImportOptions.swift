import ArgumentParser
import Dataset
import Foundation

/// What a data set is imported from, and how. A command takes these options over as a group:
///
///     @OptionGroup(title: "Data set") var importing: ImportOptions
///     importing.missingLists               // nil, asked in run() before anything else
///     let imported = try importing.imported()
struct ImportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The kind of data set.",
      discussion: Importers.all.map { "\($0.name): \($0.summary)." }.joined(separator: "\n"),
      valueName: "kind"))
  var dataset = "csv"
  @Option(
    help: ArgumentHelp(
      "The list of clips, with --dataset csv.", valueName: "tags.csv"))
  var tags: String?
  @Option(
    help: ArgumentHelp(
      "The folder with the data set's lists and tables, with any other kind.", valueName: "folder"))
  var metadata: String?
  @Option(
    help: ArgumentHelp(
      "Where the lists' paths start (default: the lists' folder).", valueName: "folder"))
  var audio: String?
  @Option(
    help: ArgumentHelp(
      "Which part or which lists of the data set. \(ImportOptions.subsets)", valueName: "name"))
  var subset: String?
  @Option(
    help:
      "FMA's tags: the top genre of a clip (default), those listed, or all with those above them.")
  var genres: ImportRequest.Genres?
  @Option(
    help: ArgumentHelp(
      "What takes the place of the paths' extension, such as .clip.mp3.", valueName: "suffix"))
  var audioSuffix: String?
  @Option(
    help: ArgumentHelp("Keep only the N tags most frequent in the training split.", valueName: "N"))
  var topTags: Int?
  @Option(
    help: ArgumentHelp("Keep only tags of at least N training clips.", valueName: "N"))
  var minCount: Int?
  @Flag(help: "Keep clips without any of the tags; they are dropped otherwise.")
  var keepUntagged = false
  @Flag(
    name: [.customLong("skip-bad"), .customLong("skip-missing")],
    help: "Leave out bad rows, and clips whose file does not exist, and say how many.")
  var skipBad = false
  @Flag(
    help: "Refuse also what is otherwise left out and noted: repeated rows, unusable files."
  )
  var strict = false
  @Flag(help: "Read and check the lists, print what they hold, and prepare nothing.")
  var dryRun = false

  private static let subsets = Importers.all.filter { !$0.subsets.isEmpty }
    .map { "\($0.name): \($0.subsets.joined(separator: ", "))" }.joined(separator: "; ")

  func validate() throws {
    guard let importer = Importers.named(dataset) else {
      throw ValidationError(
        "--dataset must be one of \(Importers.all.map(\.name).joined(separator: ", ")), not "
          + dataset)
    }
    if tags != nil && metadata != nil {
      throw ValidationError("--tags and --metadata both name the lists: give one of them")
    }
    if tags != nil && dataset != "csv" {
      throw ValidationError("--tags goes with --dataset csv; give the lists with --metadata")
    }
    if let subset, !importer.subsets.contains(subset) {
      throw ValidationError(
        importer.subsets.isEmpty
          ? "--subset does not go with --dataset \(dataset)"
          : "--subset must be one of \(importer.subsets.joined(separator: ", ")), not \(subset)")
    }
    if genres != nil && dataset != "fma" {
      throw ValidationError("--genres goes with --dataset fma")
    }
    if let topTags, topTags < 1 { throw ValidationError("--top-tags must be at least 1") }
    if let minCount, minCount < 1 { throw ValidationError("--min-count must be at least 1") }
    if skipBad && strict {
      throw ValidationError("--strict stops at what --skip-bad leaves out: give one of them")
    }
  }

  /// Whether there is anything to import.
  var areGiven: Bool { tags != nil || metadata != nil }

  /// What to say if there is nothing to import. Not part of `validate()`, which would speak before the
  /// parser does of a misspelt option.
  var missingLists: String? {
    areGiven
      ? nil
      : dataset == "csv"
        ? "give the list of clips with --tags"
        : "give the folder of the data set's lists with --metadata"
  }

  /// Reads the data set; nothing of its sound is touched.
  ///
  /// - Throws: `DatasetError`
  /// - Precondition: `areGiven`
  func imported() throws -> Imported {
    guard let importer = Importers.named(dataset), let metadata = tags ?? metadata else {
      preconditionFailure("imported() before validate() and missingLists")
    }
    var request = ImportRequest(metadata: URL(fileURLWithPath: metadata))
    request.audio = audio.map { URL(fileURLWithPath: $0) }
    request.subset = subset
    request.genres = genres ?? .top
    request.audioSuffix = audioSuffix
    request.selection.top = topTags
    request.selection.minimumCount = minCount ?? 0
    request.selection.keepsUntagged = keepUntagged
    request.policy = strict ? .strict : skipBad ? .skip : .refuse
    return try request.imported(by: importer)
  }
}

extension ImportRequest.Genres: ExpressibleByArgument {}
