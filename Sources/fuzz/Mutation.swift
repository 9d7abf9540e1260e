/// Changes valid inputs at random, reproducibly: what the ordinary tests do for want of libFuzzer,
/// which alone sees what an input reaches.
package struct Mutation {
  private var generator: SplitMix
  private let seeds: [[UInt8]]
  private let words: [[UInt8]]
  private let longest: Int

  /// - Parameter seed: the same gives the same inputs
  package init(_ target: Target, seed: UInt64) throws {
    generator = SplitMix(state: seed)
    seeds = try target.seeds()
    words = target.words.map { Array($0.utf8) }
    longest = target.longest
  }

  /// A seed with one to eight changes.
  package mutating func next() -> [UInt8] {
    var input = pick(seeds)
    for _ in 0...below(8) { change(&input) }
    return Array(input.prefix(longest))
  }

  private mutating func change(_ input: inout [UInt8]) {
    let place = below(input.count + 1)
    let part = place..<min(input.count, place + 1 + below(16))
    switch below(9) {
    case 0 where place < input.count: input[place] ^= 1 << UInt8(below(8))
    case 1 where place < input.count: input[place] = pick([0, 1, 0x7f, 0x80, 0xff, 0x20, 0x22])
    case 2: input.removeSubrange(part)
    case 3: input.insert(contentsOf: input[part], at: below(input.count + 1))
    case 4: input.removeLast(input.count - place)
    case 5: input.insert(contentsOf: words.isEmpty ? [0] : pick(words), at: place)
    case 6: input.replaceSubrange(part, with: pick(Self.numbers).utf8)
    case 7:
      let other = pick(seeds)
      input.replaceSubrange(place..., with: other[below(other.count + 1)...])
    default: input.insert(contentsOf: (0..<part.count).map { _ in UInt8(below(256)) }, at: place)
    }
  }

  private static let numbers = [
    "0", "-1", "1e9", "255", "65536", "2147483647", "2147483648", "4294967295", "4294967296",
    "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e400", "NaN",
  ]

  private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }

  private mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
}

private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
