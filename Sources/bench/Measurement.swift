import Foundation
import Kernels

/// The fastest of several runs: what the machine can do when nobody disturbs.
///
/// Things that are compared take turns, a run of each at a time, so that whatever else the machine does
/// disturbs all alike.
struct Fastest {
  private(set) var seconds = Double.infinity

  mutating func time(_ body: () throws -> Void) rethrows {
    seconds = min(seconds, try ContinuousClock().measure(body) / .seconds(1))
  }
}

/// A square matrix product, the same on every thread: what this machine's arithmetic can be asked for.
final class ProductRate {
  private static let side = 1024
  private let pool: ThreadPool
  private let factors: (a: Matrix, b: Matrix)
  private let results: [Matrix]
  private var fastest = Fastest()

  init(_ pool: ThreadPool) {
    func square(_ value: Float) -> Matrix {
      let matrix = Tensor(shape: [Self.side, Self.side]).matrix()
      matrix.fill(value)
      return matrix
    }
    self.pool = pool
    factors = (square(1), square(0.5))
    results = (0..<pool.threads).map { _ in square(0) }
  }

  func measure() {
    fastest.time {
      pool.run(results.count) { index, _ in results[index].product(factors.a, factors.b) }
    }
  }

  /// Of all threads together, in 10⁹ operations a second; a sum of products counts two a term.
  var gigaflops: Double {
    2 * pow(Double(Self.side), 3) * Double(results.count) / fastest.seconds / 1e9
  }
}

/// A copy from memory to memory, far larger than caches, shared by the threads.
final class CopyRate {
  private static let count = 1 << 24
  private let pool: ThreadPool
  private let source = Storage(count: count)
  private let target = Storage(count: count)
  private var fastest = Fastest()

  init(_ pool: ThreadPool) { self.pool = pool }

  func measure() {
    let (from, to, share) = (source.base, target.base, Self.count / pool.threads)
    fastest.time {
      pool.run(pool.threads) { index, _ in
        (to + index * share).update(from: from + index * share, count: share)
      }
    }
  }

  /// Bytes read and bytes written, in 10⁹ a second.
  var gigabytesPerSecond: Double {
    let bytes = 2 * Self.count * MemoryLayout<Float>.stride
    return Double(bytes) / fastest.seconds / 1e9
  }
}

/// The most memory that this process has had at once: the kernel's figure for this program alone, since
/// `getrusage` would count whoever started it.
func peakMemoryBytes() throws -> Int {
  let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
  return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) * 1024
}

/// Prints one object on a line of its own.
func printJSON(_ object: [String: Any]) throws {
  let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
  print(String(decoding: data, as: UTF8.self))
}

extension Tensor {
  /// Values spread evenly over a range, the same every time; no two neighbours are alike.
  func scatter(over range: ClosedRange<Float>) {
    let share = (range.upperBound - range.lowerBound) / 65_535
    let values = buffer
    for i in values.indices {
      values[i] = range.lowerBound + share * Float((i &* 2_654_435_761) >> 8 & 0xFFFF)
    }
  }
}
