/// A vector cut into one slice for each owner, as even as its blocks allow.
///
/// Cuts are at multiples of 1024 elements, where the blocks of `NarrowVector` begin, so that a slice is rounded as
/// the whole is. With more owners than blocks some slices are empty.
package struct Slices: Equatable, Sendable {
  /// Elements in the vector.
  package let count: Int
  package let owners: Int

  package init(of count: Int, for owners: Int) {
    precondition(count >= 0 && owners > 0, "\(count) elements for \(owners) owners")
    (self.count, self.owners) = (count, owners)
  }

  package subscript(owner: Int) -> Range<Int> {
    precondition((0..<owners).contains(owner), "owner \(owner) of \(owners)")
    let blocks = (count + NarrowVector.block - 1) / NarrowVector.block
    func cut(_ owner: Int) -> Int { min(owner * blocks / owners * NarrowVector.block, count) }
    return cut(owner)..<cut(owner + 1)
  }
}

/// A vector that comes slice by slice.
package struct SlicedVector {
  private let slices: Slices
  private var values: [Float]
  private var missing: Set<Int>

  package init(_ slices: Slices) {
    self.slices = slices
    values = [Float](repeating: 0, count: slices.count)
    missing = Set(0..<slices.owners)
  }

  /// - Returns: false if there is no such slice, or it has another length
  package mutating func put(_ slice: FloatVector, at owner: Int) -> Bool {
    guard (0..<slices.owners).contains(owner), slice.count == slices[owner].count else {
      return false
    }
    missing.remove(owner)
    let start = slices[owner].lowerBound
    slice.withSpan { slice in
      for index in slice.indices { values[start + index] = slice[index] }
    }
    return true
  }

  /// The vector, once all of it has come.
  package var whole: FloatVector? { missing.isEmpty ? FloatVector(values) : nil }
}
