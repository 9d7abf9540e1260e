import Foundation

/// One constant by which features were computed, as its name and its value: ("hopLength", "256").
package struct FeatureSetting: Codable, Sendable, Equatable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

extension [FeatureSetting] {
  /// SHA-256 of the names and values in their order: what stores and checkpoints carry.
  package var digest: String {
    var digest = Digest("tutti feature settings 1")
    for setting in self {
      digest.add(setting.name)
      digest.add(setting.value)
    }
    return digest.hexadecimal()
  }

  /// The first difference between these settings and others, as a sentence; nil if there is none.
  package func difference(from others: [FeatureSetting], here: String, there: String) -> String? {
    for setting in self {
      guard let other = others.first(where: { $0.name == setting.name }) else {
        return "\(setting.name) is \(setting.value) in \(here) and not set in \(there)"
      }
      if other.value != setting.value {
        return "\(setting.name) is \(setting.value) in \(here) and \(other.value) in \(there)"
      }
    }
    if let extra = others.first(where: { other in !contains { $0.name == other.name } }) {
      return "\(extra.name) is not set in \(here) and \(extra.value) in \(there)"
    }
    return self == others ? nil : "the settings of \(here) and \(there) come in different orders"
  }
}
