/// The checksum in a safetensors file: BLAKE2b-256 of every byte of the file, with the checksum's
/// own 64 hexadecimal digits taken as zeros.
///
/// The format itself notices missing bytes but not wrong ones. Files of other programs have no
/// checksum and are read without.

import CSodium

final class SafetensorsChecksum {
  static let digits = 64
  static let placeholder = String(repeating: "0", count: digits)

  private let memory: UnsafeMutableRawPointer
  private var state: OpaquePointer { OpaquePointer(memory) }

  init() {
    precondition(sodium_init() >= 0, "libsodium does not start")
    memory = .allocate(byteCount: crypto_generichash_statebytes(), alignment: 64)
    crypto_generichash_init(state, nil, 0, Self.digits / 2)
  }

  deinit { memory.deallocate() }

  func update(_ bytes: UnsafeRawBufferPointer) {
    let pointer = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    crypto_generichash_update(state, pointer, UInt64(bytes.count))
  }

  /// The checksum of all bytes so far; call it once.
  func finish() -> String {
    var digest = [UInt8](repeating: 0, count: Self.digits / 2)
    crypto_generichash_final(state, &digest, digest.count)
    let hexadecimal = Array("0123456789abcdef".utf8)
    let digits = digest.flatMap { [hexadecimal[Int($0 >> 4)], hexadecimal[Int($0 & 15)]] }
    return String(decoding: digits, as: UTF8.self)
  }

  /// Where the digits stand in a file whose header begins as `SafetensorsHeader.bytes` makes it.
  static let offset = 8 + "{\"__metadata__\":{\"\(SafetensorsHeader.checksumKey)\":\"".utf8.count
}
