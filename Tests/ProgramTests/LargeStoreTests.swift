import Foundation
import Testing

/// The size of the Million Song Dataset, in a process of its own, so that its memory is its own.
@Suite("A store of 213,454 clips")
struct LargeStoreTests {
  @Test("opens and is scheduled in little memory, each clip once an epoch")
  func memory() throws {
    let ending = try Program.run("bench", ["store", "--json"])
    #expect(ending.code == 0, "\(ending.errors)")
    let result = try #require(
      try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any])
    #expect(result["clips"] as? Int == 213_454 && result["trainClips"] as? Int == 201_680)
    #expect(result["eachClipOnce"] as? Bool == true)
    #expect(result["clipsOfLane"] as? [Int] == [25_210, 25_210])
    #expect(result["clipsOfBatch"] as? [Int] == [3, 4])
    #expect(result["stepsPerEpoch"] as? Int == 6303)
    for key in ["peakMemoryBytes", "peakMemoryBytesAfterReading"] {
      let bytes = try #require(result[key] as? Int)
      #expect(bytes > 1_000_000 && bytes < 150_000_000, "\(key) is \(bytes)")
    }
    for key in ["openSeconds", "scheduleSeconds", "decodeGigabytesPerSecond", "clipsReadPerSecond"]
    {
      #expect((result[key] as? Double).map { $0 > 0 } == true, "\(key)")
    }
  }

  @Test("numbers that make no store are refused", arguments: ["--clips", "--lanes"])
  func refused(option: String) throws {
    let ending = try Program.run("bench", ["store", option, "0"])
    #expect(ending.code == 64 && ending.errors.contains("must be from 1"))
  }
}
