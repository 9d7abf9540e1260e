import Foundation
import Kernels

/// What tells two builds apart.
package enum Build {
  /// Coordinator and workers must agree on it: another version may compute other bits.
  package static let version = "0.2.0"
}

extension Processor {
  /// The processor's name as the system gives it.
  package static var model: String {
    let lines =
      (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
      .split(separator: "\n") ?? []
    let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
    return name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }

  /// Makes the arithmetic ready, or says why it cannot run here.
  package static func requireInstructionSet() throws {
    if let missing { throw TrainingError(.unavailable, missing) }
    prepare()
  }
}
