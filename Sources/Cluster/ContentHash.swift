import CXXHash

// Floats and integers travel as they lie in memory.
#if _endian(big)
  #error("Tutti's frames are little-endian")
#endif

/// The XXH3 hash of a vector's bytes: equal exactly when the bits are (−0 differs from 0, NaNs count).
package func contentHash(_ values: Span<Float>) -> UInt64 {
  values.withUnsafeBufferPointer {
    XXH3_64bits($0.baseAddress, $0.count * MemoryLayout<Float>.size)
  }
}

/// The checksum of a frame: over the header's bytes, then, seeded with that, over the payload's.
func frameChecksum(header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer) -> UInt64 {
  let seed = XXH3_64bits(header.baseAddress, header.count)
  return XXH3_64bits_withSeed(payload.baseAddress, payload.count, seed)
}
