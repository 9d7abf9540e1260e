import Foundation

/// What a store is to be made of, before any feature exists: the clips in their order, and all that
/// decides where each goes and what its features will be.
///
/// Clip number i of the list goes into block i / clipsPerBlock. Clips that cannot be used leave no
/// gap in their block, and no other block changes: that is why blocks can be made anywhere, in any
/// order, and again after an interruption.
package struct StorePlan: Sendable {
  /// What must agree for blocks to belong into one store.
  struct Identity: Codable, Sendable, Equatable {
    /// The program and its version: another one may compute other features.
    let maker: String
    /// F and T of a clip.
    let bands: Int
    let frames: Int
    let settings: [FeatureSetting]
    let tags: [String]
    let clips: Int
    /// SHA-256 over every clip's id, path, split and labels.
    let listDigest: String
    let clipsPerBlock: Int
    /// The share that is made, or nil for all.
    var shard: Shard?
  }

  let identity: Identity
  /// All clips in the order of the store: by split, then by the bytes of the id. Working through
  /// them in about this order keeps few blocks open.
  package let records: [ClipRecord]

  /// - Parameters:
  ///   - maker: the program that computes the features, with its version
  ///   - bands: F, mel bands of a clip
  ///   - frames: T, frames of a clip
  ///   - settings: how the features are made, in a fixed order
  ///   - tags: the K labels in their order; other tags of the records are left out. By default
  ///     those that occur, sorted by name
  ///   - shard: the share of the clips to be prepared here; nil for all
  package init(
    manifest: Manifest, tags: [String]? = nil, maker: String, bands: Int, frames: Int,
    settings: [FeatureSetting], clipsPerBlock: Int = 64, shard: Shard? = nil
  ) {
    precondition(bands > 0 && frames > 0 && clipsPerBlock > 0, "sizes must be positive")
    let tags = tags ?? manifest.tags
    precondition(Set(tags).count == tags.count, "the list of tags repeats one")
    records = Split.allCases.flatMap { split in
      manifest.records.filter { $0.split == split }.sorted { utf8Precedes($0.id, $1.id) }
    }
    identity = Identity(
      maker: maker, bands: bands, frames: frames, settings: settings, tags: tags,
      clips: records.count, listDigest: Self.digest(of: records, tags: tags),
      clipsPerBlock: clipsPerBlock, shard: shard)
  }

  /// A plan as it was written down.
  ///
  /// - Returns: nil if these are not the records of the identity's digest, in their order
  init?(_ identity: Identity, records: [ClipRecord]) {
    guard records.count == identity.clips,
      Self.digest(of: records, tags: identity.tags) == identity.listDigest
    else { return nil }
    self.identity = identity
    self.records = records
  }

  var clipBytes: Int { identity.bands * identity.frames * MemoryLayout<UInt16>.size }

  /// The blocks to be made here.
  var blocks: Range<Int> { identity.blocks }

  /// The clips to be prepared here, as indices of `records`.
  package var indices: Range<Int> {
    guard let first = blocks.first, let last = blocks.last else { return 0..<0 }
    return indices(ofBlock: first).lowerBound..<indices(ofBlock: last).upperBound
  }

  func indices(ofBlock block: Int) -> Range<Int> {
    let start = block * identity.clipsPerBlock
    return start..<min(start + identity.clipsPerBlock, records.count)
  }

  /// The block's clips, counted from the first one that is to be prepared here.
  func places(ofBlock block: Int) -> Range<Int> {
    let (range, first) = (indices(ofBlock: block), indices.lowerBound)
    return range.lowerBound - first..<range.upperBound - first
  }

  private static func digest(of records: [ClipRecord], tags: [String]) -> String {
    let places = tagPlaces(tags)
    var digest = Digest("tutti list of clips 1")
    for record in records {
      digest.add(record.id)
      digest.add(record.path)
      digest.add(record.split.rawValue)
      let labels = record.labels(places)
      digest.add(labels.count)
      for label in labels { digest.add(label) }
    }
    return digest.hexadecimal()
  }
}

/// Where each tag stands among the labels.
func tagPlaces(_ tags: [String]) -> [String: Int] {
  Dictionary(uniqueKeysWithValues: zip(tags, tags.indices))
}

extension ClipRecord {
  /// The record's labels, ascending; tags that are not among the places are left out.
  func labels(_ places: [String: Int]) -> [Int] { tags.compactMap { places[$0] }.sorted() }
}

extension StorePlan.Identity {
  var blocks: Range<Int> {
    let all = (clips + clipsPerBlock - 1) / clipsPerBlock
    return shard?.blocks(of: all) ?? 0..<all
  }

  /// Without the share: what all parts of a store have in common.
  var ofWhole: Self {
    var whole = self
    whole.shard = nil
    return whole
  }

  /// Whether this can be a plan's. What was read from a file may say anything.
  var isSensible: Bool {
    let sizes = [bands, frames, clips, clipsPerBlock]
    return sizes.allSatisfy { (1...Int(Int32.max)).contains($0) } && bands * frames <= 1 << 30
      && !tags.isEmpty && Set(tags).count == tags.count && shard?.isSensible ?? true
  }

  /// What differs from another plan, in words of which `here` and `there` are the subjects; nil if
  /// nothing does.
  func difference(from other: Self, here: String, there: String) -> String? {
    if maker != other.maker { return "\(here) is made by \(maker) and \(there) by \(other.maker)" }
    if let setting = settings.difference(from: other.settings, here: here, there: there) {
      return setting
    }
    if (bands, frames) != (other.bands, other.frames) {
      return "a clip is \(bands) × \(frames) in \(here) and \(other.bands) × \(other.frames) in "
        + there
    }
    if tags.count != other.tags.count {
      return "\(here) has \(tags.count) tags and \(there) \(other.tags.count)"
    }
    if let k = tags.indices.first(where: { tags[$0] != other.tags[$0] }) {
      return
        "tag \(k + 1) is \(quoted(tags[k])) in \(here) and \(quoted(other.tags[k])) in \(there)"
    }
    if clips != other.clips {
      return "\(here) lists \(clips) clips and \(there) \(other.clips)"
    }
    if listDigest != other.listDigest {
      return "\(here) and \(there) list other ids, paths, splits or tags of their clips"
    }
    if clipsPerBlock != other.clipsPerBlock {
      return "a block has \(clipsPerBlock) clips in \(here) and \(other.clipsPerBlock) in \(there)"
    }
    if shard != other.shard {
      func name(_ shard: Shard?) -> String { shard.map(String.init) ?? "the whole store" }
      return "\(here) is \(name(shard)) and \(there) \(name(other.shard))"
    }
    return nil
  }
}
