import Foundation
import FoundationXML
import Testing
import Training

/// A run's folder made of text, to be read by a report.
struct ReportedRun {
  let path: String
  var configuration = Configuration(network: .mlp)
  var log = ""
  var confusions: String?

  init(_ path: String) { self.path = path }

  func write() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try put(configuration.yaml, "config.yaml")
    try put(log, "metrics.jsonl")
    if let confusions { try put(confusions, "confusions.json") }
  }

  func put(_ text: String, _ name: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
  }

  /// A line of the log.
  mutating func add(_ kind: String, step: Int, _ fields: KeyValuePairs<String, LogRecord.Value>) {
    log += LogRecord(kind, step: step, fields).json + "\n"
  }

  /// Steps with a loss that falls, `perEpoch` an epoch, a validation after each, and the end.
  mutating func train(
    steps: Int, perEpoch: Int, tags: [String], areas: [Double], seconds: Double = 0.5,
    fingerprint: String = "f1", weights: Int = 1_234, ends: Bool = true
  ) {
    add(
      "term", step: 0,
      [
        "time": .text("2026-01-02T03:04:05Z"), "build": .text("9.8.7"),
        "weightsAndBiases": .integer(weights), "tags": .texts(tags),
        "trainingClips": .integer(1_600), "validationClips": .integer(40),
        "testClips": .integer(30),
        "stepsPerEpoch": .integer(perEpoch), "storeFingerprint": .text(fingerprint),
      ])
    for step in 1...steps {
      add(
        "step", step: step,
        [
          "epoch": .integer((step - 1) / perEpoch), "loss": .number(1 / Double(step)),
          "learningRate": .number(0.001), "clips": .integer(16), "seconds": .number(seconds),
          "clipsPerSecond": .number(16 / seconds), "dataWaitShare": .number(0.031),
        ])
      guard step % perEpoch == 0 else { continue }
      let epoch = step / perEpoch
      add(
        "validation", step: step,
        [
          "epoch": .integer(epoch), "trainLoss": .number(0.6), "loss": .number(0.5),
          "rocAUC": .number(0.6 + 0.01 * Double(min(epoch, 20))), "prAUC": .number(0.4),
          "learningRate": .number(0.001), "tagROCAUC": .numbers(areas), "tagPRAUC": .numbers(areas),
        ])
    }
    guard ends else { return }
    add(
      "end", step: steps,
      [
        "bestStep": .integer(steps / perEpoch * perEpoch), "validationROCAUC": .number(0.7),
        "testROCAUC": .number(0.7654), "testPRAUC": .number(0.4321),
        "testTagROCAUC": .numbers(areas),
        "testTagPRAUC": .numbers(areas), "time": .text("2026-01-02T04:04:05Z"),
      ])
  }
}

/// A page as its reader takes it apart: well-formed, or not at all.
final class ParsedPage: NSObject, XMLParserDelegate {
  private(set) var text = ""
  private(set) var counts: [String: Int] = [:]
  /// What the page would load, or do.
  private(set) var references: [String] = []
  private(set) var headings: [String] = []
  private var open: [String] = []
  private var withoutCaption = 0

  init(_ page: String) throws {
    super.init()
    let parser = XMLParser(data: Data(page.utf8))
    parser.delegate = self
    if !parser.parse() {
      throw Malformed(description: "line \(parser.lineNumber): \(parser.parserError as Any)")
    }
  }

  struct Malformed: Error, CustomStringConvertible { let description: String }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
    qualifiedName: String?, attributes: [String: String]
  ) {
    open.append(name)
    counts[name, default: 0] += 1
    if ["h1", "h2", "h3"].contains(name) { headings.append("") }
    for (key, value) in attributes where ["src", "href", "xlink:href"].contains(key) {
      references.append(value)
    }
    references += attributes.keys.filter { $0.hasPrefix("on") }
  }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) {
    open.removeLast()
    text += " "
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) {
    guard !open.contains("style") else { return }
    text += string
    if let last = open.last, ["h1", "h2", "h3"].contains(last) {
      headings[headings.count - 1] += string
    }
  }

  /// The text with every run of spaces as one.
  var words: String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
