/// Why a sound cannot become features.
///
/// The description is one sentence that can stand in a quarantine list: where, what was
/// attempted, what was found, what to do about it.

package struct AudioError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    /// There is no such file, or it may not be read.
    case missing
    /// A folder, a pipe or a device stands where a sound file is expected.
    case notAFile
    /// The file's format is not known, or its header is damaged.
    case undecodable
    /// The format is known, but no music has such a sample rate or length.
    case unsupported
    /// The file holds less sound than its header declares: cut short or damaged.
    case incomplete
    /// There is not a single sample.
    case empty
    /// No sample rises above `FeatureSettings.silencePeak`.
    case silent
    /// A sample is NaN, infinite, or beyond anything that a sound can be.
    case notFinite
    /// A feature setting makes no sense.
    case settings
    /// libsoxr or FFTW refused to work.
    case library
  }

  package var code: Code
  package var attempt: String
  package var path: String?
  package var detail: String

  package init(_ code: Code, attempt: String, path: String? = nil, detail: String) {
    self.code = code
    self.attempt = attempt
    self.path = path
    self.detail = detail
  }

  package var description: String {
    [path, "cannot \(attempt)", detail].compactMap(\.self).joined(separator: ": ")
      + (code.advice.map { "; \($0)" } ?? "")
  }

  func at(_ path: String) -> AudioError {
    AudioError(code, attempt: attempt, path: path, detail: detail)
  }
}

extension AudioError.Code {
  fileprivate var advice: String? {
    switch self {
    case .missing: "check the path and the permissions"
    case .notAFile: "give the path of a sound file"
    case .undecodable: "encode it again as WAV, FLAC, OGG or MP3"
    case .unsupported: "convert it to a common sample rate"
    case .incomplete: "copy it again from its source"
    case .empty, .silent: "leave the clip out"
    case .notFinite: "encode it again from a sound source"
    case .settings, .library: nil
    }
  }
}
