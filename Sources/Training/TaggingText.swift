import Foundation

/// Tags as text: for programs, an object of JSON a line; for people, an indented list.
package struct TaggingText: Sendable {
  package let tags: [String]
  /// How many tags are shown, the most probable first.
  package let top: Int

  package init(tags: [String], top: Int) {
    self.tags = tags
    self.top = top
  }

  /// ```
  /// {"file": "a.mp3", "tags": [{"tag": "jazz", "probability": 0.444}, …]}
  /// {"file": "b.mp3", "error": "cannot read the sound: …"}
  /// ```
  /// With windows, `"windows": [{"start": 0.0, "tags": […]}, …]` follows, in seconds to the
  /// millisecond; a silent window has no tags. A map of several has its place in the file,
  /// `"index": 0`.
  package func json(_ input: TaggingInput, _ outcome: Tagging.Outcome) -> String {
    var fields = ["\"file\": \(input.file.quotedAsJSON)"]
    if let index = input.index { fields.append("\"index\": \(index)") }
    switch outcome {
    case .failure(let error):
      fields.append("\"error\": \(problem(input, error).quotedAsJSON)")
    case .success(let probabilities):
      fields.append("\"tags\": \(json(probabilities.mean))")
      if !probabilities.windows.isEmpty {
        let windows = probabilities.windows.map {
          "{\"start\": \(($0.start * 1000).rounded() / 1000), "
            + "\"tags\": \(json($0.probabilities))}"
        }
        fields.append("\"windows\": [\(windows.joined(separator: ", "))]")
      }
    }
    return "{\(fields.joined(separator: ", "))}\n"
  }

  /// What is wrong with an input: the error without the file that it begins with.
  private func problem(_ input: TaggingInput, _ error: any Error) -> String {
    let text = "\(error)"
    let name = input.file + ": "
    return text.hasPrefix(name) ? String(text.dropFirst(name.count)) : text
  }

  private func json(_ probabilities: [Float]) -> String {
    let tags = sorted(probabilities).map {
      "{\"tag\": \($0.tag.quotedAsJSON), \"probability\": \($0.probability)}"
    }
    return "[\(tags.joined(separator: ", "))]"
  }

  /// The file, its tags below it, then a line a window.
  package func plain(_ input: TaggingInput, _ probabilities: TagProbabilities) -> String {
    let head = input.file + (input.index.map { " [\($0)]" } ?? "")
    let mean = sorted(probabilities.mean).map { "  \(figure($0.probability))  \($0.tag)" }
    let windows = probabilities.windows.map { window in
      let tags = sorted(window.probabilities).map { "\($0.tag) \(figure($0.probability))" }
      return String(format: "  at %.1f s: ", window.start)
        + (tags.isEmpty ? "silence" : tags.joined(separator: ", "))
    }
    return ([head] + mean + windows).joined(separator: "\n") + "\n"
  }

  private func figure(_ probability: Float) -> String { String(format: "%.3f", probability) }

  /// The most probable first; of equal ones, the first in the model's order.
  private func sorted(_ probabilities: [Float]) -> [(tag: String, probability: Float)] {
    let order = probabilities.indices.sorted {
      (probabilities[$1], $0) < (probabilities[$0], $1)
    }
    return order.prefix(top).map { (tags[$0], probabilities[$0]) }
  }
}
