import Foundation

package typealias Pointer = UnsafeMutablePointer<Float>

/// Floats on the heap: 64-byte aligned, zeroed at birth, freed with the last reference. Or floats that
/// somebody else keeps, such as memory shared with another process.
///
/// One storage holds all parameters, one all gradients, one everything a network keeps between
/// forward and backward. Tensors and matrices are windows on it.
///
/// It has no lock: whoever shares a storage between threads sees to it that they write disjoint parts.
package final class Storage: @unchecked Sendable {
  package let count: Int
  package let base: UnsafeMutablePointer<Float>
  private let owner: AnyObject?

  /// - Parameter count: number of floats; zero is allowed
  package init(count: Int) {
    precondition(count >= 0, "Storage: \(count) floats")
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    memset(raw, 0, bytes)
    base = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    owner = nil
  }

  /// Floats that lie in memory of `owner`, which stays as long as this does.
  ///
  /// - Precondition: there is at least one, and they are 64-byte aligned
  package init(_ floats: UnsafeMutableBufferPointer<Float>, of owner: AnyObject) {
    guard let base = floats.baseAddress, UInt(bitPattern: base) % 64 == 0 else {
      preconditionFailure("Storage: \(floats) is empty or not aligned")
    }
    (self.base, self.owner, count) = (base, owner, floats.count)
  }

  /// A storage that holds `values`.
  package convenience init(_ values: [Float]) {
    self.init(values.span)
  }

  /// The same for values that lie elsewhere.
  package convenience init(_ values: Span<Float>) {
    self.init(count: values.count)
    values.withUnsafeBufferPointer { _ = buffer.update(fromContentsOf: $0) }
  }

  deinit { if owner == nil { base.deallocate() } }

  /// A copy of all floats.
  package var values: [Float] { Array(buffer) }

  /// All floats, for reading, writing and handing to a socket or a file.
  package var buffer: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: base, count: count)
  }
}

/// The extents of a tensor, outermost first.
package struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  package let extents: [Int]

  package init(_ extents: [Int]) {
    precondition(extents.allSatisfy { $0 >= 0 }, "Shape: negative extent in \(extents)")
    self.extents = extents
  }

  package init(arrayLiteral elements: Int...) { self.init(elements) }

  package var count: Int { extents.reduce(1, *) }
  package var rank: Int { extents.count }
  package subscript(axis: Int) -> Int { extents[axis] }
  package var description: String { extents.map(String.init).joined(separator: " × ") }
}

/// A row-major window on a storage.
package struct Tensor {
  package let storage: Storage
  package let offset: Int
  package let shape: Shape

  /// - Precondition: the window lies inside the storage
  package init(_ storage: Storage, offset: Int = 0, shape: Shape) {
    precondition(
      offset >= 0 && offset + shape.count <= storage.count,
      "Tensor: \(shape) at \(offset) does not fit into \(storage.count) floats")
    self.storage = storage
    self.offset = offset
    self.shape = shape
  }

  /// A tensor with a storage of its own, zeroed.
  package init(shape: Shape) { self.init(Storage(count: shape.count), shape: shape) }

  /// A tensor with a storage of its own that holds `values` in row-major order.
  package init(_ values: [Float], shape: Shape) {
    precondition(values.count == shape.count, "Tensor: \(values.count) values for \(shape)")
    self.init(shape: shape)
    _ = buffer.initialize(from: values)
  }

  package var count: Int { shape.count }
  package var base: UnsafeMutablePointer<Float> { storage.base + offset }
  package var buffer: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: base, count: count)
  }
  /// A copy of the values, row-major.
  package var values: [Float] { Array(buffer) }

  /// The same window seen in another shape of equal count.
  package func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == count, "reshaped: \(self.shape) has not the count of \(shape)")
    return Tensor(storage, offset: offset, shape: shape)
  }

  /// The whole tensor as one matrix: the first `rowAxes` axes are rows, the rest columns.
  package func matrix(rowAxes: Int = 1) -> Matrix {
    let rows = shape.extents.prefix(rowAxes).reduce(1, *)
    let columns = shape.extents.dropFirst(rowAxes).reduce(1, *)
    return Matrix(storage, offset: offset, rows: rows, columns: columns, stride: columns)
  }

  /// Step `t` of a sequence `[N, T, H]` as a matrix `[N, H]`.
  package func step(_ t: Int) -> Matrix {
    precondition(shape.rank == 3 && t >= 0 && t < shape[1], "step \(t) of \(shape)")
    return Matrix(
      storage, offset: offset + t * shape[2], rows: shape[0], columns: shape[2],
      stride: shape[1] * shape[2])
  }
}

/// A window of rows that need not touch: element (r, c) lies at `offset + r * stride + c`.
package struct Matrix {
  package let storage: Storage
  package let offset: Int
  package let rows: Int
  package let columns: Int
  package let stride: Int

  package init(_ storage: Storage, offset: Int, rows: Int, columns: Int, stride: Int) {
    precondition(
      rows == 0 || columns == 0
        || (stride >= columns && offset + (rows - 1) * stride + columns <= storage.count),
      "Matrix: \(rows) × \(columns), stride \(stride), at \(offset) of \(storage.count) floats")
    self.storage = storage
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  package var base: UnsafeMutablePointer<Float> { storage.base + offset }

  package func row(_ r: Int) -> UnsafeMutablePointer<Float> { base + r * stride }

  /// Columns `range` of every row.
  package func columns(_ range: Range<Int>) -> Matrix {
    Matrix(
      storage, offset: offset + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// Rows `range`.
  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      storage, offset: offset + range.lowerBound * stride, rows: range.count, columns: columns,
      stride: stride)
  }
}
