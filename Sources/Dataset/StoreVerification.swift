extension Store {
  /// Reads everything and checks it: every record, label count and feature against the fingerprint.
  ///
  /// - Throws: `.damaged` at the first thing that is not as it was written
  package func verify() throws {
    try verifyTable()
    for block in description.blocks.indices {
      try verify(block: block, bytes: try map(ofBlock: block).bytes)
    }
  }

  /// Checks every record of the clip table, and all of them against the fingerprint, without reading
  /// features.
  package func verifyTable() throws { try table.verify(against: description) }

  /// - Throws: `.damaged`, naming the first clip that does not match its checksum
  func verify(block: Int, bytes: UnsafeRawBufferPointer) throws {
    let size = description.clipBytes
    for (slot, clip) in clips(ofBlock: block).enumerated() {
      let clipBytes = UnsafeRawBufferPointer(rebasing: bytes[slot * size..<(slot + 1) * size])
      guard checksum(clipBytes) == (try table.featureChecksum(clip)) else {
        throw try damaged(clip: clip, block: block)
      }
    }
  }
}

extension ClipTable {
  /// Checks every record, and all of them against the description's digest and counts.
  func verify(against description: StoreDescription) throws {
    func mismatch(_ detail: String) -> DatasetError {
      DatasetError(
        .damaged, attempt: "verify the store", path: url.path,
        detail: "\(detail); copy the store again or prepare anew")
    }
    let entries = try (0..<description.clips.total).map { try entry($0) }
    guard Self.contentDigest(of: entries) == description.contentDigest else {
      throw mismatch("its clips are not those of the fingerprint")
    }
    for (k, tag) in description.tags.enumerated() {
      for split in Split.allCases {
        let count = entries[description.range(of: split)].count { $0.has(label: k) }
        guard count == tag.counts[split] else {
          throw mismatch("the tag \(quoted(tag.name)) has \(count) clips, not \(tag.counts[split])")
        }
      }
    }
  }

  /// SHA-256 over every clip's id, labels and checksum of features, in order.
  static func contentDigest(of entries: [Entry]) -> String {
    var digest = Digest("tutti clips 1")
    for entry in entries {
      digest.add(entry.id)
      digest.add(Int(bitPattern: UInt(entry.featureChecksum)))
      entry.labelWords.map(\.littleEndian).withUnsafeBytes { digest.add($0) }
    }
    return digest.hexadecimal()
  }
}

extension ClipTable.Entry {
  fileprivate func has(label k: Int) -> Bool { labelWords[k / 64] >> UInt64(k % 64) & 1 == 1 }
}
