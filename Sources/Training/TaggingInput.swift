import Dataset
import Foundation
import Kernels

/// Something to be tagged.
package enum TaggingInput: Sendable {
  /// A sound file.
  case sound(String)
  /// One map of an array of features made elsewhere.
  case map(NumPyArray, index: Int)

  /// The sound files that `paths` name: each itself, and of a folder all below it, sorted by path.
  /// A folder without any stays as it is, to be reported like a file that is no sound.
  package static func sounds(_ paths: [String]) -> [TaggingInput] {
    paths.flatMap { path -> [String] in
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
        isFolder.boolValue, let names = FileManager.default.enumerator(atPath: path)
      else { return [path] }
      let folder = path.hasSuffix("/") ? path : path + "/"
      let sounds = names.compactMap { $0 as? String }.filter { name in
        let parts = name.split(separator: "/")
        return !parts.contains { $0.hasPrefix(".") }
          && extensions.contains((name as NSString).pathExtension.lowercased())
      }
      return sounds.isEmpty ? [path] : sounds.sorted().map { folder + $0 }
    }.map { .sound($0) }
  }

  /// What a folder's sound files are known by.
  private static let extensions: Set<String> = [
    "aif", "aifc", "aiff", "au", "caf", "flac", "mp3", "oga", "ogg", "opus", "rf64", "snd", "w64",
    "wav",
  ]

  /// The maps in a `.npy` file: one `[F, T]`, or `[N, F, T]`.
  ///
  /// - Parameter shape: the network's input, `[1, F, T]`
  /// - Throws: `DatasetError`; `TrainingError` for maps of another shape
  package static func maps(_ path: String, shape: Shape) throws -> [TaggingInput] {
    let array = try NumPyArray(URL(fileURLWithPath: path))
    let map = Array(shape.extents.suffix(2))
    guard [2, 3].contains(array.shape.count), Array(array.shape.suffix(2)) == map else {
      let found = array.shape.map(String.init).joined(separator: " × ")
      let one = map.map(String.init).joined(separator: " × ")
      throw TrainingError(
        .badInput,
        "\(path) is \(found.isEmpty ? "a single number" : found), and the model takes maps of "
          + "\(one), or N × \(one) of them at once")
    }
    let count = array.shape.count == 3 ? array.shape[0] : 1
    return (0..<count).map { .map(array, index: $0) }
  }

  /// The file's path.
  package var file: String {
    switch self {
    case .sound(let path): path
    case .map(let array, _): array.path
    }
  }

  /// The place of a map among others in its file.
  package var index: Int? {
    guard case .map(let array, let index) = self, array.shape.count == 3 else { return nil }
    return index
  }
}
