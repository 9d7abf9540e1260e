/// Windows of a long sound, one after the other.
///
///     file ── decode a chunk, mix to mono ── resample ── buffer of one window and a chunk ── window
///
/// Windows start every `hop` samples from the beginning. What is left after the last whole one gets
/// a window of its own that ends with the file, if it is more than a tenth of a window; a file that
/// is shorter than a window is one short window. One pass, whose memory does not grow with the file.

import CSoxr

package struct WindowReader: ~Copyable {
  private let path: String
  /// Samples of a window, and from the start of one to the next, at the settings' rate.
  private let length, hop: Int
  private var file: SoundFile
  private var resampler: StreamResampler
  /// A decoded chunk, at the file's own rate.
  private var native: [Float] = []
  /// Frames decoded so far.
  private var frames = 0
  /// Resampled sound from sample `bufferStart` on.
  private var buffer: [Float] = []
  private var bufferStart = 0
  private var fileHasEnded = false
  /// Where the next window starts, and where the one before ended; nil when all are read.
  private var nextStart: Int? = 0
  private var lastEnd = 0

  private static let chunk = 65_536

  /// - Parameters:
  ///   - settings: their `samples` are a window's length
  ///   - hop: samples from one window's start to the next's
  /// - Throws: `AudioError`: what opening the file throws; `.library`
  package init(path: String, settings: FeatureSettings, hop: Int) throws(AudioError) {
    precondition(hop > 0 && settings.samples > 0, "windows of \(settings.samples) every \(hop)")
    let file = try SoundFile(path: path)
    let resampler = try StreamResampler(from: file.sampleRateHz, to: settings.sampleRateHz)
    self.path = path
    length = settings.samples
    self.hop = hop
    self.file = file
    self.resampler = resampler
  }

  /// Reads the next window.
  ///
  /// - Parameter samples: receives a window, or the whole file if it is shorter
  /// - Returns: the sample it starts at; nil after the last one
  /// - Throws: `AudioError`: `.incomplete` if the file ends before its declared end, `.empty`,
  ///   `.notFinite`, `.library`
  package mutating func next(into samples: inout [Float]) throws(AudioError) -> Int? {
    guard let start = nextStart else { return nil }
    while !fileHasEnded && bufferEnd < start + length { try fill() }
    if bufferEnd >= start + length {
      nextStart = start + hop
      return take(start, length, &samples)
    }
    nextStart = nil
    if lastEnd == 0 { return take(0, bufferEnd, &samples) }
    guard bufferEnd - lastEnd > length / 10 else { return nil }
    return take(bufferEnd - length, length, &samples)
  }

  private var bufferEnd: Int { bufferStart + buffer.count }

  private mutating func take(_ start: Int, _ count: Int, _ samples: inout [Float]) -> Int {
    samples.removeAll(keepingCapacity: true)
    samples.append(contentsOf: buffer[(start - bufferStart)..<(start - bufferStart + count)])
    lastEnd = start + count
    return start
  }

  /// Decodes a chunk more, and forgets what no window will need.
  private mutating func fill() throws(AudioError) {
    let keep = min(nextStart ?? 0, bufferEnd - length)
    if keep > bufferStart {
      buffer.removeFirst(keep - bufferStart)
      bufferStart = keep
    }
    native.removeAll(keepingCapacity: true)
    let count = file.readOn(Self.chunk, appendingTo: &native)
    do {
      if count > 0 || frames == 0 {
        _ = try native.withUnsafeBufferPointer { native throws(AudioError) in
          try peak(of: native, firstIndex: frames)
        }
      }
      frames += count
      fileHasEnded = count < Self.chunk
      if fileHasEnded { try file.requireEnd(after: frames) }
      try resampler.append(native, isLast: fileHasEnded, to: &buffer)
    } catch {
      throw error.at(path)
    }
    if fileHasEnded {
      // libsoxr rounds the length to nearest; librosa rounds it up, and so does `ClipReader`.
      let missing = max(0, resampler.count(ofFrames: frames) - bufferEnd)
      buffer.append(contentsOf: repeatElement(0, count: missing))
    }
  }
}

/// libsoxr's high quality on a stream; nothing where the rates are equal.
private struct StreamResampler: ~Copyable {
  private let fileRate, rate: Int
  private let handle: soxr_t?
  private var output = [Float](repeating: 0, count: 65_536)

  init(from fileRate: Int, to rate: Int) throws(AudioError) {
    var handle: soxr_t?
    if fileRate != rate {
      var quality = soxr_quality_spec(UInt(SOXR_HQ), 0)
      var failure: soxr_error_t?
      handle = soxr_create(Double(fileRate), Double(rate), 1, &failure, nil, &quality, nil)
      if let failure { throw Self.error(failure, fileRate, rate) }
    }
    (self.fileRate, self.rate, self.handle) = (fileRate, rate, handle)
  }

  deinit { soxr_delete(handle) }

  /// Samples that a file of so many frames becomes.
  func count(ofFrames frames: Int) -> Int {
    resampledCount(of: frames, at: fileRate, to: rate)
  }

  mutating func append(
    _ input: [Float], isLast: Bool, to result: inout [Float]
  ) throws(AudioError) {
    guard let handle else { return result.append(contentsOf: input) }
    var (taken, made) = (0, 0)
    while taken < input.count {
      var count = 0
      let failure = input.withUnsafeBufferPointer { input in
        soxr_process(
          handle, input.baseAddress! + taken, input.count - taken, &count, &output, output.count,
          &made)
      }
      if let failure { throw Self.error(failure, fileRate, rate) }
      taken += count
      result.append(contentsOf: output[..<made])
    }
    guard isLast else { return }
    repeat {
      if let failure = soxr_process(handle, nil, 0, nil, &output, output.count, &made) {
        throw Self.error(failure, fileRate, rate)
      }
      result.append(contentsOf: output[..<made])
    } while made > 0
  }

  private static func error(_ failure: soxr_error_t, _ from: Int, _ to: Int) -> AudioError {
    AudioError(
      .library, attempt: "resample from \(from) to \(to) Hz", detail: String(cString: failure))
  }
}
