import Foundation

/// A run's `metrics.jsonl`, read back.
package struct RunHistory {
  package struct Step: Decodable, Equatable {
    package let step: Int
    package let epoch: Int
    package let loss: Double?
    package let clipsPerSecond: Double?
  }

  package struct Validation: Decodable, Equatable {
    package let step: Int
    package let epoch: Int
    package let trainLoss, loss, rocAUC, prAUC: Double?
  }

  package struct End: Decodable, Equatable {
    package let step: Int
    package let bestStep: Int?
    package let validationROCAUC, testROCAUC, testPRAUC: Double?
    package let testTagROCAUC, testTagPRAUC: [Double?]
  }

  package private(set) var steps: [Step] = []
  package private(set) var validations: [Validation] = []
  package private(set) var end: End?

  /// Lines of other kinds, and a last line that a crash tore, are passed over.
  ///
  /// - Throws: `FileError` if there is no log
  package init(path: String) throws {
    struct Head: Decodable { let kind: String }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw FileError("read", path: path, errno: ENOENT)
    }
    let decoder = JSONDecoder()
    for line in data.split(separator: UInt8(ascii: "\n")) {
      switch (try? decoder.decode(Head.self, from: line))?.kind {
      case "step": if let step = try? decoder.decode(Step.self, from: line) { steps.append(step) }
      case "validation":
        if let validation = try? decoder.decode(Validation.self, from: line) {
          validations.append(validation)
        }
      case "end": end = try? decoder.decode(End.self, from: line)
      default: continue
      }
    }
  }
}
