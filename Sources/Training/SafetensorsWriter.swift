/// Writes a safetensors file, tensor after tensor, without a copy of any.
///
/// The header is written first, from the names and shapes; then each tensor's numbers as they are
/// handed over; and last, into its place in the header, the checksum of it all. The file appears
/// under its name when it is complete (see `AtomicFile`). The same tensors and metadata make the
/// same bytes.

package final class SafetensorsWriter {
  private let file: AtomicFile
  private let tensors: [SafetensorsTensor]
  private let checksum = SafetensorsChecksum()
  private var next = 0

  private init(file: AtomicFile, tensors: [SafetensorsTensor]) {
    (self.file, self.tensors) = (file, tensors)
  }

  /// Writes the file at `path`; `body` appends the numbers of all `tensors`, in their order.
  ///
  /// - Precondition: tensor names are printable ASCII and differ; `metadata` has no `checksum`.
  /// - Throws: `FileError`, `CheckpointError.tooLarge` for the header, or what `body` throws; the
  ///   file at `path` is then what it was before.
  package static func write(
    _ path: String, tensors: [SafetensorsTensor], metadata: [String: String] = [:],
    fileSystem: FileSystem = .real, body: (SafetensorsWriter) throws -> Void
  ) throws {
    let key = SafetensorsHeader.checksumKey
    precondition(metadata[key] == nil, "safetensors: the metadata key \(key) is taken")
    var metadata = metadata
    metadata[key] = SafetensorsChecksum.placeholder
    let header = SafetensorsHeader(tensors: tensors, metadata: metadata).bytes
    guard header.count - 8 <= SafetensorsHeader.largest,
      tensors.count <= SafetensorsHeader.mostTensors
    else {
      throw CheckpointError(
        .tooLarge, path: path,
        detail: "\(header.count) bytes of header for \(tensors.count) tensors")
    }
    try AtomicFile.write(path, fileSystem: fileSystem) { file in
      let writer = SafetensorsWriter(file: file, tensors: tensors)
      try writer.write(header.span.bytes)
      try body(writer)
      precondition(
        writer.next == tensors.count,
        "safetensors: \(writer.next) tensors written, \(tensors.count) announced")
      let digits = Array(writer.checksum.finish().utf8)
      try file.overwrite(at: SafetensorsChecksum.offset, digits.span.bytes)
    }
  }

  /// Appends the numbers of the next tensor.
  ///
  /// - Precondition: their type and count are those announced.
  package func append<Element: SafetensorsElement>(_ values: Span<Element>) throws {
    precondition(next < tensors.count, "safetensors: more tensors than announced")
    let tensor = tensors[next]
    precondition(
      tensor.type == Element.safetensorsType && tensor.checkedCount == values.count,
      "safetensors: \(tensor) given \(values.count) of \(Element.self)")
    try write(values.bytes)
    next += 1
  }

  /// Appends the numbers of the next tensor.
  package func append<Element: SafetensorsElement>(_ values: [Element]) throws {
    try append(values.span)
  }

  private func write(_ bytes: RawSpan) throws {
    bytes.withUnsafeBytes { checksum.update($0) }
    try file.append(bytes)
  }
}
