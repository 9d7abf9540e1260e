import CXXHash

// Floats and integers travel as they lie in memory.
#if _endian(big)
  #error("Tutti's frames are little-endian")
#endif

/// The XXH3 hash of a vector's bytes: equal exactly when the bits are (−0 differs from 0, NaNs count).
package func contentHash(_ values: Span<Float>) -> UInt64 {
  values.withUnsafeBufferPointer {
    xxh3($0.baseAddress, $0.count * MemoryLayout<Float>.size)
  }
}

/// Copies `source` and hashes the copy block by block, while it is in the cache.
///
/// - Precondition: both have the same count
/// - Returns: the content hash of what was copied
package func copyAndHash(
  _ source: Span<Float>, to target: UnsafeMutableBufferPointer<Float>
) -> UInt64 {
  precondition(source.count == target.count, "\(source.count) floats to \(target.count)")
  let state = XXH3_createState()
  defer { XXH3_freeState(state) }
  XXH3_64bits_reset(state)
  source.withUnsafeBufferPointer { source in
    for start in stride(from: 0, to: source.count, by: 16_384) {
      let block = start..<min(start + 16_384, source.count)
      let copy = UnsafeMutableBufferPointer(rebasing: target[block])
      _ = copy.update(fromContentsOf: UnsafeBufferPointer(rebasing: source[block]))
      xxh3_update(state, copy.baseAddress, copy.count * MemoryLayout<Float>.size)
    }
  }
  return XXH3_64bits_digest(state)
}

/// The checksum of a frame: over the header's bytes, then, seeded with that, over the payload's.
func frameChecksum(header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer) -> UInt64 {
  let seed = xxh3(header.baseAddress, header.count)
  return xxh3_with_seed(payload.baseAddress, payload.count, seed)
}
