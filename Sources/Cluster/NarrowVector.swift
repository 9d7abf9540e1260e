/// In how many bits, and of which kind, lanes' gradients travel and enter the sum.
package enum WireType: String, Sendable, CaseIterable {
  case fp32
  /// The upper half of an fp32: its range, 8 bits of precision.
  case bf16
  /// 11 bits of precision. Each block of 1024 values has a power of two of its own, so that gradients, which
  /// are small, lie where it is precise.
  case fp16
}

/// What of a lane's vector is rounded, and how.
package struct WireFormat: Equatable, Sendable {
  package var type: WireType
  /// Elements at the beginning that are; statistics and loss behind them keep their 32 bits.
  package var narrowCount: Int

  package init(_ type: WireType, narrowCount: Int) {
    self.type = type
    self.narrowCount = narrowCount
  }

  package static let fp32 = WireFormat(.fp32, narrowCount: 0)
}

/// A vector rounded to 16 bits, to nearest, ties to even. NaNs and infinities stay what they are, and nothing
/// finite becomes infinite.
///
/// Rounding is a function of one lane's vector, done before anything is added: bits depend neither on who holds
/// which lanes nor on whether a lane travels alone, in 16 bits, or in a sum, in 32.
///
/// As bytes, little-endian: type (4), zero (4), elements (8), narrow ones (8); for fp16 each block's power
/// of two (2); the narrow ones (2 each), zeros up to a multiple of 4, the others (4 each).
package struct NarrowVector: Equatable, Sendable {
  let bytes: [UInt8]
  private let layout: Layout

  package var count: Int { layout.count }

  /// Elements of a block with a power of two of its own.
  static let block = 1024

  /// More than this a vector's bytes never have beyond its 32-bit ones.
  static let overhead = 64

  /// - Precondition: `format` is narrow and fits
  package init(_ values: Span<Float>, as format: WireFormat) {
    precondition(
      format.type != .fp32 && format.narrowCount <= values.count,
      "\(values.count) values, \(format.narrowCount) of them as \(format.type)")
    let layout = Layout(format.type, count: values.count, narrow: format.narrowCount)
    self.layout = layout
    bytes = [UInt8](unsafeUninitializedCapacity: layout.byteCount) { buffer, byteCount in
      byteCount = layout.byteCount
      let raw = UnsafeMutableRawBufferPointer(buffer)
      layout.writeHeader(to: raw)
      values.withUnsafeBufferPointer { values in
        let halves = raw[layout.halves].bindMemory(to: UInt16.self)
        if format.type == .bf16 {
          for i in 0..<halves.count { halves[i] = BrainFloat.encode(values[i]) }
        } else {
          let powers = raw[layout.powers].bindMemory(to: Int16.self)
          for (block, range) in layout.blocks.enumerated() {
            let power = Half.power(for: UnsafeBufferPointer(rebasing: values[range]))
            powers[block] = Int16(power)
            let scale = Float(sign: .plus, exponent: power, significand: 1)
            for i in range { halves[i] = Half.encode(values[i] * scale) }
          }
        }
        raw[layout.halves.upperBound..<layout.rest.lowerBound].initializeMemory(
          as: UInt8.self, repeating: 0)
        UnsafeMutableRawBufferPointer(rebasing: raw[layout.rest]).copyMemory(
          from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: values[halves.count...])))
      }
    }
  }

  /// Reads what a peer has sent.
  ///
  /// - Parameter longest: elements at most
  init(decoding bytes: [UInt8], longest: Int) throws(Defect) {
    var fields = FieldReader(bytes)
    let type: UInt32 = try fields.integer()
    let zero: UInt32 = try fields.integer()
    let (count, narrow) = (try fields.count(), try fields.count())
    guard let type = Layout.type(of: type), zero == 0, narrow <= count, count <= longest else {
      throw Defect(.payload, "\(narrow) of \(count) values in 16 bits of kind \(type)")
    }
    layout = Layout(type, count: count, narrow: narrow)
    guard bytes.count == layout.byteCount else {
      throw Defect(.payload, "\(bytes.count) bytes instead of \(layout.byteCount)")
    }
    self.bytes = bytes
    let isScaled = bytes.withUnsafeBytes { raw in
      raw[layout.powers].bindMemory(to: Int16.self).allSatisfy { Half.powers.contains(Int($0)) }
    }
    guard isScaled else { throw Defect(.payload, "a block's power of two is none") }
  }

  /// A part of it, as it would have been rounded by itself.
  ///
  /// - Precondition: it begins with a block
  func slice(_ range: Range<Int>) -> NarrowVector {
    precondition(range.lowerBound % Self.block == 0 || range.isEmpty, "\(range) begins in a block")
    let narrow = range.clamped(to: 0..<max(layout.narrow, range.lowerBound))
    let part = Layout(layout.type, count: range.count, narrow: narrow.isEmpty ? 0 : narrow.count)
    let bytes = [UInt8](unsafeUninitializedCapacity: part.byteCount) { buffer, byteCount in
      byteCount = part.byteCount
      let raw = UnsafeMutableRawBufferPointer(buffer)
      _ = raw.initializeMemory(as: UInt8.self, repeating: 0)
      part.writeHeader(to: raw)
      self.bytes.withUnsafeBytes { whole in
        func copy(_ target: Range<Int>, from start: Int) {
          let source = UnsafeRawBufferPointer(rebasing: whole[start..<start + target.count])
          UnsafeMutableRawBufferPointer(rebasing: raw[target]).copyMemory(from: source)
        }
        if part.narrow > 0 {
          copy(
            part.powers, from: layout.powers.lowerBound + 2 * (range.lowerBound / Self.block))
          copy(part.halves, from: layout.halves.lowerBound + 2 * range.lowerBound)
        }
        if part.narrow < part.count {
          let first = max(range.lowerBound, layout.narrow) - layout.narrow
          copy(part.rest, from: layout.rest.lowerBound + 4 * first)
        }
      }
    }
    return NarrowVector(bytes: bytes, layout: part)
  }

  private init(bytes: [UInt8], layout: Layout) {
    (self.bytes, self.layout) = (bytes, layout)
  }

  /// The rounded values.
  package var values: [Float] {
    [Float](unsafeUninitializedCapacity: count) { values, initialized in
      initialized = count
      bytes.withUnsafeBytes { raw in
        let halves = raw[layout.halves].bindMemory(to: UInt16.self)
        if layout.type == .bf16 {
          for i in 0..<halves.count { values[i] = BrainFloat.decode(halves[i]) }
        } else {
          let powers = raw[layout.powers].bindMemory(to: Int16.self)
          for (block, range) in layout.blocks.enumerated() {
            let scale = Float(sign: .plus, exponent: -Int(powers[block]), significand: 1)
            for i in range { values[i] = Half.decode(halves[i]) * scale }
          }
        }
        UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: values[halves.count...]))
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[layout.rest]))
      }
    }
  }
}

/// Where the parts lie.
private struct Layout: Equatable, Sendable {
  private static let headerBytes = 24

  let type: WireType
  let count: Int
  let narrow: Int
  let powers: Range<Int>
  let halves: Range<Int>
  let rest: Range<Int>

  init(_ type: WireType, count: Int, narrow: Int) {
    (self.type, self.count, self.narrow) = (type, count, narrow)
    let powers = type == .fp16 ? (narrow + NarrowVector.block - 1) / NarrowVector.block : 0
    self.powers = Self.headerBytes..<Self.headerBytes + 2 * powers
    halves = self.powers.upperBound..<self.powers.upperBound + 2 * narrow
    let start = (halves.upperBound + 3) / 4 * 4
    rest = start..<start + 4 * (count - narrow)
  }

  var byteCount: Int { rest.upperBound }

  var blocks: [Range<Int>] {
    stride(from: 0, to: narrow, by: NarrowVector.block).map {
      $0..<min($0 + NarrowVector.block, narrow)
    }
  }

  func writeHeader(to bytes: UnsafeMutableRawBufferPointer) {
    var fields = FieldWriter()
    fields.write(UInt32(type == .bf16 ? 1 : 2))
    fields.write(UInt32(0))
    fields.write(count)
    fields.write(narrow)
    bytes.copyBytes(from: fields.bytes)
  }

  static func type(of number: UInt32) -> WireType? {
    switch number {
    case 1: .bf16
    case 2: .fp16
    default: nil
    }
  }
}

// Integer operations without branches, which the compiler turns into vector code.

private enum BrainFloat {
  private static let infinity: UInt32 = 0x7F80_0000
  private static let largest: UInt32 = 0x7F7F

  @inline(__always)
  static func encode(_ value: Float) -> UInt16 {
    let sign = (value.bitPattern &>> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    // 0x7FFF rounds ties down; the last bit kept, if odd, turns them up to the even neighbour.
    let rounded = (magnitude &+ 0x7FFF &+ ((magnitude &>> 16) & 1)) &>> 16
    let special: UInt32 = magnitude > infinity ? 0x7FC0 : 0x7F80
    let finite = min(rounded, largest)
    return UInt16(truncatingIfNeeded: (magnitude >= infinity ? special : finite) | sign)
  }

  @inline(__always)
  static func decode(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) &<< 16) }
}

private enum Half {
  /// What a block may be multiplied with.
  static let powers = -126...126

  /// The power of two that brings a block's largest magnitude to 2¹⁴ or beyond, and not to 2¹⁵.
  static func power(for block: UnsafeBufferPointer<Float>) -> Int {
    var largest: UInt32 = 0
    for value in block { largest = max(largest, value.bitPattern & 0x7FFF_FFFF) }
    guard largest > 0, largest < 0x7F80_0000 else { return 0 }
    return min(14 - (Int(largest >> 23) - 127), powers.upperBound)
  }

  private static let infinity: UInt32 = 0x7F80_0000
  /// Magnitudes from here on round to infinity.
  private static let overflow: UInt32 = 0x477F_F000
  private static let smallestNormal: UInt32 = 0x3880_0000  // 2⁻¹⁴
  private static let half: UInt32 = 0x3F00_0000  // 0.5
  /// The exponents' biases differ by 127 − 15.
  private static let rebias: UInt32 = 112 << 23

  @inline(__always)
  static func encode(_ value: Float) -> UInt16 {
    let sign = (value.bitPattern &>> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let odd = (magnitude &>> 13) & 1
    let normal = (magnitude &- rebias &+ 0xFFF &+ odd) &>> 13
    // Between 0.5 and 1 a float's last bit is worth 2⁻²⁴, as a subnormal half's: adding 0.5 rounds.
    let subnormal = (Float(bitPattern: magnitude) + Float(bitPattern: half)).bitPattern &- half
    let special: UInt32 = magnitude > infinity ? 0x7E00 : 0x7C00
    let finite = magnitude < smallestNormal ? subnormal : normal
    return UInt16(truncatingIfNeeded: (magnitude >= overflow ? special : finite) | sign)
  }

  @inline(__always)
  static func decode(_ bits: UInt16) -> Float {
    let sign = (UInt32(bits) & 0x8000) &<< 16
    let magnitude = (UInt32(bits) & 0x7FFF) &<< 13
    let normal = magnitude &+ rebias
    // A subnormal has no implied leading one: give it one, as a normal float, and subtract it.
    let shifted = Float(bitPattern: magnitude &+ smallestNormal)
    let subnormal = (shifted - Float(bitPattern: smallestNormal)).bitPattern
    let finite = magnitude < 1 << 23 ? subnormal : normal
    let special = magnitude | infinity
    return Float(bitPattern: (magnitude >= 0x0F80_0000 ? special : finite) | sign)
  }
}
