import ArgumentParser
import Dataset
import Foundation
import Kernels
import Training

/// What a data set of the Million Song Dataset's size costs before the first step, and what reading
/// a clip costs: time and memory of opening, partitioning and scheduling, conversion beside a copy.
struct StoreBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Measure opening a large store, scheduling an epoch, and reading clips.",
    discussion: """
      Without --data it makes a store whose block files are holes, in a temporary folder that it \
      removes, and measures it in a process of its own, so that the memory is that of opening alone.
      """)

  @Option(help: "A store to measure; by default a sparse one is made.")
  var data: String?
  @Option(help: "Clips of the sparse store to train on.")
  var clips = 201_680
  @Option(help: "Clips of the sparse store to validate with.")
  var validation = 11_774
  @Option(
    help: ArgumentHelp(
      "Make the sparse store in this new folder and leave it there, instead of measuring.",
      valueName: "folder"))
  var keep: String?
  @Option(help: "Lanes of the schedule.")
  var lanes = 8
  @Option(help: "Clips of a lane at a step.")
  var clipsPerLane = 4
  @Flag(help: "One JSON object instead of lines.")
  var json = false

  func validate() throws {
    guard keep == nil || data == nil && !json else {
      throw ValidationError("--keep makes a store and measures none: not with --data or --json")
    }
    let some = 1...100_000_000
    guard some.contains(clips), some.contains(validation), (1...65_536).contains(lanes),
      (1...65_536).contains(clipsPerLane)
    else {
      throw ValidationError(
        "--clips and --validation must be from 1 to 100000000, --lanes and --clips-per-lane to 65536"
      )
    }
  }

  func run() throws {
    if let keep {
      Program.run { try make(in: URL(fileURLWithPath: keep)) }
    } else if let data {
      try measure(URL(fileURLWithPath: data))
    } else {
      try measureSparse()
    }
  }

  private func make(in folder: URL) throws {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    } catch {
      throw TrainingError(
        .badInput, "cannot make the folder \(folder.path): give --keep one that does not exist yet")
    }
    let store = try Store.sparse(in: folder, clips: [.train: clips, .validation: validation])
    print("\(folder.path): \(store.clipCount) clips of silence, fingerprint \(store.fingerprint)")
  }

  /// Makes a store, and has another process measure it.
  private func measureSparse() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("tutti-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    _ = try Store.sparse(in: folder, clips: [.train: clips, .validation: validation])
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    child.arguments =
      [
        "store", "--data", folder.path, "--lanes", "\(lanes)", "--clips-per-lane",
        "\(clipsPerLane)",
      ] + (json ? ["--json"] : [])
    try child.run()
    child.waitUntilExit()
    guard child.terminationStatus == 0 else { throw ExitCode(child.terminationStatus) }
  }

  private func measure(_ folder: URL) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let store = try Store(folder)
    let opened = clock.now
    let epoch = EpochCheck(store, lanes: lanes, clipsPerLane: clipsPerLane)
    let scheduled = clock.now
    let memory = try peakMemoryBytes()
    let read = try ReadingRates(store)
    let result = Result(
      clips: store.clipCount, trainClips: store.clipCount(in: .train), lanes: lanes,
      clipsPerLane: clipsPerLane, stepsPerEpoch: epoch.steps,
      eachClipOnce: epoch.eachClipOnce, clipsOfLane: epoch.partitions, clipsOfBatch: epoch.batches,
      openSeconds: (opened - start) / .seconds(1),
      scheduleSeconds: (scheduled - opened) / .seconds(1), peakMemoryBytes: memory,
      peakMemoryBytesAfterReading: try peakMemoryBytes(), decodeGigabytesPerSecond: read.decode,
      copyGigabytesPerSecond: read.copy, clipsReadPerSecond: read.clips)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } else {
      print(result.text)
    }
    guard result.eachClipOnce else { throw ExitCode(70) }
  }

  private struct Result: Encodable {
    let clips, trainClips, lanes, clipsPerLane, stepsPerEpoch: Int
    let eachClipOnce: Bool
    /// The fewest and the most.
    let clipsOfLane, clipsOfBatch: [Int]
    let openSeconds, scheduleSeconds: Double
    /// The most memory that the process had at once: after the schedule, and after reading too.
    let peakMemoryBytes, peakMemoryBytesAfterReading: Int
    /// Gigabytes of single-precision values made in a second.
    let decodeGigabytesPerSecond, copyGigabytesPerSecond: Double
    let clipsReadPerSecond: Double

    var text: String {
      String(
        format: """
          %d clips, %d to train on: opened in %.3f s; partitioned and scheduled in %.3f s, %.0f MB at most
          %d lanes of %d to %d clips, %d steps of %d to %d clips a lane, each clip %@ an epoch
          half to single precision: %.1f GB/s, a plain copy %.1f GB/s; %.0f clips/s from the \
          system's cache, checked and converted; %.0f MB at most
          """,
        clips, trainClips, openSeconds, scheduleSeconds, Double(peakMemoryBytes) / 1e6, lanes,
        clipsOfLane[0], clipsOfLane[1], stepsPerEpoch, clipsOfBatch[0], clipsOfBatch[1],
        (eachClipOnce ? "once" : "NOT ONCE") as NSString, decodeGigabytesPerSecond,
        copyGigabytesPerSecond, clipsReadPerSecond, Double(peakMemoryBytesAfterReading) / 1e6)
    }
  }
}

/// Partitions a store's training clips and goes through one epoch, all lanes, as training would.
private struct EpochCheck {
  let steps: Int
  let eachClipOnce: Bool
  /// The fewest and the most clips of a lane, and of a lane at a step.
  let partitions, batches: [Int]

  init(_ store: Store, lanes: Int, clipsPerLane: Int) {
    let clips = store.range(of: .train)
    let schedule = LaneSchedule(clips: clips, lanes: lanes, clipsPerLane: clipsPerLane) {
      RandomStream(seed: 0, purpose: .shuffle, time: $0, lane: $1).word($2)
    }
    var visited = [Bool](repeating: false, count: clips.count)
    var visits = 0
    var (fewest, most) = (Int.max, 0)
    for step in 0..<schedule.stepsPerEpoch {
      for lane in 0..<lanes {
        let batch = schedule.clips(epoch: 0, step: step, lane: lane)
        for clip in batch { visited[clip - clips.lowerBound] = true }
        visits += batch.count
        (fewest, most) = (min(fewest, batch.count), max(most, batch.count))
      }
    }
    let sizes = (0..<lanes).map { schedule.partition(lane: $0).count }
    steps = schedule.stepsPerEpoch
    eachClipOnce = visits == clips.count && visited.allSatisfy { $0 }
    partitions = [sizes.min() ?? 0, sizes.max() ?? 0]
    batches = [fewest, most]
  }
}

/// How fast halves become singles, in memory, beside a copy of the same bytes; and whole clips.
private struct ReadingRates {
  let decode, copy, clips: Double

  init(_ store: Store) throws {
    let count = store.bands * store.frames
    // Sound is no row of zeros: finite halves of every kind.
    let halves = (0..<count).map { UInt16(truncatingIfNeeded: $0 &* 40_503) & 0xBBFF }
    var values = [Float](repeating: 0, count: count)
    let bytes = Double(count * MemoryLayout<Float>.stride)
    decode =
      bytes
      / Self.fastest {
        halves.withUnsafeBufferPointer { halves in
          values.withUnsafeMutableBufferPointer { HalfPrecision.decode(halves, into: $0) }
        }
      } / 1e9
    let source = values
    copy =
      bytes
      / Self.fastest {
        source.withUnsafeBufferPointer { source in
          values.withUnsafeMutableBufferPointer { _ = $0.update(fromContentsOf: source) }
        }
      } / 1e9
    let read = min(64, store.clipCount)
    func readAll() throws {
      try values.withUnsafeMutableBufferPointer { values in
        for clip in 0..<read { try store.copyFeatures(ofClip: clip, into: values) }
      }
    }
    // From the system's cache: the disk's speed is another question.
    let clock = ContinuousClock()
    let times = try (0..<10).map { _ in try clock.measure(readAll) / .seconds(1) }
    clips = Double(read) / (times.min() ?? .nan)
  }

  /// Seconds of the fastest of some runs: what the machine can do when nobody disturbs.
  private static func fastest(_ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return (0..<50).map { _ in clock.measure(body) / .seconds(1) }.min() ?? .nan
  }
}
