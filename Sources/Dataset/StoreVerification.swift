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
    var digest = ContentDigest()
    var counts = [StoreDescription.SplitCounts](repeating: .init(), count: description.tags.count)
    var textBytes = 0
    for split in Split.allCases {
      for clip in description.range(of: split) {
        let entry = try entry(clip)
        digest.add(entry)
        for k in counts.indices where entry.has(label: k) { counts[k][split] += 1 }
        textBytes += entry.id.utf8.count + entry.path.utf8.count
        // Records may share text, but not as much as would keep the reader busy for ever.
        guard textBytes <= description.textBytes else {
          throw mismatch("its clips' texts are longer than the table's")
        }
      }
    }
    guard digest.hexadecimal() == description.contentDigest else {
      throw mismatch("its clips are not those of the fingerprint")
    }
    for (tag, count) in zip(description.tags, counts) where count != tag.counts {
      throw mismatch("the tag \(quoted(tag.name)) has other clips than the description says")
    }
  }

  /// SHA-256 over every clip's id, labels and checksum of features, in order.
  static func contentDigest(of entries: [Entry]) -> String {
    var digest = ContentDigest()
    for entry in entries { digest.add(entry) }
    return digest.hexadecimal()
  }

  private struct ContentDigest {
    private var digest = Digest("tutti clips 1")

    mutating func add(_ entry: Entry) {
      digest.add(entry.id)
      digest.add(Int(bitPattern: UInt(entry.featureChecksum)))
      entry.labelWords.map(\.littleEndian).withUnsafeBytes { digest.add($0) }
    }

    func hexadecimal() -> String { digest.hexadecimal() }
  }
}

extension ClipTable.Entry {
  fileprivate func has(label k: Int) -> Bool { labelWords[k / 64] >> UInt64(k % 64) & 1 == 1 }
}
