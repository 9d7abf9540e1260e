import Foundation
import Synchronization

/// What an unfinished store, or a part of one, knows of its blocks: a file that only grows.
///
/// The first line is the plan's identity, each further line a finished block: its clips, what became
/// of each, and the sound file it was made from. A line is the XXH3 of what follows, a space, and
/// JSON. A further line is led by a line feed of its own, so that whatever a crash or a full disk
/// left of the line before does not spoil it: that does not match its checksum, and is passed over.
final class PreparationJournal: Sendable {
  static let fileName = "preparation.journal"
  private static let format = "tutti preparation"
  private static let version = 1
  private static let attempt = "read the journal of the preparation"

  private struct Header: Codable {
    let format: String
    let version: Int
    let plan: StorePlan.Identity
  }

  struct Block: Codable, Sendable {
    let block: Int
    let clips: [Clip]
  }

  struct Clip: Codable, Sendable {
    let id: String
    let path: String
    let split: String
    /// Numbers of the tags, ascending.
    let labels: [Int]
    /// XXH3 of the features in the store; nil if the clip is quarantined.
    let checksum: UInt64?
    /// Why the clip is quarantined.
    let reason: String?
    let stamp: FileStamp?
  }

  private let url: URL
  private let descriptor: Mutex<Int32>

  /// Begins a journal; another one of this folder is replaced.
  static func begin(in directory: URL, _ identity: StorePlan.Identity) throws {
    var line = try line(Header(format: format, version: version, plan: identity))
    line.append(UInt8(ascii: "\n"))
    try line.withUnsafeBytes { try DurableFile.write($0, to: url(in: directory)) }
    try DurableFile.synchronize(folder: directory)
  }

  /// Opens the journal that is there, to add to it.
  init(_ directory: URL) throws {
    url = Self.url(in: directory)
    let opened = open(url.path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard opened >= 0 else { throw DatasetError.system("write", path: url.path) }
    descriptor = Mutex(opened)
  }

  deinit { descriptor.withLock { _ = close($0) } }

  /// Adds a block and brings it to the disk. May be called from any thread.
  func append(_ block: Block) throws {
    let line = [UInt8(ascii: "\n")] + (try Self.line(block))
    try descriptor.withLock { descriptor in
      var done = 0
      while done < line.count {
        let count = line[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw DatasetError.system("write", path: url.path) }
        done += count
      }
      guard fdatasync(descriptor) == 0 else { throw DatasetError.system("write", path: url.path) }
    }
  }

  static func url(in directory: URL) -> URL { directory.appendingPathComponent(fileName) }

  /// Reads a folder's journal.
  ///
  /// - Parameter block: gets each finished block of the plan, a later line after an earlier one on
  ///   the same block; nil to read the first line only
  /// - Returns: nil if there is no journal
  /// - Throws: `.wrongVersion`, or `.damaged` if the first line is not as it was written
  static func read(
    _ directory: URL, block visit: ((Block) -> Void)? = nil
  ) throws -> StorePlan.Identity? {
    let url = url(in: directory)
    guard access(url.path, F_OK) == 0 else { return nil }
    let file = try MappedFile(url, attempt: attempt)
    return try withExtendedLifetime(file) { try read(file.bytes, path: url.path, visit) }
  }

  private static func read(
    _ bytes: UnsafeRawBufferPointer, path: String, _ visit: ((Block) -> Void)?
  ) throws -> StorePlan.Identity? {
    guard !bytes.isEmpty else { return nil }
    let first = bytes.prefix { $0 != UInt8(ascii: "\n") }
    let identity = try identity(first, path: path)
    guard let visit else { return identity }
    var rest = bytes[first.endIndex...].dropFirst()
    while !rest.isEmpty {
      let line = rest.prefix { $0 != UInt8(ascii: "\n") }
      rest = rest[line.endIndex...].dropFirst()
      guard let json = json(line), let block = try? JSONDecoder().decode(Block.self, from: json),
        identity.fits(block)
      else { continue }
      visit(block)
    }
    return identity
  }

  private static func identity(
    _ line: Slice<UnsafeRawBufferPointer>, path: String
  ) throws -> StorePlan.Identity {
    struct Version: Decodable {
      let format: String
      let version: Int
    }
    func refuse(_ code: DatasetError.Code, _ detail: String) -> DatasetError {
      DatasetError(code, attempt: attempt, path: path, detail: detail)
    }
    guard let json = json(line),
      let header = try? JSONDecoder().decode(Version.self, from: json), header.format == format
    else { throw refuse(.damaged, "it is damaged; start anew with --restart") }
    guard header.version == version else {
      throw refuse(
        .wrongVersion,
        "it has format version \(header.version) and this program reads version \(version); "
          + "go on with the program that began it, or start anew with --restart")
    }
    guard let plan = try? JSONDecoder().decode(Header.self, from: json).plan, plan.isSensible else {
      throw refuse(.damaged, "its first line makes no sense; start anew with --restart")
    }
    return plan
  }

  // MARK: Lines

  private static func line(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = try encoder.encode(value)
    return Array("\(hexadecimal(json.withUnsafeBytes { checksum($0) })) ".utf8) + json
  }

  /// The JSON of a line, or nil if the line is not as it was written.
  private static func json(_ line: Slice<UnsafeRawBufferPointer>) -> Data? {
    let digits = 16
    guard line.count > digits + 1 else { return nil }
    let json = UnsafeRawBufferPointer(rebasing: line.dropFirst(digits + 1))
    guard line.prefix(digits).elementsEqual(hexadecimal(checksum(json)).utf8) else { return nil }
    return Data(json)
  }
}

extension StorePlan.Identity {
  /// Whether a block that was read can be one of this plan.
  fileprivate func fits(_ block: PreparationJournal.Block) -> Bool {
    guard blocks.contains(block.block) else { return false }
    let expected = min(clipsPerBlock, clips - block.block * clipsPerBlock)
    return block.clips.count == expected
      && block.clips.allSatisfy { clip in
        Split(rawValue: clip.split) != nil && clip.labels.allSatisfy(tags.indices.contains)
          && (clip.checksum == nil) != (clip.reason == nil)
      }
  }
}
