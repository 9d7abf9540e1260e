/// The header of a safetensors file: names, types, shapes and places of tensors, and metadata.
///
/// A file is eight bytes with the header's length (little-endian), the header in JSON, padded with
/// spaces to a multiple of eight, and then the tensors' bytes without gaps.
/// Format: https://huggingface.co/docs/safetensors. Tutti reads and writes the types F16, BF16, F32,
/// F64 and I64, and is stricter than the format asks: tensor names are printable ASCII, nothing
/// stands twice, and no field is unknown.

/// A checkpoint that cannot be read or used.
package struct CheckpointError: Error, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// The file cannot be opened or read.
    case unreadable
    /// The file ends too early.
    case truncated
    /// The file is not what the format says.
    case malformed
    /// Something is beyond what this reader accepts.
    case tooLarge = "too large"
    /// The bytes are not those that were written.
    case damaged
    /// The file is sound, but of a kind that Tutti does not read.
    case unsupported
    /// A tensor or metadata that is needed is missing, or has another type or shape.
    case mismatched
  }
  package let code: Code
  package let path: String
  package let detail: String

  /// - Parameter items: what the detail lists, each on a line of its own
  package init(_ code: Code, path: String, detail: String, items: [String] = []) {
    (self.code, self.path) = (code, path)
    self.detail = detail.inOneLine + items.map { "\n  " + $0.inOneLine }.joined()
  }

  package var description: String { "\(path) is \(code.rawValue): \(detail)" }
}

/// A type of number that safetensors name.
package enum SafetensorsType: String, CaseIterable, Sendable {
  case float16 = "F16"
  case bfloat16 = "BF16"
  case float32 = "F32"
  case float64 = "F64"
  case int64 = "I64"

  package var byteWidth: Int {
    switch self {
    case .float16, .bfloat16: 2
    case .float32: 4
    case .float64, .int64: 8
    }
  }
}

/// A Swift type whose arrays are tensors' bytes on a little-endian machine.
package protocol SafetensorsElement: BitwiseCopyable, Sendable {
  static var safetensorsType: SafetensorsType { get }
  static var zero: Self { get }
}
extension Float16: SafetensorsElement {
  package static var safetensorsType: SafetensorsType { .float16 }
}
/// The upper half of a `Float`.
package struct BFloat16: SafetensorsElement {
  package let bitPattern: UInt16
  package static var safetensorsType: SafetensorsType { .bfloat16 }
  package static var zero: BFloat16 { BFloat16(bitPattern: 0) }

  package init(bitPattern: UInt16) { self.bitPattern = bitPattern }
}
extension Float: SafetensorsElement {
  package static var safetensorsType: SafetensorsType { .float32 }
}
extension Double: SafetensorsElement {
  package static var safetensorsType: SafetensorsType { .float64 }
}
extension Int64: SafetensorsElement {
  package static var safetensorsType: SafetensorsType { .int64 }
}

/// One tensor of a file, without its numbers.
package struct SafetensorsTensor: Equatable, Sendable {
  package let name: String
  package let type: SafetensorsType
  package let shape: [Int]

  package init(_ name: String, _ type: SafetensorsType = .float32, shape: [Int]) {
    (self.name, self.type, self.shape) = (name, type, shape)
  }

  /// The number of elements, or nil if there is no such number.
  package var checkedCount: Int? {
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { return nil }
      count = product
    }
    return count
  }

  var checkedBytes: Int? {
    guard let (bytes, overflow) = checkedCount?.multipliedReportingOverflow(by: type.byteWidth)
    else { return nil }
    return overflow ? nil : bytes
  }
}

package struct SafetensorsHeader: Equatable, Sendable {
  /// The largest header this reader accepts, and this writer makes, in bytes.
  package static let largest = 16 << 20
  static let mostTensors = 65_536
  static let mostDimensions = 8
  static let longestName = 256
  /// The metadata key that holds the checksum (see `SafetensorsChecksum`).
  static let checksumKey = "checksum"

  /// In the order of their bytes.
  package var tensors: [SafetensorsTensor]
  package var metadata: [String: String]

  /// The header as it stands in the file, its length in front. The same header gives the same
  /// bytes; the checksum comes first, so that its place is known.
  ///
  /// - Precondition: the header is one that reading accepts.
  var bytes: [UInt8] {
    var json = "{\"__metadata__\":{"
    let keys = metadata.keys.sorted { a, b in
      (a == Self.checksumKey ? 0 : 1, a) < (b == Self.checksumKey ? 0 : 1, b)
    }
    json += keys.map { "\($0.quotedAsJSON):\((metadata[$0] ?? "").quotedAsJSON)" }
      .joined(separator: ",")
    json += "}"
    var begin = 0
    var names: Set<String> = []
    for tensor in tensors {
      guard let count = tensor.checkedBytes, Self.isName(tensor.name),
        tensor.shape.count <= Self.mostDimensions, names.insert(tensor.name).inserted
      else { preconditionFailure("safetensors: cannot write \(tensor)") }
      json += ",\(tensor.name.quotedAsJSON):{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":["
      json += tensor.shape.map(String.init).joined(separator: ",")
      json += "],\"data_offsets\":[\(begin),\(begin + count)]}"
      begin += count
    }
    json += "}"
    json += String(repeating: " ", count: (8 - json.utf8.count % 8) % 8)
    let length = UInt64(json.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array(json.utf8)
  }

  static func isName(_ name: String) -> Bool {
    (1...longestName).contains(name.utf8.count) && name != "__metadata__"
      && name.utf8.allSatisfy { (0x20..<0x7f).contains($0) }
  }
}
