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
    case .bytes: bytes = [UInt8](repeating: 0, count: header.totalBytes)
    case .floats:
      floats = [Float](repeating: 0, count: header.totalBytes / MemoryLayout<Float>.size)
    }
  }

  var isComplete: Bool { received == first.totalBytes }

  var parcel: Parcel {
    switch first.payloadKind {
    case .bytes: Parcel(subject: first.subject, payload: .bytes(bytes))
    case .floats: Parcel(subject: first.subject, payload: .floats(floats))
    }
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
      case .bytes: bytes.withUnsafeMutableBytes(copy)
      case .floats: floats.withUnsafeMutableBytes(copy)
      }
    }
    return true
  }
}
