/// Why no corpus was made. The description is one sentence: what, where, what to do.
package struct SynthesisError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    case tooFewClips
    /// The folder holds files of somebody else.
    case occupied
    /// Another process is making a corpus in the folder.
    case busy
    case notWritable
    case diskFull
  }

  package let code: Code
  package let attempt: String
  package let path: String?
  package let detail: String

  package init(_ code: Code, attempt: String, path: String? = nil, detail: String) {
    self.code = code
    self.attempt = attempt
    self.path = path
    self.detail = detail
  }

  package var description: String {
    "cannot \(attempt)\(path.map { " \($0)" } ?? ""): \(detail)"
  }
}
