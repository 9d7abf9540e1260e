import Foundation

/// What can be wrong with a data set: each error is one sentence that says what was attempted,
/// where, what is wrong and what to do.
package struct DatasetError: Error, Equatable, CustomStringConvertible, LocalizedError {
  package enum Code: String, Sendable {
    // tags files and other manifests
    case malformed, missingColumn, duplicate, unknownSplit, unsafePath, leakage, noClips
    // stores
    case notAStore, unfinished, wrongVersion, missing, truncated, damaged, settingsDiffer,
      otherStore
    case emptySplit, notRepresentable
    // the folder that a store is to be made in: it has a finished store, or other files
    case finished, occupied
    // another program is at it
    case busy
    // the machine: no permission, no space, a folder in the place of a file
    case inputOutput
  }

  package let code: Code
  /// A verb and its object: "read the tags file".
  package let attempt: String
  package let path: String
  /// Line of a text file, counted from 1.
  package let line: Int?
  package let detail: String

  package init(
    _ code: Code, attempt: String, path: String, line: Int? = nil, detail: String
  ) {
    self.code = code
    self.attempt = attempt
    self.path = path
    self.line = line
    self.detail = detail
  }

  /// The error that `errno` describes; call it directly after the failed system call.
  static func system(_ attempt: String, path: String) -> DatasetError {
    let reason = String(cString: strerror(errno))
    return DatasetError(.inputOutput, attempt: attempt, path: path, detail: reason)
  }

  package var description: String {
    let place = line.map { "\(path), line \($0)" } ?? path
    return "could not \(attempt) (\(place)): \(detail)"
  }

  package var errorDescription: String? { description }

  /// What a program that stops for this error exits with: 65 for bad data, 69 for a resource.
  package var exitCode: Int32 { code == .inputOutput || code == .busy ? 69 : 65 }
}

/// Text from a file, in quotes and short enough to stand in a message.
func quoted(_ text: some StringProtocol) -> String {
  let visible = text.unicodeScalars.prefix(60).map { scalar in
    scalar.properties.generalCategory == .control ? "\u{FFFD}" : String(scalar)
  }
  return "\"\(visible.joined())\(text.unicodeScalars.count > 60 ? "…" : "")\""
}
