import CSodium
import CXXHash
import Dataset
import Foundation

/// The files of a store as one input, and how an attacker who knows the format would fit them to
/// each other. `StoreDescription` and `ClipTable` describe the files.
struct StoreInput {
  static let cut = FolderInput.cut

  var description: [UInt8]
  var table: [UInt8]
  var blocks: [[UInt8]]

  /// Cuts an input; what is missing is empty.
  init(_ bytes: [UInt8]) {
    let files = pieces(of: bytes, cutBy: Self.cut).map { Array($0) }
    description = files[0]
    table = files.count > 1 ? files[1] : []
    blocks = Array(files.dropFirst(2))
  }

  init(folder: URL) throws {
    func file(_ name: String) throws -> [UInt8] {
      Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }
    description = try file("store.json")
    table = try file("clips.table")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    blocks = try names.filter { $0.hasSuffix(".f16") }.sorted().map(file)
  }

  var bytes: [UInt8] {
    Array(([description, table] + blocks).joined(separator: Array(Self.cut.utf8)))
  }

  func write(to scratch: Scratch) throws {
    _ = try scratch.file("store.json", description)
    _ = try scratch.file("clips.table", table)
    for (number, block) in blocks.enumerated() {
      _ = try scratch.file("block-" + String(String(100_000 + number).dropFirst()) + ".f16", block)
    }
  }

  // MARK: Fitting

  /// What `store.json` says beside its digests.
  private struct Claims: Decodable {
    let bands, frames, textBytes: Int
    let settings: [FeatureSetting]
    let tags: [StoreDescription.Tag]
    let clips: StoreDescription.SplitCounts
    let blocks: [Claim]
    struct Claim: Decodable { let clips: Int }
  }

  private static let headerBytes = 64

  /// The same store with sizes of files, checksums and fingerprint as its description wants them;
  /// the input as it is if it has no such description, or one of a store too large to try.
  func sealed() -> StoreInput {
    let small = 0...1 << 16
    guard let claims = try? JSONDecoder().decode(Claims.self, from: Data(description)),
      ([claims.bands, claims.frames, claims.textBytes] + claims.blocks.map(\.clips))
        .allSatisfy(small.contains)
    else { return self }
    let words = (claims.tags.count + 63) / 64
    let recordBytes = 32 + 8 * words
    let clips = claims.blocks.reduce(0) { $0 + $1.clips }
    let clipBytes = 2 * claims.bands * claims.frames
    guard small.contains(clips * recordBytes), small.contains(clips * clipBytes) else {
      return self
    }

    var sealed = self
    sealed.blocks = claims.blocks.enumerated().map { number, block in
      Self.sized(number < blocks.count ? blocks[number] : [], block.clips * clipBytes)
    }
    sealed.table = Self.sized(table, Self.headerBytes + clips * recordBytes + claims.textBytes)
    let features = sealed.blocks.joined()
    var checksums: [UInt64] = []
    for clip in 0..<clips {
      let bytes = Array(features.dropFirst(clip * clipBytes).prefix(clipBytes))
      checksums.append(bytes.withUnsafeBytes { xxh3($0.baseAddress, $0.count) })
      sealed.sealRecord(
        clip, at: Self.headerBytes + clip * recordBytes, count: recordBytes,
        features: checksums[clip], text: Self.headerBytes + clips * recordBytes)
    }
    let digest = sealed.contentDigest(
      clips: clips, recordBytes: recordBytes, text: Self.headerBytes + clips * recordBytes)
    sealed.describe(claims, checksums: checksums, recordBytes: recordBytes, contentDigest: digest)
    return sealed
  }

  /// A record whose text lies in the table gets its checksums.
  private mutating func sealRecord(
    _ clip: Int, at start: Int, count: Int, features: UInt64, text textStart: Int
  ) {
    table.withUnsafeMutableBytes { table in
      table.storeBytes(of: features.littleEndian, toByteOffset: start + 8, as: UInt64.self)
      func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> Int? {
        Int(exactly: table.loadUnaligned(fromByteOffset: start + offset, as: type))
      }
      guard let offset = load(16, UInt64.self), let id = load(24, UInt32.self),
        let path = load(28, UInt32.self), offset <= table.count - textStart,
        id + path <= table.count - textStart - offset
      else { return }
      let text = UnsafeRawBufferPointer(table)[(textStart + offset)...].prefix(id + path)
      let seed = xxh3_with_seed(table.baseAddress! + start + 8, count - 8, UInt64(clip))
      let checksum = UnsafeRawBufferPointer(rebasing: text).baseAddress.map {
        xxh3_with_seed($0, id + path, seed)
      }
      table.storeBytes(of: checksum ?? 0, toByteOffset: start, as: UInt64.self)
    }
  }

  /// SHA-256 over every clip's id, checksum of features and labels, texts and labels after their
  /// lengths.
  private func contentDigest(clips: Int, recordBytes: Int, text: Int) -> String {
    var state = crypto_hash_sha256_state()
    crypto_hash_sha256_init(&state)
    func add(_ bytes: some Collection<UInt8>, withLength: Bool = true) {
      let length = withUnsafeBytes(of: Int64(bytes.count).littleEndian) { Array($0) }
      let field = withLength ? length + bytes : Array(bytes)
      crypto_hash_sha256_update(&state, field, UInt64(field.count))
    }
    add("tutti clips 1".utf8)
    for clip in 0..<clips {
      let record = table.dropFirst(Self.headerBytes + clip * recordBytes).prefix(recordBytes)
      let (offset, id) = record.withUnsafeBytes {
        (
          $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
          $0.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
        )
      }
      let start = min(offset, UInt64(table.count - text))
      add(String(decoding: table[(text + Int(start))...].prefix(Int(id)), as: UTF8.self).utf8)
      add(record.dropFirst(8).prefix(8), withLength: false)
      add(record.dropFirst(32))
    }
    var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_bytes()))
    crypto_hash_sha256_final(&state, &digest)
    return digest.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
  }

  /// Writes the description, and the table's header that repeats it.
  private mutating func describe(
    _ claims: Claims, checksums: [UInt64], recordBytes: Int, contentDigest: String
  ) {
    var rest = checksums[...]
    let blocks = claims.blocks.map { block in
      let sums = Array(rest.prefix(block.clips))
      rest = rest.dropFirst(block.clips)
      return StoreDescription.Block(clips: block.clips, checksum: Store.blockChecksum(sums))
    }
    let description = StoreDescription(
      bands: claims.bands, frames: claims.frames, settings: claims.settings, tags: claims.tags,
      clips: claims.clips, blocks: blocks, textBytes: claims.textBytes,
      contentDigest: contentDigest)
    guard let json = try? description.json() else { return }
    self.description = Array(json)
    let header: [UInt64] = [
      0x0031_5350_494C_4354, 1 | UInt64(recordBytes) << 32, UInt64(checksums.count),
      UInt64(claims.textBytes),
    ]
    let digits = Array(description.fingerprint)
    let fingerprint = stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
    }
    table.replaceSubrange(
      0..<Self.headerBytes, with: header.withUnsafeBytes { Array($0) } + fingerprint)
  }

  private static func sized(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
    Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
  }
}
