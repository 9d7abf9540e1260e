import Glibc

/// One key in a file, as CZMQ and pyzmq write certificates:
/// ```
/// # a comment
/// metadata
///     fingerprint = "17d2f0b6c7a1e0aa"
/// curve
///     public-key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
///     secret-key = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
/// ```
/// A private key's file has both halves and is readable by its owner alone; a public key's has the one.
/// The fingerprint is there to find a damaged file, and may be left out.
package struct KeyFile: Sendable {
  package let publicKey: PublicKey
  /// Nil in a public key's file.
  package let pair: KeyPair?

  static let largest = 4096

  /// Reads what a file holds; nothing in it is believed.
  ///
  /// - Parameter path: for words
  /// - Throws: `KeyError.damaged` with the line
  package init(parsing bytes: [UInt8], path: String) throws(KeyError) {
    func damaged(_ detail: String) -> KeyError { KeyError(.damaged, path: path, detail: detail) }
    guard bytes.count <= Self.largest else {
      throw damaged("is no key: it has \(bytes.count) bytes, a key's file at most \(Self.largest)")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw damaged("is no key: it is not text")
    }
    let values = try Self.values(of: text, path: path)
    guard let publicText = values["curve/public-key"] else {
      throw damaged("is no key: it has no public-key under curve")
    }
    guard let publicKey = PublicKey(publicText) else {
      throw damaged("is damaged: its public-key is not 40 characters of Z85")
    }
    if let fingerprint = values["metadata/fingerprint"], fingerprint != publicKey.fingerprint {
      throw damaged(
        "is damaged: its public-key does not have the fingerprint that the file names "
          + "(\(publicKey.fingerprint) instead); copy the file again")
    }
    self.publicKey = publicKey
    pair = try values["curve/secret-key"].map { (secret) throws(KeyError) in
      guard let pair = KeyPair(secret: secret) else {
        throw damaged("is damaged: its secret-key is not 40 characters of Z85")
      }
      guard pair.publicKey == publicKey else {
        throw damaged("is damaged: its secret-key and its public-key do not belong together")
      }
      return pair
    }
  }

  /// What stands in the file, by section and name.
  private static func values(of text: String, path: String) throws(KeyError) -> [String: String] {
    var values: [String: String] = [:]
    var section = ""
    for (number, line) in text.utf8.split(separator: 10, omittingEmptySubsequences: false)
      .enumerated()
    {
      func damaged(_ detail: String) -> KeyError {
        KeyError(.damaged, path: path, detail: "is damaged: line \(number + 1) \(detail)")
      }
      let words = line.trimmed
      if words.isEmpty || words.first == UInt8(ascii: "#") { continue }
      if line.first.map(Self.isBlank) != true {
        section = String(decoding: words, as: UTF8.self)
        guard ["metadata", "curve"].contains(section) else {
          throw damaged("is neither metadata nor curve")
        }
        continue
      }
      guard !section.isEmpty, let equals = words.firstIndex(of: UInt8(ascii: "=")) else {
        throw damaged("is not NAME = \"VALUE\" under metadata or curve")
      }
      let quoted = words[words.index(after: equals)...].trimmed
      guard quoted.count >= 2, quoted.first == UInt8(ascii: "\""), quoted.last == quoted.first
      else {
        throw damaged("has no value in quotes")
      }
      let name = section + "/" + String(decoding: words[..<equals].trimmed, as: UTF8.self)
      let value = String(decoding: quoted.dropFirst().dropLast(), as: UTF8.self)
      guard values.updateValue(value, forKey: name) == nil else {
        throw damaged("repeats what is there already")
      }
    }
    return values
  }

  fileprivate static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 }

  // MARK: Files

  /// A public key.
  ///
  /// - Throws: `KeyError`, also for a private one: it has no business there
  package static func readPublic(_ path: String) throws(KeyError) -> PublicKey {
    let file = try KeyFile(parsing: contents(of: path, isSecret: false), path: path)
    guard file.pair == nil else {
      throw KeyError(
        .damaged, path: path,
        detail: "holds a private key where a public one belongs: make new keys, this one is no "
          + "secret any more")
    }
    return file.publicKey
  }

  /// A private key and its public half.
  ///
  /// - Throws: `KeyError`, also if others than the owner may read the file
  package static func readSecret(_ path: String) throws(KeyError) -> KeyPair {
    let file = try KeyFile(parsing: contents(of: path, isSecret: true), path: path)
    guard let pair = file.pair else {
      throw KeyError(
        .damaged, path: path, detail: "holds no secret-key: is it the public key's file?")
    }
    return pair
  }

  private static func contents(of path: String, isSecret: Bool) throws(KeyError) -> [UInt8] {
    // Not waiting: a pipe in the file's place must not hold us.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw KeyError.system(path, errno) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw KeyError.system(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw KeyError(.damaged, path: path, detail: "is no key: it is not a file")
    }
    guard !isSecret || status.st_mode & 0o077 == 0 else {
      let mode = String(status.st_mode & 0o777, radix: 8)
      throw KeyError(
        .tooOpen, path: path,
        detail: "is a private key that others may read (mode \(mode)): chmod 600 \(path), and make "
          + "new keys if somebody has")
    }
    var bytes = [UInt8](repeating: 0, count: largest + 1)
    var count = 0
    while count < bytes.count {
      let more = bytes.withUnsafeMutableBytes {
        read(file, $0.baseAddress! + count, $0.count - count)
      }
      if more < 0 && errno == EINTR { continue }
      guard more >= 0 else { throw KeyError.system(path, errno) }
      if more == 0 { break }
      count += more
    }
    return Array(bytes.prefix(count))
  }

  /// Writes a key to a new file, durably; never over another.
  ///
  /// - Throws: `KeyError.exists`, or what the system says
  static func write(_ pair: KeyPair, secret isSecret: Bool, to path: String) throws(KeyError) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, isSecret ? 0o600 : 0o644)
    guard file >= 0 else { throw KeyError.system(path, errno) }
    defer { close(file) }
    let bytes = Array(text(pair, secret: isSecret).utf8)
    guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
      let reason = errno
      unlink(path)
      throw KeyError.system(path, reason)
    }
  }

  package static func text(_ pair: KeyPair, secret isSecret: Bool) -> String {
    let words =
      isSecret
      ? "A private key of Tutti: it stays where it is, readable by its owner alone."
      : "A public key of Tutti: everybody may know it."
    return """
      # \(words)
      metadata
          fingerprint = "\(pair.publicKey.fingerprint)"
      curve
          public-key = "\(pair.publicKey.text)"
      \(isSecret ? "    secret-key = \"\(pair.secretText)\"\n" : "")
      """
  }
}

extension BidirectionalCollection where Element == UInt8 {
  /// Without blanks at its ends.
  fileprivate var trimmed: SubSequence {
    guard let first = firstIndex(where: { !KeyFile.isBlank($0) }),
      let last = lastIndex(where: { !KeyFile.isBlank($0) })
    else { return self[endIndex...] }
    return self[first...last]
  }
}

/// A key's file or folder that cannot be used.
package struct KeyError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    case missing, unreadable, damaged, tooOpen, exists
    /// The system cannot do it now: a full disk, no more open files.
    case unavailable
  }

  package let code: Code
  package let path: String
  package let detail: String

  package init(_ code: Code, path: String, detail: String) {
    (self.code, self.path, self.detail) = (code, path, detail)
  }

  static func system(_ path: String, _ number: Int32) -> KeyError {
    switch number {
    case ENOENT: KeyError(.missing, path: path, detail: "is missing")
    case EEXIST: KeyError(.exists, path: path, detail: "is there already")
    default:
      KeyError(
        [EACCES, EPERM, ELOOP, ENOTDIR, ENAMETOOLONG].contains(number) ? .unreadable : .unavailable,
        path: path, detail: "cannot be used: \(String(cString: strerror(number)))")
    }
  }

  package var description: String { "\(path) \(detail)" }
}
