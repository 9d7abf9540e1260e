import Foundation

/// A run's folder as a report reads it: at any time of the run's life, written by any build.
///
/// It only reads. What the folder does not say is nil.
package struct RunReading {
  package enum State: Equatable, Sendable { case goesOn, stopped, ended }

  package let path: String
  /// The folder's name.
  package let name: String
  package let state: State
  package let history: RunHistory
  /// `config.yaml`, as it stands there.
  package let configurationText: String
  /// Nil if another version wrote it, with settings that this one does not know.
  package let configuration: Configuration?
  package let tags: [String]?
  package let weightsAndBiases: Int?
  package let storeFingerprint: String?
  /// Where the store was.
  package let storePath: String?
  /// Of the test split, and of the model that the log's end speaks of.
  package let confusions: TagConfusions?
  /// When the log was last written.
  package let lastWritten: Date?

  /// - Throws: `RunError.notARun`, `FileError`
  package init(_ path: String) throws {
    self.path = path
    name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
    guard let text = FileManager.default.contents(atPath: path + "/config.yaml") else {
      throw RunError(
        code: .notARun, path: path,
        detail: access(path, F_OK) == 0
          ? "is not a run: it has no config.yaml; give the folder of a run" : "is not there")
    }
    configurationText = String(decoding: text, as: UTF8.self)
    configuration = try? Configuration(path: path + "/config.yaml")
    let log = path + "/metrics.jsonl"
    // A run that waits for its first worker may have none yet.
    history = access(log, F_OK) == 0 ? try RunHistory(path: log) : RunHistory(Data())
    lastWritten =
      try? FileManager.default.attributesOfItem(atPath: log)[.modificationDate] as? Date
    state = history.end != nil ? .ended : RunFolder.isBeingWritten(path) ? .goesOn : .stopped

    let checkpoint = Self.checkpoint(in: path)
    let term = history.terms.last
    tags = term?.tags ?? checkpoint?.description.tags
    weightsAndBiases =
      term?.weightsAndBiases ?? (try? checkpoint?.description.network())?.weightsAndBiases
    storeFingerprint = term?.storeFingerprint ?? checkpoint?.fingerprint
    storePath = (try? String(contentsOfFile: path + "/.store", encoding: .utf8)).flatMap {
      $0.isEmpty ? nil : $0
    }
    confusions = Self.confusions(in: path, of: history.end, tags: tags)
  }

  /// What the best or the last checkpoint says of itself; its numbers are not read.
  private static func checkpoint(
    in path: String
  ) -> (description: ModelDescription, fingerprint: String?)? {
    for name in ["best", "last"] {
      guard let file = try? SafetensorsFile(path: "\(path)/\(name).safetensors"),
        let description = try? ModelDescription(
          file, formats: [Checkpoint.format], kind: "a checkpoint")
      else { continue }
      return (description, file.metadata["storeFingerprint"])
    }
    return nil
  }

  private static func confusions(
    in path: String, of end: RunHistory.End?, tags: [String]?
  ) -> TagConfusions? {
    guard let end,
      let data = FileManager.default.contents(atPath: path + "/" + RunFolder.confusionsName),
      let file = try? JSONDecoder().decode(TagConfusionsFile.self, from: data),
      file.tags == tags ?? file.tags, file.step == end.bestStep ?? end.step
    else { return nil }
    return file.confusions
  }

  // MARK: In words

  package var network: String {
    guard let model = configuration?.model else { return "a network of another version" }
    return switch model.scale {
    case .size(let size): "\(model.network.rawValue) \(size.rawValue)"
    case .parameters, .widths: model.network.rawValue
    }
  }

  /// Clips in a whole step.
  package var clipsPerStep: Int? { configuration?.training.clipsPerStep }

  /// The store's folder, or the embedded data set.
  package var storeName: String? {
    guard let storePath else { return nil }
    return storePath.hasPrefix(EmbeddedDataset.cache.standardizedFileURL.path)
      ? "the embedded data set" : URL(fileURLWithPath: storePath).lastPathComponent
  }

  /// The tag's name; its number where names are not known.
  package func tagName(_ index: Int) -> String {
    guard let tags, tags.indices.contains(index) else { return "tag \(index + 1)" }
    return tags[index]
  }

  /// Areas by tag, and what they were measured on.
  package struct TagAreas {
    package let what: String
    package let rocAUC, prAUC: [Double?]
  }

  /// Of the test split where the run has ended, else of its best validation.
  package var tagAreas: TagAreas? {
    if let end = history.end, let rocAUC = end.testTagROCAUC, !rocAUC.isEmpty {
      return TagAreas(
        what: "the test split", rocAUC: rocAUC, prAUC: Self.filled(end.testTagPRAUC, rocAUC.count))
    }
    guard let best = history.best ?? history.validations.last, let rocAUC = best.tagROCAUC,
      !rocAUC.isEmpty
    else { return nil }
    return TagAreas(
      what: "the validation split at step \(Figure.whole(best.step)), the best so far",
      rocAUC: rocAUC, prAUC: Self.filled(best.tagPRAUC, rocAUC.count))
  }

  private static func filled(_ values: [Double?]?, _ count: Int) -> [Double?] {
    let values = values ?? []
    return values.count == count ? values : [Double?](repeating: nil, count: count)
  }
}

extension RunFolder {
  static let confusionsName = "confusions.json"

  /// Whether a coordinator holds the run in `folder`. Looking leaves nothing behind.
  static func isBeingWritten(_ folder: String) -> Bool {
    let lock = open(folder + "/.lock", O_RDONLY | O_CLOEXEC)
    guard lock >= 0 else { return false }
    defer { close(lock) }
    return flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  /// Writes which tags the best model takes for each other on the test split.
  package func write(_ confusions: TagConfusions, step: Int, tags: [String]) throws {
    let file = TagConfusionsFile(confusions, split: "test", step: step, tags: tags)
    try AtomicFile.write(path + "/" + Self.confusionsName, fileSystem: fileSystem) {
      try $0.append(try file.json() + "\n")
    }
  }

  package var reportPath: String { path + "/report.html" }

  /// Writes the run's page anew.
  package func writeReport() throws {
    let page = RunPage(try RunReading(path)).page
    try AtomicFile.write(reportPath, fileSystem: fileSystem) { try $0.append(page.html) }
  }
}
