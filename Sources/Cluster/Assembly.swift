/// A message whose chunks are coming in. They come in order, as both transports promise; anything else
/// ends it.
///
/// The caller has checked the claimed size against its bound before this reserves that much.
struct Assembly {
  private let first: FrameHeader
  private var received = 0
  // Only the one of the payload's kind is used.
  private var bytes: [UInt8] = []
  private var floats: [Float] = []

  init(first header: FrameHeader) {
    first = header
    switch header.payloadKind {
    case .bytes, .place: bytes = [UInt8](repeating: 0, count: header.totalBytes)
    case .narrow:
      let count = header.totalBytes
      bytes = [UInt8](unsafeUninitializedCapacity: count) { $1 = count }
    case .floats:
      let count = header.totalBytes / MemoryLayout<Float>.size
      // Nobody sees it before every element has come.
      floats = [Float](unsafeUninitializedCapacity: count) { $1 = count }
    }
  }

  var isComplete: Bool { received == first.totalBytes }

  /// - Parameters:
  ///   - memory: what the sender shares with this process
  ///   - largestVector: elements that a vector may have
  func parcel(with memory: SharedVectors?, largestVector: Int) throws(Defect) -> Parcel {
    let payload: Parcel.Payload =
      switch first.payloadKind {
      case .bytes: .bytes(bytes)
      case .floats: .floats(FloatVector(floats))
      case .place: .floats(try vector(in: memory))
      case .narrow:
        .floats(FloatVector(try NarrowVector(decoding: bytes, longest: largestVector).values))
      }
    return Parcel(subject: first.subject, payload: payload)
  }

  private func vector(in memory: SharedVectors?) throws(Defect) -> FloatVector {
    var fields = FieldReader(bytes)
    let place = SharedVectors.Place(slot: try fields.count(), count: try fields.count())
    try fields.finish()
    guard let memory, memory.contains(place) else {
      throw Defect(.payload, "\(first.subject.kind) in memory that is not shared")
    }
    return FloatVector(VectorBuffer(place, in: memory))
  }

  /// - Returns: false if the chunk is not the next one of this message
  mutating func append(_ chunk: RawSpan, _ header: FrameHeader) -> Bool {
    guard header.subject == first.subject, header.payloadKind == first.payloadKind,
      header.totalBytes == first.totalBytes, header.chunkOffset == received
    else { return false }
    let target = received..<received + chunk.byteCount
    received = target.upperBound
    chunk.withUnsafeBytes { chunk in
      func copy(to whole: UnsafeMutableRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: whole[target]).copyMemory(from: chunk)
      }
      switch first.payloadKind {
      case .bytes, .place, .narrow: bytes.withUnsafeMutableBytes(copy)
      case .floats: floats.withUnsafeMutableBytes(copy)
      }
    }
    return true
  }
}
