import Foundation
import Testing
import Training

@Suite("How much memory there is")
struct MemoryBudgetTests {
  @Test(
    "is said in powers of ten",
    arguments: [
      ("6GB", 6_000_000_000), ("1.5gb", 1_500_000_000), ("800MB", 800_000_000), ("12", nil),
      ("GB", nil), ("-1GB", nil), ("0MB", nil), ("nanGB", nil), ("1e30GB", nil), ("6 TB", nil),
      ("200KB", 200_000), ("0.0000001MB", nil), ("0.000001MB", 1),
    ])
  func options(text: String, bytes: Int?) { #expect(MemoryBudget(option: text)?.bytes == bytes) }

  @Test("is what the control groups of a process leave it, both versions'")
  func controlGroups() throws {
    let folder = try TemporaryFolder()
    func write(_ path: String, _ text: String) throws {
      let file = URL(fileURLWithPath: folder / path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    try write("memory.max", "max\n")
    try write("job/memory.max", "5000\n")
    try write("job/step/memory.max", "7000\n")
    try write("memory/memory.limit_in_bytes", "9000\n")
    func limits(_ groups: String) -> [Int] {
      MemoryBudget.limits(ofGroups: groups, root: folder / "")
    }
    #expect(limits("0::/job/step\n") == [7000, 5000])
    #expect(limits("4:memory:/as/the/host/sees/it\n3:cpu:/\n0::/\n") == [9000])
    #expect(limits("0::/\n") == [])
    #expect(limits("nonsense\n") == [])
  }

  @Test("is this machine's at most")
  func machine() {
    #expect(MemoryBudget.machine.bytes > 0)
    #expect(UInt64(MemoryBudget.machine.bytes) <= ProcessInfo.processInfo.physicalMemory)
  }
}
