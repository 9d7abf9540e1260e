import Foundation

/// One text file that a data set is described in, as bytes.
struct SourceText {
  let path: String
  private let storage: Storage

  private enum Storage {
    case mapped(MappedFile)
    case bytes([UInt8])
  }

  /// - Throws: `DatasetError`: `.missing`, `.inputOutput`
  init(_ url: URL) throws {
    path = url.path
    storage = .mapped(try MappedFile(url, attempt: "read a data set's description"))
  }

  /// - Parameter path: what errors name as the file
  init(_ bytes: [UInt8], path: String) {
    self.path = path
    storage = .bytes(bytes)
  }

  var name: String { URL(fileURLWithPath: path).lastPathComponent }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch storage {
    case .mapped(let file): try body(file.bytes)
    case .bytes(let bytes): try bytes.withUnsafeBytes(body)
    }
  }

  /// An error for which no row can be read at all.
  func refusal(_ code: DatasetError.Code, line: Int? = nil, _ detail: String) -> DatasetError {
    DatasetError(
      code, attempt: "read a data set's description", path: path, line: line, detail: detail)
  }
}
