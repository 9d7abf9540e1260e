import Kernels
import Testing

/// What numeric tests share: repeatable values, fenced windows, and closeness with a reason.

/// Repeatable values, evenly spread over `range` (SplitMix64).
func noiseValues(_ count: Int, seed: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
  var state = UInt64(bitPattern: Int64(seed)) &* 0x9E37_79B9_7F4A_7C15
  return (0..<count).map { _ in
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    let unit = Float((z ^ (z >> 31)) >> 40) * 0x1p-24
    return range.lowerBound + unit * (range.upperBound - range.lowerBound)
  }
}

extension Tensor {
  static func noise(_ shape: Shape, seed: Int, in range: ClosedRange<Float> = -1...1) -> Tensor {
    Tensor(noiseValues(shape.count, seed: seed, in: range), shape: shape)
  }
}

/// A window between two fences. It starts as NaN, so that what a kernel fails to write, or reads
/// before writing, shows up; a fence that changed says that something was written outside.
struct Fenced {
  let tensor: Tensor
  private static let width = 16
  private static let mark: Float = 1234.5

  init(_ shape: Shape) {
    let storage = Storage(count: shape.count + 2 * Self.width)
    storage.buffer.update(repeating: Self.mark)
    tensor = Tensor(storage, offset: Self.width, shape: shape)
    tensor.buffer.update(repeating: .nan)
  }

  var isIntact: Bool {
    let all = Array(tensor.storage.buffer)
    return (all.prefix(Self.width) + all.suffix(Self.width)).allSatisfy { $0 == Self.mark }
  }
}

/// A sum as the reference knows it: its value, and the sum of its terms' magnitudes.
struct ExactSum {
  var value = 0.0
  var magnitude = 0.0

  mutating func add(_ term: Double) {
    value += term
    magnitude += abs(term)
  }
}

/// Single precision rounds each operation to 2⁻²⁴ of its result, so a sum of products is off by a
/// few 2⁻²⁴ of its terms' magnitudes, in whatever order it is taken: 16 of them are allowed.
func expectClose(
  _ actual: [Float], _ expected: [ExactSum], allowance: Double = 0x1p-20, _ what: Comment,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose(
    actual, expected.map(\.value), within: { allowance * expected[$0].magnitude }, what,
    sourceLocation: sourceLocation)
}

/// Every |actual − expected| is at most `allowance(index)`. NaN is never close.
func expectClose(
  _ actual: [Float], _ expected: [Double], within allowance: (Int) -> Double, _ what: Comment,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, what, sourceLocation: sourceLocation)
  let wrong = actual.indices.first { i in
    !(abs(Double(actual[i]) - expected[i]) <= allowance(i))
  }
  guard let wrong else { return }
  Issue.record(
    "\(what): element \(wrong) is \(actual[wrong]), expected \(expected[wrong])",
    sourceLocation: sourceLocation)
}

/// The bits of floats, to compare for sameness rather than closeness.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// Calls `body` with a pool of each size and expects the same floats, bit by bit.
///
/// The pools do not spin: tests run beside each other, and three threads may share two cores.
func expectSameBits(
  _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (ThreadPool) -> [Float]
) {
  let results = [1, 2, 3].map { threads in
    withPool(threads: threads) { bits(body($0)) }
  }
  #expect(results[0] == results[1], what, sourceLocation: sourceLocation)
  #expect(results[0] == results[2], what, sourceLocation: sourceLocation)
}

func withPool<Result>(threads: Int = 1, _ body: (ThreadPool) -> Result) -> Result {
  let pool = ThreadPool(threads: threads, spins: 0)
  defer { pool.stop() }
  return body(pool)
}
