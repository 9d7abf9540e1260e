import Foundation

/// The clip table: what a store knows of each clip, mapped into memory and read in place.
///
/// | part | bytes | content |
/// |---|---|---|
/// | header | 64 | magic, version, bytes of a record, clips, bytes of text, the fingerprint's bytes |
/// | records | clips × (32 + 8·⌈K/64⌉) | below |
/// | text | as the header says | id and path of each clip, UTF-8, one after the other |
///
/// A record is: its own checksum (XXH3 of the rest of the record and its text, seeded with the
/// clip's number), the checksum of the features, where its text starts, bytes of the id, bytes of
/// the path, and K labels as bits. Records are checked whenever they are read, so that opening a
/// table costs the same for ten clips and for ten million.
struct ClipTable: Sendable {
  static let fileName = "clips.table"
  private static let magic: UInt64 = 0x0031_5350_494C_4354  // "TCLIPS1\0"
  private static let headerBytes = 64

  /// One clip, checked.
  struct Entry {
    let id: String
    let path: String
    let featureChecksum: UInt64
    /// Label k is bit k % 64 of word k / 64.
    let labelWords: [UInt64]
  }

  let url: URL
  private let file: MappedFile
  private let clips: Int
  private let words: Int
  private let textBytes: Int
  private var recordBytes: Int { Self.recordBytes(words: words) }
  private static func recordBytes(words: Int) -> Int { 32 + 8 * words }

  /// - Throws: `.missing`, `.truncated`, or `.damaged` if the table belongs to another store
  init(_ url: URL, description: StoreDescription) throws {
    try self.init(
      MappedFile(
        url, attempt: "open the store", expectedSize: Self.byteCount(for: description)),
      url, description)
  }

  /// A table that is in memory alone.
  ///
  /// - Parameter url: where it would lie
  init(holding data: Data, for url: URL, description: StoreDescription) throws {
    let expected = Self.byteCount(for: description)
    guard data.count == expected else {
      throw DatasetError.wrongSize(
        data.count, expected: expected, attempt: "open the store", path: url.path)
    }
    try self.init(MappedFile(holding: data), url, description)
  }

  static func byteCount(for description: StoreDescription) -> Int {
    let words = (description.tags.count + 63) / 64
    return headerBytes + description.clips.total * recordBytes(words: words)
      + description.textBytes
  }

  private init(_ file: MappedFile, _ url: URL, _ description: StoreDescription) throws {
    self.url = url
    self.file = file
    clips = description.clips.total
    words = (description.tags.count + 63) / 64
    textBytes = description.textBytes
    let header = Self.header(
      clips: clips, words: words, textBytes: textBytes, fingerprint: description.fingerprint)
    guard file.bytes.prefix(header.count).elementsEqual(header) else {
      throw DatasetError(
        .damaged, attempt: "open the store", path: url.path,
        detail: "this clip table is damaged or belongs to another store; copy the store again")
    }
  }

  /// - Throws: `.damaged` if the record or its text is not as it was written
  func entry(_ clip: Int) throws -> Entry {
    let record = try checkedRecord(clip)
    let idBytes = Int(record.load(fromByteOffset: 24, as: UInt32.self))
    let text = text(of: record)!
    return Entry(
      id: String(decoding: text.prefix(idBytes), as: UTF8.self),
      path: String(decoding: text.dropFirst(idBytes), as: UTF8.self),
      featureChecksum: record.load(fromByteOffset: 8, as: UInt64.self),
      labelWords: (0..<words).map { record.load(fromByteOffset: 32 + 8 * $0, as: UInt64.self) })
  }

  /// Writes 0 or 1 for each tag.
  func copyLabels(_ clip: Int, into labels: UnsafeMutableBufferPointer<Float>) throws {
    let record = try checkedRecord(clip)
    for k in labels.indices {
      let word = record.load(fromByteOffset: 32 + k / 64 * 8, as: UInt64.self)
      labels[k] = Float((word >> UInt64(k % 64)) & 1)
    }
  }

  func featureChecksum(_ clip: Int) throws -> UInt64 {
    try checkedRecord(clip).load(fromByteOffset: 8, as: UInt64.self)
  }

  private func checkedRecord(_ clip: Int) throws -> UnsafeRawBufferPointer {
    precondition((0..<clips).contains(clip), "clip \(clip) of a table of \(clips)")
    let start = Self.headerBytes + clip * recordBytes
    let record = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + recordBytes])
    guard let text = text(of: record),
      record.load(as: UInt64.self) == Self.checksum(record: record, text: text, clip: clip)
    else {
      throw DatasetError(
        .damaged, attempt: "read clip number \(clip)", path: url.path,
        detail: "its record is not as it was written; the clip table is damaged, copy it again")
    }
    return record
  }

  /// The record's text, or nil if the record points out of the table.
  private func text(of record: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let offset = record.load(fromByteOffset: 16, as: UInt64.self)
    let count =
      Int(record.load(fromByteOffset: 24, as: UInt32.self))
      + Int(record.load(fromByteOffset: 28, as: UInt32.self))
    guard offset <= UInt64(textBytes), count <= textBytes - Int(offset) else { return nil }
    let start = Self.headerBytes + clips * recordBytes + Int(offset)
    return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + count])
  }

  /// Passes the whole table as bytes.
  func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(file.bytes)
  }

  private static func checksum(
    record: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer, clip: Int
  ) -> UInt64 {
    let body = UnsafeRawBufferPointer(rebasing: record.dropFirst(8))
    return Dataset.checksum(text, seed: Dataset.checksum(body, seed: UInt64(clip)))
  }
}

extension ClipTable {
  /// The whole table as bytes, ready to be written.
  static func bytes(of entries: [Entry], fingerprint: String) -> [UInt8] {
    let words = entries.first?.labelWords.count ?? 0
    var records: [UInt8] = []
    var text: [UInt8] = []
    records.reserveCapacity(entries.count * recordBytes(words: words))
    for (clip, entry) in entries.enumerated() {
      var record: [UInt8] = []
      record.append(littleEndian: UInt64(0))
      record.append(littleEndian: entry.featureChecksum)
      record.append(littleEndian: UInt64(text.count))
      record.append(littleEndian: UInt32(entry.id.utf8.count))
      record.append(littleEndian: UInt32(entry.path.utf8.count))
      for word in entry.labelWords { record.append(littleEndian: word) }
      let ownText = Array(entry.id.utf8) + Array(entry.path.utf8)
      let sum = record.withUnsafeBytes { record in
        ownText.withUnsafeBytes { checksum(record: record, text: $0, clip: clip) }
      }
      withUnsafeBytes(of: sum.littleEndian) { record.replaceSubrange(0..<8, with: $0) }
      records += record
      text += ownText
    }
    return header(
      clips: entries.count, words: words, textBytes: text.count, fingerprint: fingerprint)
      + records + text
  }

  private static func header(
    clips: Int, words: Int, textBytes: Int, fingerprint: String
  ) -> [UInt8] {
    var header: [UInt8] = []
    header.append(littleEndian: magic)
    header.append(littleEndian: UInt32(StoreDescription.version))
    header.append(littleEndian: UInt32(recordBytes(words: words)))
    header.append(littleEndian: UInt64(clips))
    header.append(littleEndian: UInt64(textBytes))
    // 64 hexadecimal digits, two a byte, fill the header to its end.
    let digits = fingerprint.utf8.map { UInt8(Character(Unicode.Scalar($0)).hexDigitValue ?? 0) }
    for pair in stride(from: 0, to: 64, by: 2) {
      header.append(digits[pair] << 4 | digits[pair + 1])
    }
    return header
  }
}

extension [UInt8] {
  fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
