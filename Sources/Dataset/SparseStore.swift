import Foundation

extension Store {
  /// Makes a store of any size that takes next to no disk, to measure and test what does not depend
  /// on features: they are all zero, and the block files are holes. Everything else is real: the clip
  /// table with its checksums, the tags, some rare and some frequent, and the fingerprint.
  ///
  /// - Parameters:
  ///   - directory: a folder that exists and is empty
  ///   - clips: how many of each split
  ///   - tags: K
  /// - Throws: `.inputOutput`
  package static func sparse(
    in directory: URL, bands: Int = 96, frames: Int = 1366, clips: [Split: Int], tags: Int = 50,
    clipsPerBlock: Int = 64
  ) throws -> Store {
    let clipBytes = bands * frames * MemoryLayout<UInt16>.size
    let zeros = [UInt8](repeating: 0, count: clipBytes)
    let silence = zeros.withUnsafeBytes { checksum($0) }
    var counts = StoreDescription.SplitCounts()
    var tagCounts = Array(repeating: StoreDescription.SplitCounts(), count: tags)
    var entries: [ClipTable.Entry] = []
    for split in Split.allCases {
      for _ in 0..<(clips[split] ?? 0) {
        let words = labelWords(clip: entries.count, tags: tags)
        for k in 0..<tags where words[k / 64] >> UInt64(k % 64) & 1 == 1 {
          tagCounts[k][split] += 1
        }
        let digits = String(10_000_000 + entries.count)
        entries.append(
          ClipTable.Entry(
            id: "CLIP\(digits)", path: "audio/\(digits.suffix(3))/CLIP\(digits).mp3",
            featureChecksum: silence, labelWords: words))
        counts[split] += 1
      }
    }
    let blocks = stride(from: 0, to: entries.count, by: clipsPerBlock).map { start in
      let clips = min(clipsPerBlock, entries.count - start)
      return StoreDescription.Block(
        clips: clips, checksum: blockChecksum(Array(repeating: silence, count: clips)))
    }
    let description = StoreDescription(
      bands: bands, frames: frames, settings: [FeatureSetting("decibelFloor", "1")],
      tags: tagCounts.enumerated().map { .init(name: "tag \($0)", counts: $1) }, clips: counts,
      blocks: blocks, textBytes: entries.reduce(0) { $0 + $1.id.utf8.count + $1.path.utf8.count },
      contentDigest: ClipTable.contentDigest(of: entries))
    for (number, block) in blocks.enumerated() {
      let path = directory.appendingPathComponent(StoreDescription.blockName(number)).path
      guard FileManager.default.createFile(atPath: path, contents: nil),
        truncate(path, off_t(block.clips * clipBytes)) == 0
      else { throw DatasetError.system("make a sparse block", path: path) }
    }
    let table = ClipTable.bytes(of: entries, fingerprint: description.fingerprint)
    try table.withUnsafeBytes {
      try DurableFile.write($0, to: directory.appendingPathComponent(ClipTable.fileName))
    }
    try description.json().withUnsafeBytes {
      try DurableFile.write($0, to: directory.appendingPathComponent(StoreDescription.fileName))
    }
    return try Store(directory)
  }

  /// Tag k of about every (k+2)-th clip.
  private static func labelWords(clip: Int, tags: Int) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: (tags + 63) / 64)
    for k in 0..<tags where (clip &* 2_654_435_761 &+ k) >> 7 % (k + 2) == 0 {
      words[k / 64] |= 1 << UInt64(k % 64)
    }
    return words
  }
}
