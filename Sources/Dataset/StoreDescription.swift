import Foundation

/// What `store.json` says: everything about a store but its clips.
///
/// A store is a folder:
///
///     store.json        this description; written last, so a folder without it is unfinished
///     clips.table       one record a clip (see `ClipTable`)
///     block-00000.f16   features of the first clips: half precision, [clips, F, T], nothing else
///     quarantine.csv    clips that were left out, and why
///
/// Clips are ordered by split, then by the UTF-8 bytes of their ids. All numbers are little-endian.
package struct StoreDescription: Codable, Sendable, Equatable {
  package struct Tag: Codable, Sendable, Equatable {
    package let name: String
    /// Clips that have the tag.
    package let counts: SplitCounts
  }

  package struct SplitCounts: Codable, Sendable, Equatable {
    package internal(set) var train = 0
    package internal(set) var validation = 0
    package internal(set) var test = 0

    package internal(set) subscript(split: Split) -> Int {
      get {
        switch split {
        case .train: train
        case .validation: validation
        case .test: test
        }
      }
      set {
        switch split {
        case .train: train = newValue
        case .validation: validation = newValue
        case .test: test = newValue
        }
      }
    }

    package var total: Int { train + validation + test }
  }

  package struct Block: Codable, Sendable, Equatable {
    package let clips: Int
    /// XXH3 over the checksums of the block's clips, in hexadecimal.
    let checksum: String

    package init(clips: Int, checksum: String) {
      (self.clips, self.checksum) = (clips, checksum)
    }
  }

  static let format = "tutti store"
  static let version = 1
  static let fileName = "store.json"

  let format: String
  let version: Int
  package let bands: Int
  package let frames: Int
  package let settings: [FeatureSetting]
  package let settingsDigest: String
  package let tags: [Tag]
  package let clips: SplitCounts
  package let blocks: [Block]
  /// Bytes of the ids and paths in the clip table.
  let textBytes: Int
  /// SHA-256 over every clip's id, labels and checksum of features, in order.
  let contentDigest: String
  /// SHA-256 over all that decides what is trained: features, labels, tags, splits, ids, settings.
  /// Paths, blocks and the order of computation do not enter.
  package let fingerprint: String

  package init(
    bands: Int, frames: Int, settings: [FeatureSetting], tags: [Tag], clips: SplitCounts,
    blocks: [Block], textBytes: Int, contentDigest: String
  ) {
    format = Self.format
    version = Self.version
    self.bands = bands
    self.frames = frames
    self.settings = settings
    settingsDigest = settings.digest
    self.tags = tags
    self.clips = clips
    self.blocks = blocks
    self.textBytes = textBytes
    self.contentDigest = contentDigest
    fingerprint = Self.fingerprint(
      bands: bands, frames: frames, settingsDigest: settingsDigest, tags: tags, clips: clips,
      contentDigest: contentDigest)
  }

  var clipBytes: Int { bands * frames * MemoryLayout<UInt16>.size }

  /// The clips of a split, which stand together.
  func range(of split: Split) -> Range<Int> {
    let before = Split.allCases.prefix { $0 != split }.reduce(0) { $0 + clips[$1] }
    return before..<before + clips[split]
  }

  static func blockName(_ block: Int) -> String {
    let digits = String(block)
    return "block-\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits).f16"
  }

  private static func fingerprint(
    bands: Int, frames: Int, settingsDigest: String, tags: [Tag], clips: SplitCounts,
    contentDigest: String
  ) -> String {
    var digest = Digest("tutti store 1")
    digest.add(bands)
    digest.add(frames)
    digest.add(settingsDigest)
    digest.add(tags.count)
    for tag in tags {
      digest.add(tag.name)
      for split in Split.allCases { digest.add(tag.counts[split]) }
    }
    for split in Split.allCases { digest.add(clips[split]) }
    digest.add(contentDigest)
    return digest.hexadecimal()
  }
}

extension StoreDescription {
  package func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self) + Data("\n".utf8)
  }

  /// Reads a description and believes nothing: the fingerprint is computed anew from the rest.
  ///
  /// - Throws: `.notAStore`, `.wrongVersion` or `.damaged`
  init(json: Data, path: String) throws {
    func refuse(_ code: DatasetError.Code, _ detail: String) -> DatasetError {
      DatasetError(code, attempt: "open the store", path: path, detail: detail)
    }
    struct Header: Decodable {
      let format: String
      let version: Int
    }
    let decoder = JSONDecoder()
    guard let header = try? decoder.decode(Header.self, from: json), header.format == Self.format
    else {
      throw refuse(.notAStore, "this is no description of a Tutti store, or a damaged one")
    }
    guard header.version == Self.version else {
      throw refuse(
        .wrongVersion,
        "the store has format version \(header.version) and this program reads version "
          + "\(Self.version); prepare the data set with this program")
    }
    do {
      self = try decoder.decode(Self.self, from: json)
    } catch {
      throw refuse(.damaged, "the description is incomplete or damaged; copy the store again")
    }
    if let inconsistency {
      throw refuse(
        .damaged, "\(inconsistency); the description was damaged or edited, copy the store again")
    }
  }

  private var inconsistency: String? {
    let sizes = [bands, frames, clips.train, clips.validation, clips.test, textBytes]
    let counts = sizes + blocks.map(\.clips)
    // Small enough that the size of no file overflows 63 bits.
    guard counts.allSatisfy({ (0...Int(Int32.max)).contains($0) }), bands > 0, frames > 0,
      bands * frames <= 1 << 30, !tags.isEmpty, tags.count <= 1 << 16
    else { return "a size is out of range" }
    guard blocks.reduce(0, { $0 + $1.clips }) == clips.total else {
      return "the blocks do not hold \(clips.total) clips"
    }
    for tag in tags {
      guard Split.allCases.allSatisfy({ (0...clips[$0]).contains(tag.counts[$0]) }) else {
        return "the tag \(quoted(tag.name)) has more clips than there are"
      }
    }
    guard settings.digest == settingsDigest else { return "the settings do not match their digest" }
    let expected = Self.fingerprint(
      bands: bands, frames: frames, settingsDigest: settingsDigest, tags: tags, clips: clips,
      contentDigest: contentDigest)
    return fingerprint == expected ? nil : "the contents do not match the fingerprint"
  }
}
