import CSodium
import CZeroMQ

/// Half of a CURVE key pair: 32 bytes that everybody may know, written as 40 characters of Z85.
package struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  /// - Returns: nil if these are not 32 bytes
  package init?(bytes: [UInt8]) {
    guard bytes.count == Z85.keyBytes else { return nil }
    self.bytes = bytes
  }

  /// - Returns: nil if this is not a key in Z85
  package init?(_ text: String) {
    guard let bytes = Z85.key(text) else { return nil }
    self.bytes = bytes
  }

  /// In Z85.
  package var text: String { Z85.text(bytes) }

  /// The first eight bytes of its SHA-256 in hexadecimal: what people compare.
  package var fingerprint: String {
    var hash = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
    crypto_hash_sha256(&hash, bytes, UInt64(bytes.count))
    return hexadecimal(hash.prefix(8))
  }

  package var description: String { "key \(fingerprint)" }
}

/// A public key and the secret one that belongs to it.
package struct KeyPair: Sendable, CustomStringConvertible {
  package let publicKey: PublicKey
  let secret: [UInt8]

  /// - Throws: `ClusterError.system` if libzmq was built without CURVE
  package static func random() throws(ClusterError) -> KeyPair {
    var publicText = [CChar](repeating: 0, count: Z85.keyCharacters + 1)
    var secretText = publicText
    guard zmq_curve_keypair(&publicText, &secretText) == 0,
      let publicKey = PublicKey(string(publicText)), let secret = Z85.key(string(secretText))
    else { throw zeroMQError("make a key pair", at: "ZeroMQ") }
    return KeyPair(publicKey: publicKey, secret: secret)
  }

  private init(publicKey: PublicKey, secret: [UInt8]) {
    (self.publicKey, self.secret) = (publicKey, secret)
  }

  /// - Returns: nil if this is not a key in Z85
  package init?(secret text: String) {
    var publicText = [CChar](repeating: 0, count: Z85.keyCharacters + 1)
    guard let secret = Z85.key(text), zmq_curve_public(&publicText, text) == 0,
      let publicKey = PublicKey(string(publicText))
    else { return nil }
    self.init(publicKey: publicKey, secret: secret)
  }

  /// In Z85; for nobody else.
  package var secretText: String { Z85.text(secret) }

  /// The public half: a log must not give the other away.
  package var description: String { publicKey.description }
}

/// A key whose owner has shown that the secret half is there too, and its name in the allow-list.
package struct KnownKey: Hashable, Sendable {
  package let key: PublicKey
  package let name: String

  package init(_ key: PublicKey, name: String) { (self.key, self.name) = (key, name) }

  /// As it travels from the one who looked at the key to the messages of its owner.
  var userID: String { key.text + name }

  init?(userID: String) {
    guard let key = PublicKey(String(userID.prefix(Z85.keyCharacters))) else { return nil }
    self.init(key, name: String(userID.dropFirst(Z85.keyCharacters)))
  }
}

/// Keys as text, ZeroMQ's RFC 32.
private enum Z85 {
  static let keyBytes = 32
  static let keyCharacters = 40

  static func text(_ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: keyCharacters + 1)
    zmq_z85_encode(&text, bytes, bytes.count)
    return string(text)
  }

  /// The 32 bytes, if `text` is just how they are written.
  static func key(_ text: String) -> [UInt8]? {
    guard text.utf8.count == keyCharacters, text.utf8.allSatisfy({ (33...126).contains($0) }) else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: keyBytes)
    guard zmq_z85_decode(&bytes, text) != nil, Self.text(bytes) == text else { return nil }
    return bytes
  }
}

private func string(_ characters: [CChar]) -> String {
  characters.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}
