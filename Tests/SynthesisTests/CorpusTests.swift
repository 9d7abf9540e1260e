import Audio
import Foundation
import Synchronization
import Synthesis
import Testing

@Suite("Corpus on disk")
struct CorpusTests {
  private let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("tutti-synthesis-\(UUID().uuidString)")

  private func make(clips: Int = CorpusPlan.minimumClips, seed: UInt64 = 7) throws {
    try synthesize(into: folder.path, clips: clips, seed: seed, threads: 2) { _ in }
  }

  private func code(_ body: () throws -> Void) -> SynthesisError.Code? {
    #expect(throws: SynthesisError.self, performing: body)?.code
  }

  @Test("clips and tags.csv are what the plan says, and a remnant of another corpus is cleared")
  func corpus() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clips = folder.appendingPathComponent("clips")
    try FileManager.default.createDirectory(at: clips, withIntermediateDirectories: true)
    for name in ["synthesis.txt", "tags.csv", "clips/0999.flac", "clips/0003.flac.partial"] {
      try Data().write(to: folder.appendingPathComponent(name))
    }
    try Data([1]).write(to: clips.appendingPathComponent("mine.flac"))

    let seen = Mutex<[Int]>([])
    try synthesize(into: folder.path, clips: 60, seed: 7, threads: 2) { count in
      seen.withLock { $0.append(count) }
    }
    #expect(seen.withLock { $0.sorted() } == Array(1...60))

    let plan = try CorpusPlan(clips: 60, seed: 7)
    let tags = try String(contentsOf: folder.appendingPathComponent("tags.csv"), encoding: .utf8)
    #expect(tags == plan.tagsFile)
    let names = try FileManager.default.contentsOfDirectory(atPath: clips.path).sorted()
    #expect(names == plan.clips.map { "\($0.id).flac" } + ["mine.flac"])
    for clip in [plan.clips[0], plan.clips[31], plan.clips[59]] {
      let expected = try SoundFileWriter.flac(
        ClipRenderer.render(clip, seed: 7), sampleRateHz: ClipRenderer.sampleRateHz)
      #expect(try Data(contentsOf: folder.appendingPathComponent(clip.path)) == Data(expected))
    }
  }

  @Test("tags.csv has one row a clip, with its columns in order")
  func tagsFile() throws {
    let plan = try CorpusPlan(clips: 60, seed: 7)
    let lines = plan.tagsFile.split(separator: "\n")
    #expect(lines.count == 61)
    #expect(lines[0] == "clip_id,path,split,work,tags")
    let clip = plan.clips[0]
    #expect(
      lines[1] == "0001,clips/0001.flac,\(clip.split.rawValue),\"\(clip.tune.title)\","
        + clip.tags.joined(separator: "|"))
  }

  @Test("a folder with somebody else's files is refused and left alone")
  func occupied() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data([1]).write(to: folder.appendingPathComponent("thesis.txt"))
    #expect(code { try make() } == .occupied)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["thesis.txt"])
  }

  @Test("a folder in which another corpus is being made is refused")
  func busy() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let marker = open(folder.appendingPathComponent("synthesis.txt").path, O_RDWR | O_CREAT, 0o644)
    defer { close(marker) }
    #expect(flock(marker, LOCK_EX | LOCK_NB) == 0)
    #expect(code { try make() } == .busy)
  }

  @Test("a file in the place of the folder, or above it, is refused with the reason")
  func notAFolder() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data([1]).write(to: folder)
    for path in [folder.path, "\(folder.path)/inner/most"] {
      let error = #expect(throws: SynthesisError.self) {
        try synthesize(into: path, clips: 60, seed: 7, threads: 1) { _ in }
      }
      #expect(error?.code == .notWritable)
      #expect(error?.description.contains("Not a directory") == true)
    }
  }

  @Test("too few clips are refused before anything is written")
  func tooFew() {
    #expect(code { try make(clips: 3) } == .tooFewClips)
    #expect(!FileManager.default.fileExists(atPath: folder.path))
  }

  @Test("a full disk ends the work with its name, and without tags.csv")
  func diskFull() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // /dev/full takes no byte: the marker leads there.
    try FileManager.default.createSymbolicLink(
      atPath: folder.appendingPathComponent("synthesis.txt").path,
      withDestinationPath: "/dev/full")
    let error = #expect(throws: SynthesisError.self) { try make() }
    #expect(error?.code == .diskFull)
    #expect(error?.description.contains("the disk is full") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["synthesis.txt"])
  }
}
