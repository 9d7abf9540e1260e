import CVector
import Tensors

/// What dropout does to values: eight at a time, with the words of a random stream as draws.
extension Dropout {
  /// Drops or scales `count` values, the first of which has index `firstIndex` in the stream; on a
  /// gradient it does what it did to the value.
  func apply(to x: Pointer, count: Int, firstIndex: Int) {
    var index = firstIndex
    let end = firstIndex + count
    while index < end {
      // A group of the stream's words makes 64 draws.
      let group = index >> 6
      let stop = min((group + 1) << 6, end)
      stream.withWords(ofGroup: group) { words in
        let draws = UnsafeRawPointer(words).assumingMemoryBound(to: UInt16.self)
        forVectors(stop &- index) { i in
          kept(Vector(loading: x, index &- firstIndex &+ i), draws + (index &+ i) & 63)
            .store(x, index &- firstIndex &+ i)
        } ragged: { i, n in
          for k in i..<(i &+ n) {
            let at = index &- firstIndex &+ k
            x[at] = draws[(index &+ k) & 63] < threshold ? 0 : x[at] * keepScale
          }
        }
      }
      index = stop
    }
  }

  @inline(__always)
  private func kept(_ x: Vector, _ draws: UnsafePointer<UInt16>) -> Vector {
    cv_where_at_least(
      cv_load_shorts(draws), Int32(truncatingIfNeeded: threshold), x * splat(keepScale))
  }
}

extension RandomStream {
  /// Calls `body` with words 32·group … 32·group + 31, eight blocks computed side by side.
  @inline(__always)
  func withWords(ofGroup group: Int, _ body: (UnsafePointer<UInt32>) -> Void) {
    let block = group &* 8
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 36) { words in
      guard let base = words.baseAddress else { return }
      cv_philox8(
        UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32), high.x, high.y,
        philox.key.x, philox.key.y, base)
      body(base)
    }
  }
}
