/// Half-precision numbers (IEEE 754 binary16), in which a store keeps features.
///
/// Swift's own `Float16` is converted by a function call per value where the compiler may not
/// assume F16C; these are a few integer operations on eight values at once, on any processor.
enum HalfPrecision {
  /// Magnitudes from here on would round to infinity.
  private static let overflow = Float(65520).bitPattern
  private static let smallestNormal = Float(0x1p-14).bitPattern
  /// The exponent biases differ by 127 − 15.
  private static let rebias: UInt32 = 112 << 23

  /// Rounds to the nearest half, ties to even.
  ///
  /// - Returns: the index of the first value that is not finite or too large, or nil
  static func encode(
    _ values: UnsafeBufferPointer<Float>, into halves: UnsafeMutableBufferPointer<UInt16>
  ) -> Int? {
    precondition(values.count == halves.count, "\(values.count) values, \(halves.count) halves")
    if let index = values.firstIndex(where: { $0.magnitude.bitPattern >= overflow }) {
      return index
    }
    forEachEight(values.count) { start, count in
      var x = SIMD8<UInt32>()
      for i in 0..<count { x[i] = values[start + i].bitPattern }
      let half = encode(x)
      for i in 0..<count { halves[start + i] = half[i] }
    }
    return nil
  }

  /// Exact. The halves must be finite, as `encode` leaves them.
  static func decode(
    _ halves: UnsafeBufferPointer<UInt16>, into values: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(values.count == halves.count, "\(values.count) values, \(halves.count) halves")
    forEachEight(values.count) { start, count in
      var half = SIMD8<UInt16>()
      for i in 0..<count { half[i] = halves[start + i] }
      let value = decode(half)
      for i in 0..<count { values[start + i] = value[i] }
    }
  }

  @inline(__always)
  private static func encode(_ bits: SIMD8<UInt32>) -> SIMD8<UInt16> {
    let magnitude = bits & 0x7FFF_FFFF
    let sign = (bits &>> 16) & 0x8000
    // 0xFFF rounds ties down; the last bit kept, if odd, turns them up to the even neighbour.
    let odd = (magnitude &>> 13) & 1
    let normal = (magnitude &- rebias &+ 0xFFF &+ odd) &>> 13
    // Between 0.5 and 1 a float's last bit is worth 2⁻²⁴, as a subnormal half's: adding 0.5 rounds.
    let aligned = SIMD8<Float>(bitPattern: magnitude) + 0.5
    let subnormal = SIMD8<UInt32>(bitPattern: aligned) &- Float(0.5).bitPattern
    let half = normal.replacing(with: subnormal, where: magnitude .< smallestNormal)
    return SIMD8<UInt16>(truncatingIfNeeded: half | sign)
  }

  @inline(__always)
  private static func decode(_ half: SIMD8<UInt16>) -> SIMD8<Float> {
    let wide = SIMD8<UInt32>(truncatingIfNeeded: half)
    let sign = (wide & 0x8000) &<< 16
    let magnitude = (wide & 0x7FFF) &<< 13
    let normal = magnitude &+ rebias
    // A subnormal has no implied leading one: give it one, as a normal float, and subtract it.
    let shifted = SIMD8<Float>(bitPattern: magnitude &+ smallestNormal) - 0x1p-14
    let subnormal = SIMD8<UInt32>(bitPattern: shifted)
    let bits = normal.replacing(with: subnormal, where: magnitude .< (1 << 23))
    return SIMD8<Float>(bitPattern: bits | sign)
  }

  /// Calls with starts 0, 8, 16, … and a count of 8, which is less for the last call only.
  @inline(__always)
  private static func forEachEight(_ count: Int, _ body: (_ start: Int, _ count: Int) -> Void) {
    var start = 0
    while start + 8 <= count {
      body(start, 8)
      start += 8
    }
    if start < count { body(start, count - start) }
  }
}

extension SIMD8<UInt32> {
  fileprivate init(bitPattern floats: SIMD8<Float>) { self = unsafeBitCast(floats, to: Self.self) }
}

extension SIMD8<Float> {
  fileprivate init(bitPattern bits: SIMD8<UInt32>) { self = unsafeBitCast(bits, to: Self.self) }
}
