/// A sound file opened for reading, by libsndfile: WAV, FLAC, OGG, MP3 and their like.
///
/// The header is believed for one thing only, where the middle is. Nothing is allocated by its
/// word, and a file that breaks off before its declared end is refused, unless all that was asked
/// for comes before the break: what was lost would become silence in training.

import CSndfile
import Foundation

package struct SoundFile: ~Copyable {
  /// What music comes in, with room on both sides; a header that says otherwise is damaged.
  package static let sampleRatesHz = 1_000...768_000

  package let path: String
  package let sampleRateHz: Int
  package let channels: Int
  /// Frames by the header; nil if it does not say, as in a FLAC stream that was piped, or in many an
  /// MP3 (see `XingHeader`).
  package let declaredFrames: Int?
  /// Whether decoding from the middle gives, to the bit, what decoding from the start gives.
  private let seeksExactly: Bool
  private var handle: OpaquePointer
  /// Interleaved frames on their way from the decoder.
  private var chunk: [Float]
  /// What counting decoded, if anything was counted: mono, from frame 0, up to `longestOpening`.
  private var opening: [Float] = []
  /// A minute and a half at 44.1 kHz: most of what has to be counted is decoded once only.
  private static let longestOpening = 1 << 22

  /// - Throws: `AudioError` `.missing`, `.notAFile`, `.empty`, `.undecodable`, `.unsupported`, or
  ///   `.incomplete` if the container itself says that its end is not there
  package init(path: String) throws(AudioError) {
    let size = try Self.size(of: path)
    var info = SF_INFO()
    guard let handle = sf_open(path, Int32(SFM_READ), &info) else {
      throw Self.error(.undecodable, path, "its format is not known or its header is damaged")
    }
    do {
      try Self.check(info, path, size)
    } catch {
      sf_close(handle)
      throw error
    }
    self.path = path
    self.handle = handle
    sampleRateHz = Int(info.samplerate)
    channels = Int(info.channels)
    declaredFrames = Self.declaredFrames(info, path)
    seeksExactly = Self.seeksExactly(info)
    chunk = [Float](repeating: 0, count: 65_536)
  }

  deinit { sf_close(handle) }

  /// Frames in the file: what the header declares, or, where it is silent, what decoding counts.
  package mutating func frames() throws(AudioError) -> Int {
    if let declaredFrames { return declaredFrames }
    let channels = self.channels
    var opening: [Float] = []
    let count = decode(.max) { frames in
      guard opening.count < Self.longestOpening else { return }
      Self.mix(frames, channels, appendingTo: &opening)
    }
    self.opening = opening
    try reopen()
    return count
  }

  /// Appends the mean of the channels, nominally −1…1, for the given frames, at the file's own
  /// rate.
  ///
  /// Decodes just those frames where the format can seek to the sample, as PCM, FLAC and Vorbis can;
  /// else, as in an MP3, what comes before them too. The samples are the same bits either way.
  /// - Parameters:
  ///   - range: frames within `0..<length`
  ///   - length: what `frames()` says
  /// - Throws: `AudioError.incomplete` if the file ends before the range does by more than a
  ///   hundredth of its length; what is missing within that is not appended
  package mutating func read(
    _ range: Range<Int>, of length: Int, appendingTo mono: inout [Float]
  ) throws(AudioError) {
    guard range.upperBound > opening.count else { return mono.append(contentsOf: opening[range]) }
    var position = try skip(to: range.lowerBound)
    if position == range.lowerBound {
      let channels = self.channels
      position += decode(range.count) { frames in Self.mix(frames, channels, appendingTo: &mono) }
    }
    guard position >= range.upperBound - length / 100 else {
      throw Self.error(
        .incomplete, path,
        "decoding stops at frame \(position) of the \(length) that its header declares")
    }
  }

  /// Brings the decoder to `frame`, or to the end if that comes first; returns where it is.
  private mutating func skip(to frame: Int) throws(AudioError) -> Int {
    if seeksExactly, frame > 0 {
      if sf_seek(handle, sf_count_t(frame), Int32(SEEK_SET)) == sf_count_t(frame) { return frame }
      try reopen()
    }
    return decode(frame) { _ in }
  }

  private mutating func reopen() throws(AudioError) {
    var info = SF_INFO()
    guard let fresh = sf_open(path, Int32(SFM_READ), &info), Int(info.channels) == channels else {
      throw Self.error(.undecodable, path, "it changed while it was read")
    }
    sf_close(handle)
    handle = fresh
  }

  /// Decodes `count` frames, or as many as there are, in chunks; returns how many there were.
  private mutating func decode(_ count: Int, _ consume: (UnsafeBufferPointer<Float>) -> Void) -> Int
  {
    let (handle, channels) = (self.handle, self.channels)
    return chunk.withUnsafeMutableBufferPointer { chunk in
      var done = 0
      while done < count {
        let wanted = min(count - done, chunk.count / channels)
        let got = Int(sf_readf_float(handle, chunk.baseAddress, sf_count_t(wanted)))
        guard got > 0 else { break }
        consume(UnsafeBufferPointer(rebasing: chunk[..<(got * channels)]))
        done += got
      }
      return done
    }
  }

  private static func mix(
    _ frames: UnsafeBufferPointer<Float>, _ channels: Int, appendingTo mono: inout [Float]
  ) {
    guard channels > 1 else { return mono.append(contentsOf: frames) }
    let start = mono.count
    mono.append(contentsOf: repeatElement(0, count: frames.count / channels))
    mono.withUnsafeMutableBufferPointer { mono in
      let mono = UnsafeMutableBufferPointer(rebasing: mono[start...])
      // A number known to the compiler makes vector code of the common case.
      if channels == 2 { mean(frames, 2, mono) } else { mean(frames, channels, mono) }
    }
  }

  @inline(__always)
  private static func mean(
    _ frames: UnsafeBufferPointer<Float>, _ channels: Int, _ mono: UnsafeMutableBufferPointer<Float>
  ) {
    for index in mono.indices {
      var sum = frames[index * channels]
      for channel in 1..<channels { sum += frames[index * channels + channel] }
      mono[index] = sum / Float(channels)
    }
  }
}

// MARK: - What can be said before decoding

extension SoundFile {
  /// The size in bytes of an ordinary, readable file that is not empty.
  private static func size(of path: String) throws(AudioError) -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw error(.missing, path, String(cString: strerror(errno)))
    }
    // A pipe would block in `open`, so this comes first.
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw error(.notAFile, path, "it is not an ordinary file")
    }
    guard access(path, R_OK) == 0 else {
      throw error(.missing, path, String(cString: strerror(errno)))
    }
    guard status.st_size > 0 else { throw error(.empty, path, "it has no bytes") }
    return Int(status.st_size)
  }

  private static func declaredFrames(_ info: SF_INFO, _ path: String) -> Int? {
    let guessed = container(info) == SF_FORMAT_MPEG && !XingHeader.declaresLength(ofFile: path)
    return !guessed && (0..<1 << 40).contains(info.frames) ? Int(info.frames) : nil
  }

  private static func container(_ info: SF_INFO) -> Int { Int(info.format) & SF_FORMAT_TYPEMASK }

  /// Not the formats whose frames lean on all those before them: what an MP3 gives after a seek
  /// depends, in its last bit, on where the decoder started.
  private static func seeksExactly(_ info: SF_INFO) -> Bool {
    switch Int(info.format) & SF_FORMAT_SUBMASK {
    case SF_FORMAT_PCM_S8, SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32,
      SF_FORMAT_FLOAT, SF_FORMAT_DOUBLE, SF_FORMAT_ULAW, SF_FORMAT_ALAW, SF_FORMAT_VORBIS:
      true
    default: false
    }
  }

  private static func check(_ info: SF_INFO, _ path: String, _ size: Int) throws(AudioError) {
    guard sampleRatesHz.contains(Int(info.samplerate)), (1...1_024).contains(info.channels) else {
      throw error(
        .unsupported, path, "its header says \(info.channels) channels at \(info.samplerate) Hz")
    }
    if let missing = bytesMissing(from: path, size: size) {
      throw error(.incomplete, path, "\(missing) of the bytes that its header declares are missing")
    }
    if container(info) == SF_FORMAT_OGG, declaredFrames(info, path) == nil {
      throw error(.incomplete, path, "its last page is missing")
    }
  }

  /// How many bytes a RIFF or AIFF container lacks, if more than a hundredth. libsndfile would
  /// take what is there for the whole. A size of 0 or about 2³¹ and more means that nobody knew.
  private static func bytesMissing(from path: String, size: Int) -> Int? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var head = [UInt8](repeating: 0, count: 8)
    guard fread(&head, 1, 8, file) == 8 else { return nil }
    let bytes: [UInt8]
    switch String(decoding: head[..<4], as: UTF8.self) {
    case "RIFF": bytes = head[4...].reversed()
    case "RIFX", "FORM": bytes = Array(head[4...])
    default: return nil
    }
    let declared = bytes.reduce(0) { $0 << 8 | Int($1) } + 8
    let missing = declared - size
    return declared < 0x7FFF_0000 && missing > declared / 100 ? missing : nil
  }

  private static func error(_ code: AudioError.Code, _ path: String, _ detail: String) -> AudioError
  {
    AudioError(code, attempt: "read the sound", path: path, detail: detail)
  }
}

// MARK: - From beginning to end

extension SoundFile {
  /// Appends the mean of the channels of the next frames, from where the last call ended. Not to be
  /// mixed with `read`.
  ///
  /// - Returns: how many there were; fewer than `count` at the end of the file
  mutating func readOn(_ count: Int, appendingTo mono: inout [Float]) -> Int {
    let channels = self.channels
    return decode(count) { frames in Self.mix(frames, channels, appendingTo: &mono) }
  }

  /// Says whether decoding may end after so many frames.
  ///
  /// - Throws: `AudioError.incomplete` if that is more than a hundredth before the declared end. An
  ///   MP3 may end anywhere: its declared length is often an estimate from the size of the file
  func requireEnd(after frames: Int) throws(AudioError) {
    var info = SF_INFO()
    sf_command(
      handle, Int32(SFC_GET_CURRENT_SF_INFO), &info, Int32(MemoryLayout<SF_INFO>.size))
    guard let declaredFrames, info.format & Int32(SF_FORMAT_TYPEMASK) != Int32(SF_FORMAT_MPEG),
      frames < declaredFrames - declaredFrames / 100
    else { return }
    throw Self.error(
      .incomplete, path,
      "decoding stops at frame \(frames) of the \(declaredFrames) that its header declares")
  }
}
