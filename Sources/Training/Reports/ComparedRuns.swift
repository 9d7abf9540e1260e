import Foundation

/// Several runs, numbered, and sorted by what they were trained on: only runs on the same clips and
/// tags can be compared.
struct ComparedRuns {
  struct Entry {
    /// From 1, in the order in which they were given.
    let number: Int
    let run: RunReading
    /// The folder's name, with as much of its path as tells it from the others.
    let label: String
    var sign: RunSign { RunSign(index: number - 1) }
  }

  /// Runs on the same store.
  struct Group {
    /// A, B and so on.
    let letter: String
    /// Nil if it is not known what they were trained on.
    let fingerprint: String?
    let entries: [Entry]

    /// Whether all of them were judged on the test split; else the best validation is what they share.
    var isJudgedOnTest: Bool { entries.allSatisfy { $0.run.history.end?.testROCAUC != nil } }
    var areaName: String { isJudgedOnTest ? "test ROC-AUC" : "best validation ROC-AUC" }

    func area(_ entry: Entry) -> Double? {
      isJudgedOnTest
        ? entry.run.history.end?.testROCAUC : entry.run.history.best?.rocAUC
    }

    func tagAreas(_ entry: Entry) -> [Double?]? {
      let history = entry.run.history
      let areas = isJudgedOnTest ? history.end?.testTagROCAUC : history.best?.tagROCAUC
      return areas?.isEmpty == false ? areas : nil
    }
  }

  let entries: [Entry]
  let groups: [Group]
  /// What was given twice.
  let repeated: [String]

  init(_ runs: [RunReading]) {
    var seen = Set<String>()
    var kept: [(run: RunReading, parts: [String])] = []
    var repeated: [String] = []
    for run in runs {
      let url = URL(fileURLWithPath: run.path).standardizedFileURL.resolvingSymlinksInPath()
      if seen.insert(url.path).inserted {
        kept.append((run, url.pathComponents.filter { $0 != "/" }))
      } else {
        repeated.append(run.path)
      }
    }
    let depth = (1...64).first { depth in
      Set(kept.map { $0.parts.suffix(depth).joined(separator: "/") }).count == kept.count
    }
    entries = kept.enumerated().map { index, one in
      Entry(
        number: index + 1, run: one.run,
        label: one.parts.suffix(depth ?? 64).joined(separator: "/"))
    }
    self.repeated = repeated
    groups = Self.grouped(entries)
  }

  private static func grouped(_ entries: [Entry]) -> [Group] {
    var order: [String?] = []
    for entry in entries where !order.contains(entry.run.storeFingerprint) {
      order.append(entry.run.storeFingerprint)
    }
    return order.enumerated().map { index, fingerprint in
      Group(
        letter: index < 26 ? String(UnicodeScalar(UInt8(65 + index))) : String(index + 1),
        fingerprint: fingerprint,
        entries: entries.filter { $0.run.storeFingerprint == fingerprint })
    }
  }
}
