/// A vector as messages carry it, which nobody changes any more: an array, a buffer, perhaps in memory that
/// another process has written, or one that was rounded and is to travel so.
package struct FloatVector: Sendable, ExpressibleByArrayLiteral {
  private enum Home: Sendable {
    case array([Float])
    case buffer(VectorBuffer)
    case narrow(NarrowVector)
  }
  private let home: Home

  package init(_ values: [Float]) { home = .array(values) }

  package init(arrayLiteral values: Float...) { home = .array(values) }

  package init(_ vector: NarrowVector) { home = .narrow(vector) }

  package init(_ buffer: VectorBuffer) { home = .buffer(buffer) }

  package var count: Int {
    switch home {
    case .array(let values): values.count
    case .buffer(let buffer): buffer.elements.count
    case .narrow(let vector): vector.count
    }
  }

  package func withSpan<Result, Failure>(
    _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch home {
    case .array(let values): try body(values.span)
    case .buffer(let buffer): try buffer.withSpan(body)
    case .narrow(let vector): try body(vector.values.span)
    }
  }

  /// The values as an array, copied if they are none.
  package var array: [Float] {
    switch home {
    case .array(let values): values
    case .buffer(let buffer): Array(buffer.elements)
    case .narrow(let vector): vector.values
    }
  }

  /// A copy of a part of it; a narrow one stays narrow, and is cut where its blocks begin.
  package func slice(_ range: Range<Int>) -> FloatVector {
    if let narrow { return FloatVector(narrow.slice(range)) }
    return withSpan { span in
      let part = span.extracting(range)
      return FloatVector(part.withUnsafeBufferPointer { Array($0) })
    }
  }

  var narrow: NarrowVector? {
    if case .narrow(let vector) = home { vector } else { nil }
  }

  /// Where it lies, if that is a buffer.
  package var buffer: VectorBuffer? { if case .buffer(let buffer) = home { buffer } else { nil } }

  /// Its place, if that is shared with another process.
  package var shared: VectorBuffer? { buffer?.memory == nil ? nil : buffer }

  /// Where it lies in `memory`, if it does.
  func place(in memory: SharedVectors) -> SharedVectors.Place? {
    buffer?.memory === memory ? buffer?.place : nil
  }
}

extension FloatVector: Equatable {
  package static func == (a: FloatVector, b: FloatVector) -> Bool { a.array == b.array }
}

/// Room for one vector: of its own, or a place in shared memory, which then stays as long as this does.
///
/// Who has the only reference may write; see `isKnownUniquelyReferenced`.
package final class VectorBuffer: @unchecked Sendable {
  package let elements: UnsafeMutableBufferPointer<Float>
  let memory: SharedVectors?
  let place: SharedVectors.Place?

  /// Not initialised; 64-byte aligned.
  init(count: Int) {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let base = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    elements = UnsafeMutableBufferPointer(
      start: base.bindMemory(to: Float.self, capacity: max(count, 1)), count: count)
    (memory, place) = (nil, nil)
  }

  init(_ place: SharedVectors.Place, in memory: SharedVectors) {
    elements = memory.elements(at: place)
    (self.memory, self.place) = (memory, place)
  }

  deinit { if memory == nil { elements.baseAddress?.deallocate() } }

  package func withSpan<Result, Failure>(
    _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(Span(_unsafeElements: UnsafeBufferPointer(elements)))
  }

  /// Takes over values, unless they were computed here.
  package func copy(_ values: Span<Float>) {
    precondition(values.count == elements.count, "\(values.count) floats to \(elements.count)")
    values.withUnsafeBufferPointer { values in
      if values.isEmpty || values.baseAddress == UnsafePointer(elements.baseAddress) { return }
      nonisolated(unsafe) let (source, target) = (values.baseAddress!, elements.baseAddress!)
      inPortions(of: values.count) {
        (target + $0.lowerBound).update(from: source + $0.lowerBound, count: $0.count)
      }
    }
  }
}
