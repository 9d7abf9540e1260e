import Foundation

/// Memory is counted before it is taken: a machine that does not have it would end the process.
package enum MachineMemory {
  /// Bytes that this machine has.
  package static var bytes: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// - Throws: `TrainingError` if `bytes` are more than there are `here`
  static func require(
    _ bytes: Int, of here: Int = bytes, for what: String, advice: String
  ) throws(TrainingError) {
    guard bytes > here else { return }
    throw TrainingError(
      .badInput,
      "\(what) needs \(gigabytes(bytes)) of memory and this machine has \(gigabytes(here)): \(advice)"
    )
  }

  private static func gigabytes(_ bytes: Int) -> String {
    String(format: "%.1f GB", Double(bytes) / 1e9)
  }
}
