import ArgumentParser
import Audio
import Foundation

/// The way from a sound file to a log-mel map, on one core, with sounds of its own making.
///
/// `cluster/bench-features` runs librosa and torchaudio on the same sounds beside it.
struct Features: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time the way from a sound file to a log-mel map.")

  @Option(help: "Sample rate of the sounds, in Hz.")
  var rate = 44_100
  @Option(help: "Channels of the sounds: 1 or 2.")
  var channels = 2
  @Option(help: "Rounds timed, after one that is not.")
  var passes = 10
  @Option(help: "Folder in which the sounds are made if they are not there, and left.")
  var sounds: String?
  @Flag(help: "One JSON object instead of lines.")
  var json = false

  private static let seconds = 30

  func validate() throws {
    guard passes > 0 else { throw ValidationError("--passes must be positive") }
    guard (1...2).contains(channels), (8_000...96_000).contains(rate) else {
      throw ValidationError("--channels must be 1 or 2, and --rate from 8000 to 96000")
    }
  }

  func run() throws {
    let folder = try soundFolder()
    defer { if sounds == nil { try? FileManager.default.removeItem(at: folder) } }
    let paths = try SoundFileWriter.Format.allCases.map { try sound(as: $0, in: folder) }

    let extractor = try LogMelExtractor()
    let reader = try ClipReader()
    var samples: [Float] = []
    try reader.read(paths[0], into: &samples)
    var map = [Float](repeating: 0, count: extractor.settings.values)
    // Taken in turns, so that whatever else the machine does disturbs all alike.
    var best = [Double](repeating: .infinity, count: 1 + paths.count)
    for _ in 0...passes {
      var output = map.mutableSpan
      best[0] = min(
        best[0], try milliseconds { try extractor.logMel(samples.span, into: &output) })
      for (index, path) in paths.enumerated() {
        let time = try milliseconds { try extractor.features(ofFile: path, into: &output) }
        best[1 + index] = min(best[1 + index], time)
      }
    }
    try report(best)
  }

  /// Processor time, which others on the machine disturb less than they do the clock.
  private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
      return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) * 1e-6
    }
    let start = now()
    try body()
    return now() - start
  }

  private func report(_ best: [Double]) throws {
    let formats = SoundFileWriter.Format.allCases.map(\.rawValue)
    if json {
      let object: [String: Any] = [
        "rate": rate, "channels": channels, "seconds": Self.seconds, "passes": passes,
        "milliseconds": Dictionary(uniqueKeysWithValues: zip(["logMel"] + formats, best)),
      ]
      let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      print(String(decoding: data, as: UTF8.self))
      return
    }
    let whole = "from \(Self.seconds) s of \(channels == 1 ? "mono" : "stereo") at \(rate) Hz"
    let names = ["spectrum, mel and logarithm"] + formats.map { "\(whole), \($0)" }
    for (name, time) in zip(names, best) {
      print(
        name.padding(toLength: 40, withPad: " ", startingAt: 0)
          + String(format: "%8.2f ms a clip, %6.0f clips/s on one core", time, 1_000 / time))
    }
  }
}

// MARK: - Sounds

extension Features {
  private func soundFolder() throws -> URL {
    let folder =
      sounds.map { URL(filePath: $0) }
      ?? FileManager.default.temporaryDirectory.appending(path: "sounds-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  private func sound(as format: SoundFileWriter.Format, in folder: URL) throws -> String {
    let file = folder.appending(path: "\(rate)-\(channels).\(format.rawValue)")
    if !FileManager.default.fileExists(atPath: file.path) {
      let bytes = try SoundFileWriter.encode(
        music(), as: format, channels: channels, sampleRateHz: rate)
      try Data(bytes).write(to: file, options: .atomic)
    }
    return file.path
  }

  /// Plucked notes of eight harmonics, four a second and fading into each other, and a little noise:
  /// enough for an encoder to have something to do.
  private func music() -> [Float] {
    let frames = Self.seconds * rate
    var sound = [Float](repeating: 0, count: frames * channels)
    var state: UInt32 = 1
    func random() -> Int {
      state = 1_664_525 &* state &+ 1_013_904_223
      return Int(state >> 16)
    }
    for start in stride(from: 0, to: frames, by: rate / 4) {
      for channel in 0..<channels {
        let pitchHz = 110 * pow(2, Double(random() % 36) / 12)
        for harmonic in 1...8 {
          let turn = 2 * .pi * Double(harmonic) * pitchHz / Double(rate)
          let fade = exp(-Double(3 + harmonic) / Double(rate))
          var level = 0.15 / Double(harmonic)
          for n in 0..<min(rate, frames - start) {
            sound[(start + n) * channels + channel] += Float(level * sin(turn * Double(n)))
            level *= fade
          }
        }
      }
    }
    for index in sound.indices { sound[index] += Float(random() - 32_768) * 1e-7 }
    return sound
  }
}
