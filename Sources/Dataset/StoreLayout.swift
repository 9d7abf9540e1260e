/// Where a store's clips lie in its block files.
struct StoreLayout: Sendable {
  let clipBytes: Int
  /// The first clip of each block, and the number of all.
  private let bounds: [Int]

  init(_ description: StoreDescription) {
    clipBytes = description.clipBytes
    bounds = description.blocks.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.clips) }
  }

  var blockCount: Int { bounds.count - 1 }
  var clipCount: Int { bounds[blockCount] }

  func clips(ofBlock block: Int) -> Range<Int> { bounds[block]..<bounds[block + 1] }

  func byteCount(ofBlock block: Int) -> Int { clips(ofBlock: block).count * clipBytes }

  /// By bisection.
  func place(ofClip clip: Int) -> (block: Int, bytes: Range<Int>) {
    precondition((0..<clipCount).contains(clip), "clip \(clip) of a store of \(clipCount)")
    var (low, high) = (0, blockCount)
    while high - low > 1 {
      let middle = (low + high) / 2
      if bounds[middle] <= clip { low = middle } else { high = middle }
    }
    let start = (clip - bounds[low]) * clipBytes
    return (low, start..<start + clipBytes)
  }
}
