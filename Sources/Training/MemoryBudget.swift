import Foundation

/// Memory is counted before it is taken: a machine that does not have it would end the process.
package struct MemoryBudget: Sendable {
  package let bytes: Int
  /// Whose it is, as in "this machine has 8.0 GB".
  let owner: String

  package init(bytes: Int, owner: String) {
    self.bytes = bytes
    self.owner = owner
  }

  /// What this process may use: the machine's memory, or the share that its control group (a
  /// container, a service, a batch job) leaves it.
  package static let machine: MemoryBudget = {
    let physical = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
    let limit = limits(ofGroups: groups, root: "/sys/fs/cgroup").min() ?? .max
    return limit < physical
      ? MemoryBudget(bytes: limit, owner: "this container")
      : MemoryBudget(bytes: physical, owner: "this machine")
  }()

  /// - Parameter text: such as 6GB, 1.5GB or 800MB (powers of ten)
  /// - Returns: nil if it says no amount of memory
  package init?(option text: String) {
    guard let amount = ByteAmount(text) else { return nil }
    self.init(bytes: amount.bytes, owner: "--memory")
  }

  /// - Throws: `TrainingError` if `bytes` are more than there are
  package func require(_ bytes: Int, for what: String, advice: String) throws(TrainingError) {
    guard bytes > self.bytes else { return }
    throw TrainingError(
      .badInput,
      "\(what) needs \(Self.text(bytes)) of memory and \(owner) has \(Self.text(self.bytes)): "
        + advice
    )
  }

  static func text(_ bytes: Int) -> String {
    bytes < 1_000_000_000
      ? "\((bytes + 999_999) / 1_000_000) MB" : String(format: "%.1f GB", Double(bytes) / 1e9)
  }

  /// The limits of the control groups that a process is in, and of those around them.
  ///
  /// - Parameter groups: lines of /proc/self/cgroup, of the second version or the first
  package static func limits(ofGroups groups: String, root: String) -> [Int] {
    groups.split(separator: "\n").flatMap { line -> [Int] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      let (folder, file): (String, String)
      switch fields[1] {
      case "": (folder, file) = (root, "memory.max")
      case "memory": (folder, file) = (root + "/memory", "memory.limit_in_bytes")
      default: return []
      }
      // Within a container the path may be one that only its host sees; its root is then the limit's.
      var path = fields[2].split(separator: "/")
      var limits: [Int] = []
      while true {
        let name = ([folder] + path.map(String.init) + [file]).joined(separator: "/")
        let text = (try? String(contentsOfFile: name, encoding: .utf8)) ?? ""
        if let bytes = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) {
          limits.append(bytes)
        }
        if path.isEmpty { return limits }
        path.removeLast()
      }
    }
  }
}
