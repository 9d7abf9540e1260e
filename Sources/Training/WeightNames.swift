import Layers
import Models
import Yams

/// Which tensors of another program's file make up a network's own, by their names.
///
/// A tensor is looked for under its own name, which is PyTorch's, and then under the spellings of the
/// table below. All that does not fit is collected, for a person to see at once.
struct WeightNames {
  /// A tensor of the file, and the place of its numbers in the network's flat vector.
  struct Piece {
    /// As in the file.
    let source: String
    let shape: [Int]
    let offset: Int
    /// Whether its numbers are added to those that are there.
    let adds: Bool
  }

  private(set) var pieces: [Piece] = []
  /// One clause for each tensor that is missing, left over, or of the wrong kind.
  private(set) var problems: [String] = []

  /// Ours and theirs, after the layer's name and a point. Several are ours one below another: the
  /// gates of a GRU in matrices of their own, as Keras and papers write them.
  private static let spellings: [(ours: String, theirs: [String])] = [
    ("weight_ih_l0", ["w_r", "w_z", "w_h"]),
    ("weight_hh_l0", ["u_r", "u_z", "u_h"]),
    ("bias_ih_l0", ["b_r", "b_z", "b_h"]),
  ]
  /// Theirs and ours.
  private static let layers = ["fc": "output"]
  /// What counts nothing that a network uses.
  private static let ignored = "num_batches_tracked"
  /// PyTorch's recurrent layers have a second bias. In a GRU it belongs to `model.reset: after`; in
  /// an LSTM or plain recurrence it is only ever added to the first.
  private static let (firstBias, secondBias) = ("bias_ih_l0", "bias_hh_l0")

  /// - Parameters:
  ///   - tensors: of the file
  ///   - map: names that a person gives
  init(_ network: Models.Network, _ tensors: [SafetensorsTensor], _ map: WeightMap) {
    var found: [String: SafetensorsTensor] = [:]
    for tensor in tensors {
      guard let name = map.name(of: tensor.name) else { continue }
      if let other = found.updateValue(tensor, forKey: name) {
        problems.append("\(other.name) and \(tensor.name) are both \(name)")
      }
    }
    for name in map.names where !tensors.contains(where: { $0.name == name }) {
      problems.append("\(name), which the map names, is not in the file")
    }
    var used: Set<String> = []
    func place(_ name: String, as shape: [Int], at offset: Int, adds: Bool = false) {
      used.insert(name)
      guard let tensor = found[name] else {
        problems.append("\(name) \(shape) is missing" + Self.hint(name, network))
        return
      }
      let said = tensor.name == name ? name : "\(tensor.name), as \(name),"
      if tensor.type == .int64 {
        problems.append("\(said) holds integers")
      } else if tensor.shape != shape {
        problems.append("\(said) is \(tensor.shape), and \(shape) is needed")
      } else {
        pieces.append(Piece(source: tensor.name, shape: shape, offset: offset, adds: adds))
      }
    }
    for window in network.parameters + network.statistics {
      let spellings = Self.spellings(of: window.name)
      let parts = spellings.first { $0.contains { found[$0] != nil } } ?? [window.name]
      var shape = window.shape.extents
      shape[0] /= parts.count
      for (index, part) in parts.enumerated() {
        place(part, as: shape, at: window.offset + index * shape.reduce(1, *))
      }
      if let second = Self.addedBias(to: window.name, of: network), found[second] != nil {
        place(second, as: shape, at: window.offset, adds: true)
      }
    }
    for (name, tensor) in found.sorted(by: { $0.key < $1.key }) where !used.contains(name) {
      guard Self.split(name).tensor != Self.ignored else { continue }
      let said = tensor.name == name ? name : "\(tensor.name), as \(name),"
      problems.append("\(said) \(tensor.shape) is left over" + Self.hint(name, network))
    }
  }

  /// All ways to write a tensor of ours, each in one or several parts.
  private static func spellings(of name: String) -> [[String]] {
    let (layer, tensor) = split(name)
    let names = [layer] + layers.filter { $0.value == layer }.map(\.key)
    let tensors = [[tensor]] + spellings.filter { $0.ours == tensor }.map(\.theirs)
    return names.flatMap { name in tensors.map { parts in parts.map { name + "." + $0 } } }
  }

  private static func addedBias(to name: String, of network: Models.Network) -> String? {
    let (layer, tensor) = split(name)
    let isAdditive = network.layers.contains {
      $0.name == layer && ($0 is LSTM || $0 is TanhRecurrence)
    }
    return tensor == firstBias && isAdditive ? layer + "." + secondBias : nil
  }

  /// What to do about the second bias of a GRU, which is there or not.
  private static func hint(_ name: String, _ network: Models.Network) -> String {
    let (layer, tensor) = split(name)
    guard tensor == secondBias,
      let gru = network.layers.first(where: { $0.name == layer }) as? GRU
    else { return "" }
    return switch gru.reset {
    case .before: ": a GRU with two biases, as PyTorch's, needs model.reset after"
    case .after: ": a GRU with one bias needs model.reset before"
    }
  }

  private static func split(_ name: String) -> (layer: String, tensor: String) {
    guard let point = name.lastIndex(of: ".") else { return ("", name) }
    return (String(name[..<point]), String(name[name.index(after: point)...]))
  }
}

/// A person's own list of names, `theirs: ours` in YAML; a tensor whose name is null is left out.
struct WeightMap {
  private var ours: [String: String?] = [:]

  /// No names.
  init() {}

  /// - Throws: `ConfigurationError` if the file is not such a list
  init(path: String) throws(ConfigurationError) {
    let place = { (line: Int) in "\(path):\(line)" }
    let text = try Configuration.text(ofFile: path, "map of names")
    guard let root = try Configuration.parse(text, place: place) else { return }
    guard let mapping = root.mapping else {
      throw ConfigurationError(
        .malformed, at: path, "a map of names has lines like encoder.conv1.weight: conv1.weight")
    }
    for (key, value) in mapping {
      guard let theirs = key.scalar?.string, value.scalar != nil else {
        throw ConfigurationError(
          .malformed, at: place(key.mark?.line ?? 1),
          "a name stands for one name, as in encoder.conv1.weight: conv1.weight")
      }
      ours[theirs] = .some(value.isNull ? nil : value.scalar?.string)
    }
  }

  var names: [String] { ours.keys.sorted() }

  /// What a tensor is called here; nil leaves it out.
  func name(of theirs: String) -> String? {
    guard let name = ours[theirs] else { return theirs }
    return name
  }
}
