import Dataset
import Foundation
import Kernels

/// Something to be tagged.
package enum TaggingInput: Sendable {
  /// A sound file.
  case sound(String)
  /// A folder without sound files, to be reported like a file that is no sound.
  case soundless(folder: String)
  /// One map of an array of features made elsewhere, in the file at `path`.
  case map(NumPyArray, index: Int, path: String)

  /// The sound files that `paths` name: each itself, and of a folder all below it, sorted by path.
  package static func sounds(_ paths: [String]) -> [TaggingInput] {
    paths.flatMap { path -> [TaggingInput] in
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
        isFolder.boolValue, let names = FileManager.default.enumerator(atPath: path)
      else { return [.sound(path)] }
      let folder = path.hasSuffix("/") ? path : path + "/"
      let sounds = names.compactMap { $0 as? String }.filter { name in
        let parts = name.split(separator: "/")
        return !parts.contains { $0.hasPrefix(".") }
          && extensions.contains((name as NSString).pathExtension.lowercased())
      }
      return sounds.isEmpty
        ? [.soundless(folder: path)] : sounds.sorted().map { .sound(folder + $0) }
    }
  }

  /// What a folder's sound files are known by.
  static let extensions = [
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
    return (0..<count).map { .map(array, index: $0, path: path) }
  }

  /// The file's path, or the folder's, as it was given.
  package var file: String {
    switch self {
    case .sound(let path), .soundless(let path), .map(_, _, let path): path
    }
  }

  /// The place of a map among others in its file.
  package var index: Int? {
    guard case .map(let array, let index, _) = self, array.shape.count == 3 else { return nil }
    return index
  }
}
