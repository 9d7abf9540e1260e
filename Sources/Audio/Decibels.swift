/// 10·log10(x) of a positive normal number, within 1e-5 dB; beyond ±100 dB, within 1e-7 of the
/// value. What it gives for zero, subnormal or negative numbers, infinity and NaN means nothing.
///
/// x = 2^e · m with m in [√½, √2), and ln m = 2·artanh(s) with s = (m−1)/(m+1), whose series ends
/// after s⁹ (|s| < 0.172: the rest is under 3e-9 of the value). There is no branch and no call, so
/// a loop over it becomes vector code, with the same bits on every processor and from every libm.
@inline(__always)
package func decibels(_ x: Float) -> Float {
  let squareRootOfHalf: UInt32 = 0x3F35_04F3
  let exponent = Int32(bitPattern: x.bitPattern &- squareRootOfHalf) &>> 23
  let m = Float(bitPattern: x.bitPattern &- UInt32(bitPattern: exponent &<< 23))
  let s = (m - 1) / (m + 1)
  let s2 = s * s
  let series = 1 + s2 * (1 / 3 + s2 * (1 / 5 + s2 * (1 / 7 + s2 * (1 / 9))))
  let decibelsPerOctave: Float = 3.010_299_956_6  // 10·log10 2
  let decibelsPerNeper2: Float = 8.685_889_638_1  // 20/ln 10
  return Float(exponent) * decibelsPerOctave + decibelsPerNeper2 * s * series
}
