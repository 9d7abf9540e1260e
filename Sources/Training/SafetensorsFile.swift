/// Reads a safetensors file: the header when it is opened, each tensor when it is asked for.
///
/// Everything the header says is checked against the file before a tensor is read, and a tensor
/// goes straight from the file into its destination. A file that was cut short later gives an
/// error, where a memory map would end the process.

import Foundation

package final class SafetensorsFile {
  package let path: String
  package let header: SafetensorsHeader
  /// Whether the file carries a checksum: files by Tutti do.
  package let hasChecksum: Bool
  private let offsets: [String: Range<Int>]
  private let byName: [String: SafetensorsTensor]
  private let dataStart: Int
  private let fileCount: Int
  private let descriptor: Int32

  package var tensors: [SafetensorsTensor] { header.tensors }
  package var metadata: [String: String] { header.metadata }

  /// Opens the file and checks its header.
  package init(path: String) throws {
    func error(_ code: CheckpointError.Code, _ detail: String) -> CheckpointError {
      CheckpointError(code, path: path, detail: detail)
    }
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw error(.unreadable, String(cString: strerror(errno))) }
    do {
      var status = stat()
      guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw error(.unreadable, "it is not an ordinary file")
      }
      let fileCount = Int(status.st_size)
      guard fileCount >= 8 else { throw error(.truncated, "\(fileCount) bytes are no header") }
      var prefix = [UInt8](repeating: 0, count: 8)
      try Self.read(descriptor, path, at: 0, into: &prefix)
      let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard length <= UInt64(SafetensorsHeader.largest) else {
        throw error(
          .tooLarge,
          "its header says \(length) bytes, the limit is \(SafetensorsHeader.largest); "
            + "it may not be a safetensors file")
      }
      guard Int(length) <= fileCount - 8 else {
        throw error(.truncated, "the header has \(length) bytes, the file \(fileCount)")
      }
      var json = [UInt8](repeating: 0, count: Int(length))
      try Self.read(descriptor, path, at: 8, into: &json)
      let dataStart = 8 + json.count
      do {
        (header, offsets) = try SafetensorsParser.parse(json, dataCount: fileCount - dataStart)
      } catch {
        throw CheckpointError(error.code, path: path, detail: error.detail)
      }
      let start = "{\"__metadata__\":{\"\(SafetensorsHeader.checksumKey)\":\""
      let checksum = header.metadata[SafetensorsHeader.checksumKey]
      hasChecksum =
        json.starts(with: start.utf8) && checksum?.utf8.count == SafetensorsChecksum.digits
      self.fileCount = fileCount
      self.dataStart = dataStart
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    byName = Dictionary(uniqueKeysWithValues: header.tensors.map { ($0.name, $0) })
  }

  deinit { close(descriptor) }

  /// The tensor called `name`, if there is one.
  package func tensor(_ name: String) -> SafetensorsTensor? { byName[name] }

  /// Reads a tensor.
  ///
  /// - Parameter shape: what the tensor must have; nil takes any.
  /// - Throws: `CheckpointError.mismatched` if it is missing or of another type or shape.
  package func read<Element: SafetensorsElement>(
    _ name: String, as type: Element.Type = Element.self, shape: [Int]? = nil
  ) throws -> [Element] {
    let count = try find(name, type, shape).checkedCount ?? 0
    var result = [Element](repeating: .zero, count: count)
    var span = result.mutableSpan
    try read(name, into: &span)
    return result
  }

  /// Reads a tensor into `destination`.
  ///
  /// - Throws: `CheckpointError.mismatched` if it is missing, or of another type, shape or count.
  package func read<Element: SafetensorsElement>(
    _ name: String, into destination: inout MutableSpan<Element>, shape: [Int]? = nil
  ) throws {
    let tensor = try find(name, Element.self, shape)
    guard let range = offsets[name], tensor.checkedCount == destination.count else {
      throw CheckpointError(
        .mismatched, path: path,
        detail: "\(name) has shape \(tensor.shape), and \(destination.count) numbers are needed")
    }
    try destination.withUnsafeMutableBytes { bytes in
      try Self.read(descriptor, path, at: dataStart + range.lowerBound, into: bytes)
    }
  }

  /// - Throws: `CheckpointError.mismatched` if there is no such tensor of floats
  func requireFloats(_ name: String, shape: [Int]) throws { _ = try find(name, Float.self, shape) }

  /// Reads a tensor of any floating-point type; doubles are rounded, and become infinite if they are
  /// beyond `Float`.
  ///
  /// - Throws: `CheckpointError.mismatched` if it is missing, of integers, or of another shape
  package func floats(_ name: String, shape: [Int]? = nil) throws -> [Float] {
    switch byName[name]?.type {
    case .float16: try read(name, as: Float16.self, shape: shape).map { Float($0) }
    case .bfloat16:
      try read(name, as: BFloat16.self, shape: shape).map {
        Float(bitPattern: UInt32($0.bitPattern) << 16)
      }
    case .float64: try read(name, as: Double.self, shape: shape).map { Float($0) }
    case .float32, .int64, nil: try read(name, shape: shape)
    }
  }

  private func find<Element: SafetensorsElement>(
    _ name: String, _ type: Element.Type, _ shape: [Int]?
  ) throws -> SafetensorsTensor {
    guard let tensor = byName[name] else {
      throw CheckpointError(.mismatched, path: path, detail: "it has no tensor \(name)")
    }
    guard tensor.type == type.safetensorsType, shape == nil || shape == tensor.shape else {
      let wanted = type.safetensorsType.rawValue + (shape.map { " \($0)" } ?? "")
      throw CheckpointError(
        .mismatched, path: path,
        detail: "\(name) is \(tensor.type.rawValue) \(tensor.shape), and \(wanted) is needed")
    }
    return tensor
  }

  /// Reads the whole file and compares it with its checksum; does nothing if it has none.
  ///
  /// - Throws: `CheckpointError.damaged`
  package func verify() throws {
    guard hasChecksum else { return }
    let checksum = SafetensorsChecksum()
    var block = [UInt8](repeating: 0, count: min(1 << 20, fileCount))
    for start in stride(from: 0, to: fileCount, by: block.count) {
      if fileCount - start < block.count { block.removeLast(block.count - (fileCount - start)) }
      try Self.read(descriptor, path, at: start, into: &block)
      if start == 0 {
        let digits =
          SafetensorsChecksum.offset..<SafetensorsChecksum.offset + SafetensorsChecksum.digits
        block.replaceSubrange(digits, with: SafetensorsChecksum.placeholder.utf8)
      }
      block.withUnsafeBytes { checksum.update($0) }
    }
    let found = checksum.finish()
    let written = metadata[SafetensorsHeader.checksumKey] ?? ""
    guard found == written else {
      throw CheckpointError(
        .damaged, path: path,
        detail: "its checksum is \(found.prefix(16))…, and \(written.prefix(16))… was written")
    }
  }

  private static func read(
    _ descriptor: Int32, _ path: String, at offset: Int, into bytes: inout [UInt8]
  ) throws {
    try bytes.withUnsafeMutableBytes { try read(descriptor, path, at: offset, into: $0) }
  }

  private static func read(
    _ descriptor: Int32, _ path: String, at offset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw CheckpointError(.unreadable, path: path, detail: String(cString: strerror(errno)))
      }
      guard count > 0 else {
        throw CheckpointError(.truncated, path: path, detail: "it ends at byte \(offset + done)")
      }
      done += count
    }
  }
}
