/// Writing a configuration out in full, and comparing two.

import CSodium
import Foundation

extension Configuration {
  /// The resolved configuration: every setting the network has, explicit, commented, in the order
  /// of the table. Reading it gives this configuration again.
  package var yaml: String {
    var lines: [String] = []
    var section: [Substring] = []
    for setting in Setting.all(of: model.network) {
      let words = setting.key.split(separator: ".")
      for depth in 0..<words.count - 1 where section.prefix(depth + 1) != words.prefix(depth + 1) {
        if depth == 0 && !lines.isEmpty { lines.append("") }
        lines.append(Self.indent(depth) + words[depth] + ":")
      }
      section = words.dropLast()
      let indent = Self.indent(words.count - 1)
      lines.append(indent + "# \(setting.summary)")
      lines.append(indent + "#   \(setting.allowed)")
      lines.append(indent + "\(words[words.count - 1]): \(setting.text(self))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

  /// A setting that differs between two configurations.
  package struct Difference: Equatable, Sendable, CustomStringConvertible {
    package let key: String
    package let old: String
    package let new: String
    /// Whether a resumed run may take the new value.
    package let mayChange: Bool

    package var description: String { "\(key) was \(old) and is now \(new)" }
  }

  /// What this configuration changes of `old`, in the order of the table.
  package func differences(from old: Configuration) -> [Difference] {
    Setting.all.compactMap { setting in
      let (before, after) = (setting.text(old), setting.text(self))
      guard before != after else { return nil }
      return Difference(
        key: setting.key, old: before, new: after,
        mayChange: mayChange(setting) && old.mayChange(setting))
    }
  }

  /// Whether `setting` may change on resuming. A cosine over the whole run ties the learning rate
  /// of every step to the length of the run.
  private func mayChange(_ setting: Setting) -> Bool {
    let lengthMatters = optimizer.schedule == .cosine && optimizer.decaySteps == nil
    let saysLength = ["training.epochs", "training.maxSteps"].contains(setting.key)
    return setting.mayChange && !(lengthMatters && saysLength)
  }

  /// SHA-256 over all that the run's result depends on, in hexadecimal: equal for two
  /// configurations whose differences may all change on resuming.
  package var identity: String {
    let text = Setting.all(of: model.network).filter { !mayChange($0) }
      .map { "\($0.key)=\($0.text(self))\n" }.joined()
    var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
    let bytes = Array(text.utf8)
    crypto_hash_sha256(&digest, bytes, UInt64(bytes.count))
    return digest.map { String(format: "%02x", $0) }.joined()
  }
}
