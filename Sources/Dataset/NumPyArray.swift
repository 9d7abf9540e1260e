import Foundation

/// One array of numbers in NumPy's `.npy` format (versions 1 to 3), as files hand it over: labels of
/// public data sets, features made elsewhere.
///
/// The file is mapped, not loaded, and its size must be what its header says, so that no header can
/// make the reader ask for memory. Fortran order, structures and pickled objects are refused.
package struct NumPyArray: Sendable {
  package enum Element: String, Sendable, CaseIterable {
    case bool = "b1"
    case int8 = "i1"
    case uint8 = "u1"
    case int16 = "i2"
    case int32 = "i4"
    case int64 = "i8"
    case float16 = "f2"
    case float32 = "f4"
    case float64 = "f8"

    package var byteCount: Int { Int(rawValue.suffix(1)) ?? 1 }
  }

  package let path: String
  package let element: Element
  package let shape: [Int]
  private let file: MappedFile
  private let start: Int

  /// - Throws: `DatasetError`: `.missing`, `.malformed`, `.truncated`, `.damaged`, `.inputOutput`
  package init(_ url: URL) throws {
    file = try MappedFile(url, attempt: Self.attempt)
    path = url.path
    let header = try Header(file.bytes, path: url.path)
    (element, shape, start) = (header.element, header.shape, header.byteCount)
    let (count, overflow) = shape.reduce((element.byteCount, false)) { product, extent in
      let (value, overflow) = product.0.multipliedReportingOverflow(by: extent)
      return (value, product.1 || overflow)
    }
    guard !overflow, count == file.bytes.count - start else {
      throw DatasetError(
        overflow || count > file.bytes.count - start ? .truncated : .damaged,
        attempt: Self.attempt, path: path,
        detail: "its header speaks of \(shape) numbers of \(element.byteCount) bytes, and "
          + "\(file.bytes.count - start) bytes follow it; copy the file again")
    }
  }

  package var count: Int { shape.reduce(1, *) }

  /// Elements of the flat, row-major array, as `Float`: integers and doubles are rounded to nearest.
  package func floats(_ range: Range<Int>) -> [Float] {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) numbers")
    func read<T>(_ type: T.Type, _ convert: (T) -> Float) -> [Float] {
      range.map {
        convert(file.bytes.loadUnaligned(fromByteOffset: start + $0 * element.byteCount, as: type))
      }
    }
    return switch element {
    case .bool, .uint8: read(UInt8.self) { Float($0) }
    case .int8: read(Int8.self) { Float($0) }
    case .int16: read(Int16.self) { Float($0) }
    case .int32: read(Int32.self) { Float($0) }
    case .int64: read(Int64.self) { Float($0) }
    case .float16: read(UInt16.self) { Float(Float16(bitPattern: $0)) }
    case .float32: read(Float.self) { $0 }
    case .float64: read(Double.self) { Float($0) }
    }
  }

  /// All elements, row-major.
  package func floats() -> [Float] { floats(0..<count) }

  fileprivate static let attempt = "read the NumPy array"
}

/// The magic, the version, the header's length, and a Python dictionary such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (96, 1366), }`.
private struct Header {
  let element: NumPyArray.Element
  let shape: [Int]
  /// Where the numbers begin.
  let byteCount: Int

  init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
    func refuse(_ detail: String) -> DatasetError {
      DatasetError(.malformed, attempt: NumPyArray.attempt, path: path, detail: detail)
    }
    guard bytes.count >= 10,
      bytes.starts(with: Array("\u{93}NUMPY".unicodeScalars.map { UInt8($0.value) }))
    else { throw refuse("it is no .npy file; save it with numpy.save") }
    let isLong = bytes[6] >= 2
    guard (1...3).contains(bytes[6]), bytes.count >= (isLong ? 12 : 10) else {
      throw refuse("its format version \(bytes[6]) is not 1, 2 or 3")
    }
    let length =
      isLong
      ? Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
      : Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self)))
    let first = isLong ? 12 : 10
    guard length <= min(bytes.count - first, 65_536),
      let text = String(validating: bytes[first..<first + length], as: UTF8.self)
    else { throw refuse("its header is cut off or not text; copy the file again") }
    byteCount = first + length
    guard let descr = text.firstMatch(of: /'descr'\s*:\s*'([<>|=])([a-zA-Z]\d{1,3})'/),
      let order = text.firstMatch(of: /'fortran_order'\s*:\s*(True|False)/),
      let extents = text.firstMatch(of: /'shape'\s*:\s*\(([0-9, ]*)\)/)
    else {
      throw refuse("its header is not that of a plain array of numbers; save one with numpy.save")
    }
    guard let element = NumPyArray.Element(rawValue: String(descr.2)),
      descr.1 != ">" || element.byteCount == 1
    else {
      throw refuse(
        "its numbers are of type \(quoted(descr.1 + descr.2)); save them as little-endian "
          + "bool, integer or float with numpy's astype")
    }
    guard order.1 == "False" else {
      throw refuse("it is in Fortran order; save numpy.ascontiguousarray of it")
    }
    let parts = extents.1.split(separator: ",").map { $0.filter { $0 != " " } }.filter {
      !$0.isEmpty
    }
    let shape = parts.compactMap { Int($0) }
    guard shape.count == parts.count, shape.count <= 8 else {
      throw refuse("its shape (\(extents.1.prefix(80))) is not one of an array")
    }
    (self.element, self.shape) = (element, shape)
  }
}
