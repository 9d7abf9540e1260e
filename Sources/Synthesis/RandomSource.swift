/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
///
/// A source is a function of (seed, purpose, index), so each clip has its own and clips can be made
/// in any order.
struct RandomSource: RandomNumberGenerator, Sendable {
  enum Purpose: UInt64, Sendable {
    case corpusPlan = 1
    case clipPlan = 2
    case arrangement = 3
    case sound = 4
  }

  private var state: UInt64

  init(seed: UInt64, purpose: Purpose, index: Int = 0) {
    state = seed
    state = next() ^ purpose.rawValue
    state = next() ^ UInt64(truncatingIfNeeded: index)
    state = next()
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in 0..<1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func uniform(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + unit() * (range.upperBound - range.lowerBound)
  }

  /// Uniform in 0..<count. The bias of the product is below count / 2^64.
  mutating func index(below count: Int) -> Int {
    Int(next().multipliedFullWidth(by: UInt64(count)).high)
  }

  mutating func chance(_ probability: Double) -> Bool { unit() < probability }

  /// One of the choices, each as likely as its weight says.
  mutating func pick<T>(_ choices: [(T, weight: Double)]) -> T {
    var place = unit() * choices.reduce(0) { $0 + $1.weight }
    for (choice, weight) in choices {
      place -= weight
      if place < 0 { return choice }
    }
    return choices[choices.count - 1].0
  }

  /// The same elements in random order (Fisher and Yates).
  mutating func shuffled<T>(_ elements: [T]) -> [T] {
    var result = elements
    for last in stride(from: result.count - 1, to: 0, by: -1) {
      result.swapAt(last, index(below: last + 1))
    }
    return result
  }
}
