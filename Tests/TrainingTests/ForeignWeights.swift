import Foundation
import Training

/// The tensors of a fixture of `Goldens/import`, to be spoilt and written again.
struct ForeignWeights {
  struct Values {
    var type = SafetensorsType.float32
    var shape: [Int]
    var numbers: [Float]
  }

  var tensors: [String: Values] = [:]
  var metadata: [String: String]

  static func path(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Goldens/import/\(name).safetensors").path
  }

  init(_ name: String) throws {
    let file = try SafetensorsFile(path: Self.path(name))
    for tensor in file.tensors {
      let isInteger = tensor.type == .int64
      tensors[tensor.name] = Values(
        type: tensor.type, shape: tensor.shape,
        numbers: isInteger ? [0] : try file.floats(tensor.name))
    }
    metadata = file.metadata
  }

  /// Gives a tensor another name.
  mutating func rename(_ old: String, _ new: String) {
    tensors[new] = tensors.removeValue(forKey: old)
  }

  /// Every tensor of floats in this type.
  mutating func convert(to type: SafetensorsType) {
    for name in tensors.keys where tensors[name]?.type != .int64 { tensors[name]?.type = type }
  }

  func write(to path: String) throws {
    let tensors = tensors.sorted { $0.key < $1.key }
    try SafetensorsWriter.write(
      path,
      tensors: tensors.map { SafetensorsTensor($0.key, $0.value.type, shape: $0.value.shape) },
      metadata: metadata
    ) { writer in
      for (_, values) in tensors {
        let numbers = values.numbers
        switch values.type {
        case .float16: try writer.append(numbers.map { Float16($0) })
        case .bfloat16:
          try writer.append(
            numbers.map { BFloat16(bitPattern: UInt16(truncatingIfNeeded: $0.bitPattern >> 16)) })
        case .float32: try writer.append(numbers)
        // what a float cannot hold is written as what a double can
        case .float64: try writer.append(numbers.map { $0.isInfinite ? 1e39 : Double($0) })
        case .int64: try writer.append(numbers.map { Int64($0) })
        }
      }
    }
  }
}
