import CSodium
import CXXHash
import Foundation

/// SHA-256 over a list of fields. Each field goes in with its length, so that no two lists of
/// fields give the same bytes.
struct Digest {
  private var state = crypto_hash_sha256_state()

  /// - Parameter purpose: keeps digests of different things apart
  init(_ purpose: String) {
    crypto_hash_sha256_init(&state)
    add(purpose)
  }

  mutating func add(_ text: String) {
    var text = text
    text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
  }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(bytes.count)
    let pointer = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
    crypto_hash_sha256_update(&state, pointer, UInt64(bytes.count))
  }

  mutating func add(_ number: Int) {
    withUnsafeBytes(of: Int64(number).littleEndian) { bytes in
      let pointer = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
      _ = crypto_hash_sha256_update(&state, pointer, UInt64(bytes.count))
    }
  }

  /// 64 hexadecimal digits.
  consuming func hexadecimal() -> String {
    var bytes = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_bytes()))
    crypto_hash_sha256_final(&state, &bytes)
    return bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
  }
}

/// XXH3, 64 bits: finds accidents, at about the speed of memory. It is no protection from malice.
func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
  xxh3_with_seed(bytes.baseAddress, bytes.count, seed)
}

/// 16 hexadecimal digits.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
