import Foundation

/// A safetensors file beside its script in `Goldens`: what PyTorch computed for one layer, in double
/// precision, from numbers that single precision holds exactly.
///
/// The format is eight bytes of header length, a JSON header of shapes and byte ranges, the bytes.
struct Golden {
  private let tensors: [String: [Float]]

  init(_ name: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Goldens/\(name).safetensors")
    let bytes = [UInt8](try Data(contentsOf: file))
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONDecoder().decode(
      [String: Entry].self, from: Data(bytes[8..<(8 + length)]))
    tensors = header.compactMapValues { entry in
      entry.range.map { range in
        stride(from: 8 + length + range[0], to: 8 + length + range[1], by: 4).map { at in
          Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * $1) })
        }
      }
    }
  }

  /// A tensor's values, row-major; nil if the file has no such tensor.
  subscript(name: String) -> [Float]? { tensors[name] }

  /// The tensor of a layer's parameter or statistic. The scripts name them without the layer's
  /// number (`conv.weight`), or without the layer where it is alone (`weight`).
  func tensor(_ kind: String, _ name: String) -> [Float]? {
    let parts = name.split(separator: ".")
    let layer = parts[0].filter { !$0.isNumber }
    return self["\(kind).\(layer).\(parts[1])"] ?? self["\(kind).\(parts[1])"]
  }

  /// One value of the header: where a tensor's bytes lie. Metadata have no such place.
  private struct Entry: Decodable {
    let range: [Int]?

    private enum CodingKeys: String, CodingKey { case range = "data_offsets" }
  }
}
