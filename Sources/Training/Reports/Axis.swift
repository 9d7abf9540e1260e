import Foundation

/// Values along an axis: where they lie between 0 and 1, and round numbers to write beside them.
struct Axis {
  let low, high: Double
  let isLogarithmic: Bool

  /// - Precondition: finite; positive if logarithmic
  private init(_ low: Double, _ high: Double, isLogarithmic: Bool = false) {
    precondition(low < high && (!isLogarithmic || low > 0), "an axis from \(low) to \(high)")
    (self.low, self.high, self.isLogarithmic) = (low, high, isLogarithmic)
  }

  /// Around `values`, with some room; a single one has room on both sides.
  ///
  /// - Parameter most: what no value can be above
  static func around(
    _ values: some Sequence<Double>, fromZero: Bool = false, most: Double = .infinity
  ) -> Axis? {
    // What is beyond all measure is drawn at the edge.
    let finite = values.filter { abs($0) < 1e100 }
    guard var low = finite.min(), var high = finite.max() else { return nil }
    if fromZero { low = min(0, low) }
    let size = max(abs(low), abs(high))
    let room = (high - low > 1e-100 ? high - low : size > 1e-100 ? size : 1) * 0.06
    if !(fromZero && low == 0) { low -= room }
    high = min(high + room, max(most, high))
    return low < high ? Axis(low, high) : Axis(low - room, high)
  }

  /// From the first to the last step; from 0 if that is not far.
  static func steps(_ steps: some Sequence<Double>) -> Axis? {
    guard let first = steps.min(), let last = steps.max() else { return nil }
    let begin = first <= last / 2 ? 0 : first
    return Axis(begin, max(last, begin + 1, begin.nextUp))
  }

  /// Logarithmic, of positive values.
  static func logarithmic(_ values: some Sequence<Double>) -> Axis? {
    let positive = values.filter { $0 > 1e-12 && $0 < 1e15 }
    guard let low = positive.min(), let high = positive.max() else { return nil }
    let room = max(pow(high / low, 0.06), 1.15)
    return Axis(low / room, high * room, isLogarithmic: true)
  }

  /// 0 at the low end, 1 at the high one.
  func place(_ value: Double) -> Double {
    isLogarithmic ? log(value / low) / log(high / low) : (value - low) / (high - low)
  }

  /// About `count` round numbers, and how each is written.
  func ticks(_ count: Int, compact: Bool = false) -> [(value: Double, text: String)] {
    if isLogarithmic {
      let powers = (-12...15).map { pow(10, Double($0)) }
      let all = powers.flatMap { [$0, 2 * $0, 5 * $0] }.filter { (low...high).contains($0) }
      let decades = all.filter { abs(log10($0) - log10($0).rounded()) < 1e-9 }
      let chosen = all.count <= 2 * count || decades.count < 2 ? all : decades
      return chosen.map { ($0, Figure.compact($0)) }
    }
    let step = roundStep(count)
    let digits = Self.digits(of: step)
    let first = Int((low / step - 1e-9).rounded(.up))
    let last = Int((high / step + 1e-9).rounded(.down))
    return (first...max(first, last)).map { number in
      let value = Double(number) * step
      return (value, compact ? Figure.compact(value) : Figure.decimals(value, digits))
    }
  }

  /// 1, 2, 2.5 or 5 times a power of ten, so that `count` of it are about the whole.
  private func roundStep(_ count: Int) -> Double {
    let rough = (high - low) / Double(count)
    let power = pow(10, floor(log10(rough)))
    let factors: [Double] = [1, 2, 2.5, 5, 10]
    return factors.map { $0 * power }.first { $0 >= rough * (1 - 1e-9) } ?? rough
  }

  /// Decimals that tell multiples of `step` apart.
  private static func digits(of step: Double) -> Int {
    (0...8).first { digits in
      let scaled = step * pow(10, Double(digits))
      return abs(scaled - scaled.rounded()) < 1e-6 * scaled
    } ?? 8
  }
}
