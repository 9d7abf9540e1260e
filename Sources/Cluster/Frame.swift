/// One ZeroMQ message: a header of 88 bytes, then at most 1 MiB of a message's payload.
///
/// Little-endian, without padding:
/// ```
///  0  magic "TUTI"            32  step (8)             64  bytes in the whole payload (8)
///  4  protocol version (2)    40  tag (8)              72  offset of this chunk in it (8)
///  6  message kind (1)        48  term (4)             80  XXH3 of bytes 0..<80 and the chunk (8)
///  7  payload kind (1)        52  range's lower (4)    88  the chunk
///  8  run (16)                56  range's upper (4)
/// 24  sequence number (8)     60  bytes in this chunk (4)
/// ```
/// The range is of lanes or of clips, the step may be a job's number, and the tag is mostly a hash, as the
/// kind of message says. The sequence number counts one sender's frames to one peer from 1, so that a repeated frame is known.
package struct FrameHeader: Equatable {
  package static let byteCount = 88
  package static let maximumPayload = 1 << 20
  package static let protocolVersion: UInt16 = 4
  private static let magic: UInt32 = 0x4954_5554  // "TUTI" as it lies in memory
  private static let checksumOffset = 80

  package var subject: Subject
  package var payloadKind: PayloadKind
  package var run: RunID
  package var term: UInt32
  package var sequence: UInt64
  /// Bytes in the whole payload, in this chunk, and before this chunk.
  package var totalBytes: Int
  package var chunkBytes: Int
  package var chunkOffset: Int

  package enum PayloadKind: UInt8, Sendable {
    case bytes = 0
    case floats = 1
    /// Where floats lie in shared memory.
    case place = 2
    /// Floats, the first of them in 16 bits: see `NarrowVector`.
    case narrow = 3
  }

  /// Writes header and chunk into `frame`, which has room for just both.
  package func encode(chunk: UnsafeRawBufferPointer, into frame: UnsafeMutableRawBufferPointer) {
    precondition(
      chunk.count == chunkBytes && frame.count == Self.byteCount + chunkBytes,
      "a frame of \(frame.count) bytes for a chunk of \(chunk.count), header says \(chunkBytes)")
    func store<Integer: FixedWidthInteger>(_ value: Integer, at offset: Int) {
      frame.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Integer.self)
    }
    store(Self.magic, at: 0)
    store(Self.protocolVersion, at: 4)
    store(subject.kind.rawValue, at: 6)
    store(payloadKind.rawValue, at: 7)
    store(run.first, at: 8)
    store(run.second, at: 16)
    store(sequence, at: 24)
    store(UInt64(subject.step), at: 32)
    store(subject.tag, at: 40)
    store(term, at: 48)
    store(UInt32(subject.range.lowerBound), at: 52)
    store(UInt32(subject.range.upperBound), at: 56)
    store(UInt32(chunkBytes), at: 60)
    store(UInt64(totalBytes), at: 64)
    store(UInt64(chunkOffset), at: 72)
    let payload = UnsafeMutableRawBufferPointer(rebasing: frame[Self.byteCount...])
    payload.copyMemory(from: chunk)
    let header = UnsafeRawBufferPointer(rebasing: frame[..<Self.checksumOffset])
    // Of the copy: the chunk may be of weights that nobody needs any more, and change (see `ParameterRooms`).
    store(
      frameChecksum(header: header, payload: UnsafeRawBufferPointer(payload)),
      at: Self.checksumOffset)
  }

  /// Reads and checks a frame's header; the chunk is what follows it. Allocates nothing that the frame
  /// claims.
  package init(decoding frame: RawSpan) throws(Defect) {
    guard frame.byteCount >= Self.byteCount else {
      throw Defect(.size, "\(frame.byteCount) bytes, a header has \(Self.byteCount)")
    }
    func load<Integer: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> Integer {
      Integer(littleEndian: frame.unsafeLoadUnaligned(fromByteOffset: offset, as: Integer.self))
    }
    guard load(0) == Self.magic else {
      throw Defect(.magic, "\(frame.byteCount) bytes of something else")
    }
    let version: UInt16 = load(4)
    guard version == Self.protocolVersion else {
      throw Defect(
        .version, "the peer speaks protocol \(version), this program \(Self.protocolVersion)")
    }
    let chunkBytes = Int(load(60) as UInt32)
    guard chunkBytes <= Self.maximumPayload, frame.byteCount == Self.byteCount + chunkBytes else {
      throw Defect(
        .size, "header says \(chunkBytes) bytes, frame has \(frame.byteCount - Self.byteCount)")
    }
    let checksum: UInt64 = frame.withUnsafeBytes { bytes in
      frameChecksum(
        header: UnsafeRawBufferPointer(rebasing: bytes[..<Self.checksumOffset]),
        payload: UnsafeRawBufferPointer(rebasing: bytes[Self.byteCount...]))
    }
    guard load(Self.checksumOffset) == checksum else {
      throw Defect(.checksum, "a frame of \(frame.byteCount) bytes was damaged")
    }

    // From here on the sender wrote what it meant, but may still mean nonsense.
    guard let kind = MessageKind(rawValue: load(6)),
      let payloadKind = PayloadKind(rawValue: load(7))
    else {
      throw Defect(.header, "message kind \(load(6) as UInt8), payload kind \(load(7) as UInt8)")
    }
    let lower: UInt32 = load(52)
    let upper: UInt32 = load(56)
    guard let step = Int(exactly: load(32) as UInt64), lower <= upper else {
      throw Defect(.header, "step \(load(32) as UInt64), range \(lower)..<\(upper)")
    }
    guard let total = Int(exactly: load(64) as UInt64),
      let offset = Int(exactly: load(72) as UInt64),
      offset <= total, chunkBytes <= total - offset, chunkBytes > 0 || total == 0,
      payloadKind != .floats || total % 4 == 0 && offset % 4 == 0
    else {
      throw Defect(
        .header, "\(chunkBytes) bytes at \(load(72) as UInt64) of \(load(64) as UInt64)")
    }
    subject = Subject(kind: kind, step: step, range: Int(lower)..<Int(upper), tag: load(40))
    self.payloadKind = payloadKind
    run = RunID(first: load(8), second: load(16))
    term = load(48)
    sequence = load(24)
    totalBytes = total
    self.chunkBytes = chunkBytes
    chunkOffset = offset
  }

  package init(
    subject: Subject, payloadKind: PayloadKind, run: RunID, term: UInt32, sequence: UInt64,
    totalBytes: Int, chunkBytes: Int, chunkOffset: Int
  ) {
    self.subject = subject
    self.payloadKind = payloadKind
    self.run = run
    self.term = term
    self.sequence = sequence
    self.totalBytes = totalBytes
    self.chunkBytes = chunkBytes
    self.chunkOffset = chunkOffset
  }
}

/// What a message is about: the part of it that every frame repeats.
package struct Subject: Equatable, Sendable {
  package var kind: MessageKind
  package var step: Int
  package var range: Range<Int>
  package var tag: UInt64

  package init(kind: MessageKind, step: Int = 0, range: Range<Int> = 0..<0, tag: UInt64 = 0) {
    self.kind = kind
    self.step = step
    self.range = range
    self.tag = tag
  }
}

/// A run's name on the wire: 16 random bytes.
package struct RunID: Hashable, Sendable, CustomStringConvertible {
  package let first: UInt64
  package let second: UInt64

  package init(first: UInt64, second: UInt64) {
    self.first = first
    self.second = second
  }

  /// What a worker that has not met the coordinator yet writes.
  package static let none = RunID(first: 0, second: 0)

  package static func random() -> RunID {
    RunID(first: .random(in: 1 ... .max), second: .random(in: .min ... .max))
  }

  /// Reads what `description` writes.
  package init?(_ text: String) {
    guard text.utf8.count == 32, text.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
      let first = UInt64(text.prefix(16), radix: 16),
      let second = UInt64(text.suffix(16), radix: 16)
    else { return nil }
    self.init(first: first, second: second)
  }

  /// 32 hexadecimal digits.
  package var description: String {
    [first, second].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
