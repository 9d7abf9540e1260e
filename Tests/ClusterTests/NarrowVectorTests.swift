import Cluster
import Testing

@Suite struct NarrowVectorTests {
  static let narrow: [WireType] = [.bf16, .fp16]

  /// To `bits` binary digits, ties to even; the slow way.
  static func rounded(_ value: Float, digits: Int) -> Float {
    guard value.isFinite, value != 0 else { return value }
    let unit = Double(sign: .plus, exponent: Int(value.exponent) - digits + 1, significand: 1)
    return Float((Double(value) / unit).rounded(.toNearestOrEven) * unit)
  }

  @Test("bf16 is the nearest with eight digits")
  func brainFloat() {
    var generator = Seeded(1)
    // Every pattern in the upper half, just beside it and on the ties.
    let patterns = (0...UInt32(UInt16.max)).flatMap { upper in
      [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, .random(in: 0...0xFFFF, using: &generator)]
        .map { upper << 16 | $0 }
    }
    let values = patterns.map(Float.init(bitPattern:)).filter { $0.isNormal || $0 == 0 }
    let narrow = NarrowVector(values.span, as: WireFormat(.bf16, narrowCount: values.count)).values
    let largest = Float(bitPattern: 0x7F7F_0000)
    for (value, narrow) in zip(values, narrow) {
      let expected = Self.rounded(value, digits: 8)
      #expect(narrow == (expected.isFinite ? expected : value.sign == .minus ? -largest : largest))
      #expect(narrow.sign == value.sign)
    }
  }

  @Test(
    "fp16 is the nearest half, scaled by the block", arguments: [-130, -30, -14, 0, 12, 100, 127])
  func half(exponent: Int) {
    var generator = Seeded(UInt64(exponent + 1000))
    let largest = Float(sign: .plus, exponent: max(exponent, -126), significand: 1.5)
    // A quarter of them tiny beside the largest, some zero.
    var values = (0..<1024).map { _ in
      largest * Float.random(in: -1...1, using: &generator)
        * (Bool.random(using: &generator)
          ? 1 : Float(bitPattern: .random(in: 0..<0x3F80_0000, using: &generator)))
    }
    values[17] = largest
    let power = min(14 - max(exponent, -126), 126)
    let scale = Float(sign: .plus, exponent: power, significand: 1)
    let inverse = Float(sign: .plus, exponent: -power, significand: 1)
    let narrow = NarrowVector(values.span, as: WireFormat(.fp16, narrowCount: values.count)).values
    for (value, narrow) in zip(values, narrow) {
      #expect(bits([narrow]) == bits([Float(Float16(value * scale)) * inverse]))
    }
  }

  @Test("NaNs, infinities and signed zeros stay; the end keeps 32 bits", arguments: narrow)
  func specialValues(type: WireType) {
    let special: [Float] = [.infinity, -.infinity, .nan, -.nan, 0, -0.0, 1]
    let precise: [Float] = [.pi, 1 / 3, .leastNonzeroMagnitude, .nan, -.infinity]
    let values = special + precise
    let rounded = NarrowVector(values.span, as: WireFormat(type, narrowCount: special.count)).values
    for (value, rounded) in zip(special, rounded) {
      #expect(rounded.sign == value.sign && rounded.floatingPointClass == value.floatingPointClass)
    }
    #expect(bits(Array(rounded[special.count...])) == bits(precise))
  }

  @Test(
    "a lane travels in half the bytes and comes as it was rounded", arguments: narrow, Wire.allCases
  )
  func travels(type: WireType, wire: Wire) throws {
    var generator = Seeded(2)
    for (count, narrow) in [(0, 0), (1, 0), (1, 1), (2, 1), (1025, 1024), (70_001, 69_000)] {
      let vector = NarrowVector(
        roughVector(count, &generator).span, as: WireFormat(type, narrowCount: narrow))
      var settings = EndpointSettings(largestVector: count)
      settings.chunkBytes = 4096
      let stage = try Stage(wire, settings: settings)
      let (worker, _) = try stage.join(settings)
      let partial = Message.partial(
        Partial(step: 3, node: 0..<1, values: FloatVector(vector), parametersHash: 5))
      #expect(Parcel(partial).byteCount <= 2 * count + 2 * (count - narrow) + count / 512 + 32)
      try worker.send(partial)
      guard case .partial(let received) = try stage.coordinator.expectMessage() else {
        Issue.record("something else came")
        return
      }
      #expect(bits(received.values) == bits(vector.values))
      #expect(received.step == 3 && received.parametersHash == 5)
    }
  }

  @Test("what is no such vector, or one too long, is refused")
  func nonsense() throws {
    let settings = EndpointSettings(largestVector: 64)
    let stage = try Stage(.inProcess, settings: settings)
    let values = [Float](repeating: 1, count: 65)
    let vector = NarrowVector(values.span, as: WireFormat(.fp16, narrowCount: 60))
    let good = frame(
      .partial(Partial(step: 1, node: 0..<1, values: FloatVector(vector), parametersHash: 0)))
    var generator = Seeded(3)
    for index in 0..<300 {
      // The first as it is: an element too many. The others changed somewhere in their first bytes.
      var bytes = Array(good.dropFirst(FrameHeader.byteCount))
      if index > 0 {
        bytes[Int.random(in: 0..<26, using: &generator)] ^= .random(in: 1...255, using: &generator)
      }
      #expect(throws: Defect.self) {
        let conversation = Conversation(
          with: PeerID(bytes: [1]), settings: settings, session: nil)
        _ = try conversation.receive(Self.sealed(bytes).span.bytes)
      }
    }
    #expect(stage.coordinator.defects.total == 0)
  }

  /// A frame around any bytes that claim to be a narrow vector.
  private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    let header = FrameHeader(
      subject: Subject(kind: .partial, step: 1, range: 0..<1), payloadKind: .narrow,
      run: RunID(first: 1, second: 2), term: 1, sequence: 1, totalBytes: bytes.count,
      chunkBytes: bytes.count, chunkOffset: 0)
    var frame = [UInt8](repeating: 0, count: FrameHeader.byteCount + bytes.count)
    frame.withUnsafeMutableBytes { frame in
      bytes.withUnsafeBytes { header.encode(chunk: $0, into: frame) }
    }
    return frame
  }
}
