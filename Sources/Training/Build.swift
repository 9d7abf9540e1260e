import Foundation
import Kernels

/// What tells two builds apart.
package enum Build {
  /// Coordinator and workers must agree on it: another version may compute other bits.
  package static let version = "0.2.0"

  /// What was chosen for this machine's processor.
  package static var kernelsName: String { kernels.name }

  /// For `--version`: the version, and what it computes with here.
  package static var description: String {
    switch KernelChoice.made {
    case .success(let kernels): "\(version), \(kernels.name) kernels"
    case .failure(let refusal): "\(version); \(refusal)"
    }
  }
}

/// What this process computes with.
package enum Processor {
  /// The processor's name as the system gives it, and the kernels chosen for it, for words: that two
  /// machines compute the same bits is what `LaneProbe` proves.
  package static var description: String { "\(model) with \(kernels.name) kernels" }

  private static var model: String {
    let lines =
      (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
      .split(separator: "\n") ?? []
    let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
    return name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }
}
