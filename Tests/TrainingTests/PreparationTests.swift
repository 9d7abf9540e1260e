import Dataset
import Foundation
import Synchronization
import Testing
import Training

/// What a preparation does when sound files come, go and change.
@Suite struct PreparationTests {
  private let folder: TemporaryFolder
  private let manifest: Manifest
  private var store: URL { URL(fileURLWithPath: folder / "store") }

  init() throws {
    folder = try TemporaryFolder()
    for number in 0..<8 { try Self.writeSound(folder / "\(number).wav", step: 300 * (number + 1)) }
    let records = (0..<8).map { number in
      ClipRecord(
        id: "\(number)", path: "\(number).wav", split: number < 6 ? .train : .validation,
        tags: ["tag"], source: "list.csv", line: number + 2)
    }
    manifest = try Manifest(records: records, source: URL(fileURLWithPath: folder / "list.csv"))
  }

  /// In blocks of two clips, on one thread.
  private func preparation(_ store: URL? = nil) -> Preparation {
    var preparation = Preparation(
      manifest: manifest, tags: manifest.tags, audio: URL(fileURLWithPath: folder.path),
      store: store ?? self.store)
    preparation.clipsPerBlock = 2
    preparation.threads = 1
    return preparation
  }

  /// Asks to stop once so many clips are done.
  private func interrupt(after clips: Int) throws {
    var preparation = preparation()
    let done = Atomic(0)
    preparation.interruption = { done.load(ordering: .relaxed) >= clips ? "the test" : nil }
    let error = #expect(throws: TrainingError.self) {
      _ = try preparation.run { _, count, _ in done.store(count, ordering: .relaxed) }
    }
    #expect(error?.status == .interrupted)
    #expect(error?.description.contains("stopped by the test; \(clips / 2 * 2) of 8") == true)
  }

  /// Runs to the end; returns what was noted on the way.
  private func finish() throws -> String {
    var preparation = preparation()
    let notes = Mutex("")
    preparation.note = { text in notes.withLock { $0 += text } }
    let outcome = try preparation.run { _, _, _ in }
    try #require(outcome.store).verify()
    return notes.withLock { $0 }
  }

  @Test("goes on where it was stopped", arguments: [2, 5, 7])
  func goesOn(_ clips: Int) throws {
    try interrupt(after: clips)
    #expect(try finish() == "going on: \(clips / 2 * 2) of 8 clips are done")
  }

  @Test("a sound file that was replaced in the meantime is read again, and its block made again")
  func replaced() throws {
    try interrupt(after: 6)
    try Self.writeSound(folder / "3.wav", step: 4_321, samples: 900)
    #expect(try finish().hasPrefix("going on: 4 of 8 clips are done; 1 block that seemed so"))
    let anew = URL(fileURLWithPath: folder / "anew")
    let outcome = try preparation(anew).run { _, _, _ in }
    #expect(try Store(store).fingerprint == outcome.store?.fingerprint)
  }

  @Test("a broken file that was mended in the meantime leaves the quarantine")
  func mended() throws {
    try Data("no sound".utf8).write(to: URL(fileURLWithPath: folder / "1.wav"))
    try interrupt(after: 4)
    try Self.writeSound(folder / "1.wav", step: 77)
    _ = try finish()
    #expect(try Store(store).clipCount == 8)
  }

  @Test("a file that goes away while others are read stops the preparation, not the clip")
  func vanished() throws {
    let path = folder / "5.wav"
    let error = #expect(throws: TrainingError.self) {
      _ = try preparation().run { _, done, _ in if done == 4 { unlink(path) } }
    }
    #expect(error?.status == .unavailable)
    #expect(error?.description.contains("is its disk still mounted?") == true)
    #expect(error?.description.contains("4 of 8 clips are done") == true)
    try Self.writeSound(path, step: 1_800)
    #expect(try finish() == "going on: 4 of 8 clips are done")
  }

  @Test("once finished it changes nothing, and a preparation that would is refused")
  func finished() throws {
    try Data("no sound".utf8).write(to: URL(fileURLWithPath: folder / "1.wav"))
    unlink(folder / "2.wav")
    var preparation = preparation()
    preparation.strictness = .lenient
    let notes = Mutex("")
    preparation.note = { text in notes.withLock { $0 += text } }
    let first = try preparation.run { _, _, _ in }
    #expect(notes.withLock { $0 } == "")
    let again = try preparation.run { _, _, _ in }
    #expect(notes.withLock { $0 }.hasPrefix("already prepared: the store in \(store.path)"))
    #expect(again.store?.fingerprint == first.store?.fingerprint)
    #expect(again.quarantineSummary == first.quarantineSummary && again.clips == 8)

    var other = preparation
    other.settings.durationSeconds = 1
    for (preparation, words) in [(other, "durationSeconds"), (preparation, "is there now")] {
      if words == "is there now" { try Self.writeSound(folder / "2.wav", step: 9, age: 3600) }
      let error = #expect(throws: DatasetError.self) { _ = try preparation.run { _, _, _ in } }
      #expect(error?.code == .finished && error?.description.contains(words) == true)
    }
  }

  @Test("quarantined clips are counted by their kind; strictly, the first one ends it")
  func strictness() throws {
    try Data("no sound".utf8).write(to: URL(fileURLWithPath: folder / "1.wav"))
    try Self.writeSound(folder / "2.wav", step: 0)
    unlink(folder / "7.wav")
    #expect(throws: TrainingError.self) { _ = try preparation().run { _, _, _ in } }
    var lenient = preparation()
    lenient.strictness = .lenient
    let outcome = try lenient.run { _, _, _ in }
    #expect(
      outcome.quarantineSummary
        == "3 clips could not be used (1 missing, 1 silent, 1 undecodable)")
    #expect(outcome.store?.clipCount == 5)
    try Self.writeSound(folder / "7.wav", step: 5)
    var strict = preparation(URL(fileURLWithPath: folder / "strict"))
    strict.strictness = .strict
    let error = #expect(throws: TrainingError.self) { _ = try strict.run { _, _, _ in } }
    #expect(error?.status == .badInput)
    #expect(error?.description.contains("list.csv, line 3") == true)
  }

  /// A WAV file, 12,000 Hz, one channel: a saw tooth that rises by `step` a sample.
  /// - Parameter age: seconds since it was modified
  private static func writeSound(
    _ path: String, step: Int, samples: Int = 1_000, age: Double = 0
  ) throws {
    func bytes(_ value: Int, _ count: Int) -> Data {
      Data((0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
    }
    var wave = Data("RIFF".utf8) + bytes(36 + 2 * samples, 4) + Data("WAVEfmt ".utf8)
    for (value, count) in [(16, 4), (1, 2), (1, 2), (12_000, 4), (24_000, 4), (2, 2), (16, 2)] {
      wave += bytes(value, count)
    }
    wave += Data("data".utf8) + bytes(2 * samples, 4)
    for index in 0..<samples { wave += bytes(index * step, 2) }
    try wave.write(to: URL(fileURLWithPath: path))
    guard age > 0 else { return }
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: path)
  }
}
