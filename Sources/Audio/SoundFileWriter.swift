/// Samples to sound files, by libsndfile, 16 bits where the format counts bits.
///
/// The file is made in memory, and putting it on a disk is left to the caller: libsndfile does not
/// tell when the last block of a stream finds the disk full.

import CSndfile
import Foundation

/// Why samples did not become a sound file.
package struct SoundFileWriterError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    case notFinite
    case library
  }

  package let code: Code
  package let format: SoundFileWriter.Format
  package let detail: String

  package var description: String {
    "cannot encode the sound as \(format.rawValue.uppercased()): \(detail)"
  }
}

package enum SoundFileWriter {
  /// Formats by the ending of a file's name.
  package enum Format: String, Sendable, CaseIterable {
    case wav, flac, ogg, mp3
  }

  /// A FLAC file of one channel; the same samples give the same bytes.
  ///
  /// - Throws: as `encode`
  package static func flac(
    _ samples: [Float], sampleRateHz: Int
  ) throws(SoundFileWriterError) -> [UInt8] {
    try encode(samples, as: .flac, sampleRateHz: sampleRateHz)
  }

  /// The bytes of a sound file. The same samples give the same bytes, save as OGG, whose streams
  /// are numbered at random.
  ///
  /// - Parameter samples: frames of `channels` samples each, nominally −1…1; what lies outside is
  ///   clipped
  /// - Throws: `SoundFileWriterError` `.notFinite` with the sample's index, or `.library` with
  ///   libsndfile's words
  package static func encode(
    _ samples: [Float], as format: Format, channels: Int = 1, sampleRateHz: Int
  ) throws(SoundFileWriterError) -> [UInt8] {
    if let index = samples.firstIndex(where: { !$0.isFinite }) {
      throw SoundFileWriterError(
        code: .notFinite, format: format,
        detail: "sample \(index) is \(samples[index]), not a finite number")
    }
    let quantized = samples.map { Int16(max(-1, min(1, $0)) * 32_767 + ($0 < 0 ? -0.5 : 0.5)) }

    let memory = MemoryFile()
    let context = Unmanaged.passUnretained(memory).toOpaque()
    var callbacks = MemoryFile.callbacks
    var info = SF_INFO()
    info.samplerate = Int32(clamping: sampleRateHz)
    info.channels = Int32(clamping: channels)
    info.format = format.code
    return try withExtendedLifetime(memory) { () throws(SoundFileWriterError) -> [UInt8] in
      guard let file = sf_open_virtual(&callbacks, Int32(SFM_WRITE), &info, context) else {
        throw SoundFileWriterError(
          code: .library, format: format, detail: String(cString: sf_strerror(nil)))
      }
      let written = write(quantized, to: file)
      let complaint = String(cString: sf_strerror(file))
      guard sf_close(file) == 0, written == quantized.count else {
        throw SoundFileWriterError(code: .library, format: format, detail: complaint)
      }
      return memory.bytes
    }
  }

  /// Returns how many samples were taken. Libvorbis keeps on the stack what it gets at once, so it
  /// gets little.
  private static func write(_ samples: [Int16], to file: OpaquePointer) -> Int {
    var done = 0
    samples.withUnsafeBufferPointer { samples in
      while done < samples.count {
        // a number of frames, whether they have 1, 2, … or 8 channels
        let wanted = min(6_720, samples.count - done)
        let written = sf_write_short(file, samples.baseAddress! + done, sf_count_t(wanted))
        guard written > 0 else { break }
        done += Int(written)
      }
    }
    return done
  }
}

extension SoundFileWriter.Format {
  fileprivate var code: Int32 {
    switch self {
    case .wav: Int32(SF_FORMAT_WAV | SF_FORMAT_PCM_16)
    case .flac: Int32(SF_FORMAT_FLAC | SF_FORMAT_PCM_16)
    case .ogg: Int32(SF_FORMAT_OGG | SF_FORMAT_VORBIS)
    case .mp3: Int32(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III)
    }
  }
}

/// What libsndfile takes for a file.
private final class MemoryFile {
  var bytes: [UInt8] = []
  var position = 0

  func seek(to target: Int) -> Int {
    position = max(0, target)
    return position
  }

  func write(_ source: UnsafeRawBufferPointer) -> Int {
    let end = position + source.count
    if end > bytes.count { bytes.append(contentsOf: repeatElement(0, count: end - bytes.count)) }
    bytes.withUnsafeMutableBytes { target in
      UnsafeMutableRawBufferPointer(rebasing: target[position..<end]).copyMemory(from: source)
    }
    position = end
    return source.count
  }

  func read(into target: UnsafeMutableRawBufferPointer) -> Int {
    let count = max(0, min(target.count, bytes.count - position))
    bytes.withUnsafeBytes { source in
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[position..<position + count]))
    }
    position += count
    return count
  }

  private static func at(_ context: UnsafeMutableRawPointer?) -> MemoryFile {
    Unmanaged<MemoryFile>.fromOpaque(context!).takeUnretainedValue()
  }

  static var callbacks: SF_VIRTUAL_IO {
    SF_VIRTUAL_IO(
      get_filelen: { sf_count_t(MemoryFile.at($0).bytes.count) },
      seek: { offset, whence, context in
        let file = MemoryFile.at(context)
        let origin =
          whence == SEEK_CUR ? file.position : whence == SEEK_END ? file.bytes.count : 0
        return sf_count_t(file.seek(to: origin + Int(offset)))
      },
      read: { target, count, context in
        let target = UnsafeMutableRawBufferPointer(start: target, count: Int(count))
        return sf_count_t(MemoryFile.at(context).read(into: target))
      },
      write: { source, count, context in
        let source = UnsafeRawBufferPointer(start: source, count: Int(count))
        return sf_count_t(MemoryFile.at(context).write(source))
      },
      tell: { sf_count_t(MemoryFile.at($0).position) })
  }
}
