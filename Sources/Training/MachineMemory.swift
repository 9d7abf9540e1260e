import Foundation

/// Memory is counted before it is taken: a machine that does not have it would end the process.
enum MachineMemory {
  /// - Throws: `TrainingError` if `bytes` are more than this machine has
  static func require(
    _ bytes: Int, for what: String, advice: String
  ) throws(TrainingError) {
    let here = Int(clamping: ProcessInfo.processInfo.physicalMemory)
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
