/// Half-precision numbers (IEEE 754 binary16), in which a store keeps features.
///
/// `Float16` is converted by a function call per value unless the compiler may assume F16C (18 ns
/// here, 2.4 ms a clip). These are integer operations without branches, which the compiler turns
/// into vector code for any processor (0.4 ns); eight-wide SIMD types written out came out 20 times
/// slower.
package enum HalfPrecision {
  /// Magnitudes from here on would round to infinity.
  private static let overflow: UInt32 = 0x477F_F000  // 65520
  private static let smallestNormal: UInt32 = 0x3880_0000  // 2⁻¹⁴
  private static let half: UInt32 = 0x3F00_0000  // 0.5
  /// The exponents' biases differ by 127 − 15.
  private static let rebias: UInt32 = 112 << 23

  /// Rounds to the nearest half, ties to even.
  ///
  /// - Returns: the index of the first value that is not finite or too large, or nil
  package static func encode(
    _ values: UnsafeBufferPointer<Float>, into halves: UnsafeMutableBufferPointer<UInt16>
  ) -> Int? {
    precondition(values.count == halves.count, "\(values.count) values, \(halves.count) halves")
    if let index = values.firstIndex(where: { $0.magnitude.bitPattern >= overflow }) {
      return index
    }
    for i in values.indices { halves[i] = encode(values[i]) }
    return nil
  }

  /// Exact. The halves must be finite, as `encode` leaves them.
  package static func decode(
    _ halves: UnsafeBufferPointer<UInt16>, into values: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(values.count == halves.count, "\(values.count) values, \(halves.count) halves")
    for i in halves.indices { values[i] = decode(halves[i]) }
  }

  @inline(__always)
  private static func encode(_ value: Float) -> UInt16 {
    let sign = (value.bitPattern &>> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    // 0xFFF rounds ties down; the last bit kept, if odd, turns them up to the even neighbour.
    let odd = (magnitude &>> 13) & 1
    let normal = (magnitude &- rebias &+ 0xFFF &+ odd) &>> 13
    // Between 0.5 and 1 a float's last bit is worth 2⁻²⁴, as a subnormal half's: adding 0.5 rounds.
    let subnormal = (Float(bitPattern: magnitude) + Float(bitPattern: half)).bitPattern &- half
    return UInt16(truncatingIfNeeded: (magnitude < smallestNormal ? subnormal : normal) | sign)
  }

  @inline(__always)
  private static func decode(_ bits: UInt16) -> Float {
    let sign = (UInt32(bits) & 0x8000) &<< 16
    let magnitude = (UInt32(bits) & 0x7FFF) &<< 13
    let normal = magnitude &+ rebias
    // A subnormal has no implied leading one: give it one, as a normal float, and subtract it.
    let shifted = Float(bitPattern: magnitude &+ smallestNormal)
    let subnormal = (shifted - Float(bitPattern: smallestNormal)).bitPattern
    return Float(bitPattern: (magnitude < 1 << 23 ? subnormal : normal) | sign)
  }
}
