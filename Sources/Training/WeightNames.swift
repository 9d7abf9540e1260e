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
    /// Where it belongs.
    let name: String
    let shape: [Int]
    let offset: Int
    /// Whether its numbers are added to those that are there.
    let adds: Bool
  }

  private(set) var pieces: [Piece] = []
  /// One clause for each tensor that is missing, left over, or of the wrong kind.
  private(set) var problems: [String] = []
  private let network: Models.Network
  /// The file's tensors by the names they go by here, and which of those names have a place.
  private var found: [String: SafetensorsTensor] = [:]
  private var used: Set<String> = []

  /// Ours and theirs, after a GRU's name and a point: its gates in matrices of their own, as papers
  /// write them, are ours one below another.
  private static let gates: [(ours: String, theirs: [String])] = [
    ("weight_ih_l0", ["w_r", "w_z", "w_h"]),
    ("weight_hh_l0", ["u_r", "u_z", "u_h"]),
    ("bias_ih_l0", ["b_r", "b_z", "b_h"]),
  ]
  /// Layers, theirs and ours.
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
    self.network = network
    name(tensors, map)
    for window in network.parameters + network.statistics { place(window) }
    for (name, tensor) in found.sorted(by: { $0.key < $1.key })
    where !used.contains(name) && Self.split(name).tensor != Self.ignored {
      problems.append("\(Self.said(tensor, name)) \(tensor.shape) is left over" + hint(name))
    }
  }

  private mutating func name(_ tensors: [SafetensorsTensor], _ map: WeightMap) {
    for tensor in tensors {
      guard let name = map.name(of: tensor.name) else { continue }
      if let other = found.updateValue(tensor, forKey: name) {
        problems.append("\(other.name) and \(tensor.name) are both \(name)")
      }
    }
    for name in map.names where !tensors.contains(where: { $0.name == name }) {
      problems.append("\(name), which the map names, is not in the file")
    }
  }

  /// Finds a tensor of the network, under whatever spelling.
  private mutating func place(_ window: Models.Network.Window) {
    let spellings = spellings(of: window.name)
    let parts = spellings.first { $0.contains { found[$0] != nil } } ?? [window.name]
    var shape = window.shape.extents
    shape[0] /= parts.count
    for (index, part) in parts.enumerated() {
      place(part, as: shape, at: window.offset + index * shape.reduce(1, *))
    }
    if let second = addedBias(to: window.name), found[second] != nil {
      place(second, as: shape, at: window.offset, adds: true)
    }
  }

  private mutating func place(_ name: String, as shape: [Int], at offset: Int, adds: Bool = false) {
    used.insert(name)
    guard let tensor = found[name] else {
      problems.append("\(name) \(shape) is missing" + hint(name))
      return
    }
    let said = Self.said(tensor, name)
    if tensor.type == .int64 {
      problems.append("\(said) holds integers")
    } else if tensor.shape != shape {
      problems.append("\(said) is \(tensor.shape), and \(shape) is needed")
    } else {
      pieces.append(
        Piece(source: tensor.name, name: name, shape: shape, offset: offset, adds: adds))
    }
  }

  /// All ways to write a tensor of ours, each in one or several parts.
  private func spellings(of name: String) -> [[String]] {
    let (layer, tensor) = Self.split(name)
    let names = [layer] + Self.layers.filter { $0.value == layer }.map(\.key)
    let isGRU = self.layer(layer) is GRU
    let apart = Self.gates.filter { isGRU && $0.ours == tensor }.map(\.theirs)
    return names.flatMap { name in
      ([[tensor]] + apart).map { parts in parts.map { name + "." + $0 } }
    }
  }

  private func addedBias(to name: String) -> String? {
    let (layer, tensor) = Self.split(name)
    let adds = self.layer(layer) is LSTM || self.layer(layer) is TanhRecurrence
    return tensor == Self.firstBias && adds ? layer + "." + Self.secondBias : nil
  }

  /// What to do about the second bias of a GRU, which is there or not.
  private func hint(_ name: String) -> String {
    let (layer, tensor) = Self.split(name)
    guard tensor == Self.secondBias, let gru = self.layer(layer) as? GRU else { return "" }
    return switch gru.reset {
    case .before: ": a GRU with two biases, as PyTorch's, needs model.reset after"
    case .after: ": a GRU with one bias needs model.reset before"
    }
  }

  private func layer(_ name: String) -> (any Layer)? {
    network.layers.first { $0.name == name }
  }

  /// A tensor's name for a person, with what a map makes of it.
  private static func said(_ tensor: SafetensorsTensor, _ name: String) -> String {
    tensor.name == name ? name : "\(tensor.name), as \(name),"
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
