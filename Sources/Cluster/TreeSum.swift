import Dispatch

/// The sum of many vectors along a tree, in one pass on all cores.
///
/// Each block of elements is added along the whole tree while it is in the cache: every vector is read once and
/// only the sum is written. Elements do not meet each other, so it does not show in the bits which core has
/// added a block.
indirect enum TreeSum: @unchecked Sendable {
  case vector(UnsafeBufferPointer<Float>)
  case sum(TreeSum, TreeSum)

  /// Elements that are added at a time.
  private static let block = 1 << 13

  /// - Precondition: all vectors have the count of `result`, and none overlaps it
  func write(to result: UnsafeMutableBufferPointer<Float>) {
    nonisolated(unsafe) let result = result
    inPortions(of: result.count) { portion in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: depth * Self.block) { scratch in
        for start in stride(from: portion.lowerBound, to: portion.upperBound, by: Self.block) {
          let block = start..<min(start + Self.block, portion.upperBound)
          write(block, to: result.baseAddress! + start, scratch.baseAddress!)
        }
      }
    }
  }

  private var depth: Int {
    switch self {
    case .vector: 1
    case .sum(let left, let right): 1 + max(left.depth, right.depth)
    }
  }

  /// - Parameter scratch: room for a block for each level of the tree
  private func write(
    _ block: Range<Int>, to result: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>
  ) {
    switch self {
    case .vector(let values):
      result.update(from: values.baseAddress! + block.lowerBound, count: block.count)
    case .sum(.vector(let left), .vector(let right)):
      let (left, right) = (
        left.baseAddress! + block.lowerBound, right.baseAddress! + block.lowerBound
      )
      for i in 0..<block.count { result[i] = left[i] + right[i] }
    case .sum(let left, let right):
      left.write(block, to: result, scratch)
      right.write(block, to: scratch, scratch + Self.block)
      for i in 0..<block.count { result[i] = result[i] + scratch[i] }
    }
  }
}

/// Deals 0..<count to the cores, 256 KiB of floats at a time.
func inPortions(of count: Int, _ body: @Sendable (Range<Int>) -> Void) {
  let portion = 1 << 16
  DispatchQueue.concurrentPerform(iterations: (count + portion - 1) / portion) {
    body($0 * portion..<min(($0 + 1) * portion, count))
  }
}
