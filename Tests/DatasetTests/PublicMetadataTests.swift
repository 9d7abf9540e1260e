import Dataset
import Foundation
import Testing

/// The folder with genuine metadata, a folder for each data set: msd, magnatagatune and so on.
private let publicMetadata = ProcessInfo.processInfo.environment["TUTTI_PUBLIC_METADATA"].map {
  URL(fileURLWithPath: $0)
}

/// What the published files hold, checked where somebody has them:
///
///     TUTTI_PUBLIC_METADATA=folder swift test --filter PublicMetadata
@Suite("Public metadata", .enabled(if: publicMetadata != nil))
struct PublicMetadataTests {
  private func imported(
    _ name: String, _ change: (inout ImportRequest) -> Void = { _ in }
  ) throws -> Imported {
    let folder = try #require(publicMetadata).appendingPathComponent(name)
    var request = ImportRequest(metadata: folder)
    change(&request)
    return try request.imported(by: #require(Importers.named(name)))
  }

  private func has(_ path: String) -> Bool {
    publicMetadata.map {
      FileManager.default.fileExists(atPath: $0.appendingPathComponent(path).path)
    } ?? false
  }

  @Test("the Million Song Dataset has its rows, its two shared files and its labels")
  func msd() throws {
    let imported = try imported("msd")
    #expect(imported.report.rows == [201_680, 12_634, 28_540])
    #expect(imported.report.clips == [201_678, 12_634, 28_540])
    #expect(imported.tags.count == 50)
    #expect(imported.tags.first == "rock" && imported.tags.last == "happy")
    #expect(imported.report.defects.counts[.mergedFile] == 2)
    for (part, split) in [("train", 0), ("valid", 1), ("test", 2)] where has("msd/\(part)_y.npy") {
      let y = try NumPyArray(
        try #require(publicMetadata).appendingPathComponent("msd/\(part)_y.npy"))
      var sums = [Float](repeating: 0, count: 50)
      for (index, value) in y.floats().enumerated() { sums[index % 50] += value }
      // In the training split two pairs of rows are one clip each.
      for (tag, sum) in zip(imported.report.tags, sums) {
        #expect(abs(tag.clips[split] - Int(sum)) <= (split == 0 ? 2 : 0), "\(tag.tag)")
      }
      #expect(imported.report.kept[split] == imported.report.clips[split])
    }
  }

  @Test("MagnaTagATune's lists have their clips")
  func magnatagatune() throws {
    let imported = try imported("magnatagatune") { $0.selection.keepsUntagged = true }
    #expect(imported.report.kept[1] == 1_825)
    #expect(imported.tags.count == 50)
    #expect(imported.tags.first == "guitar" && imported.tags.last == "choral")
    #expect(imported.manifest.records.allSatisfy { $0.work != nil })
  }

  @Test(
    "MTG-Jamendo's subsets have their tracks and tags",
    arguments: [("top50tags", 54_380, 50), ("genre", 55_094, 87)])
  func jamendo(subset: String, tracks: Int, tags: Int) throws {
    let imported = try imported("mtg-jamendo") {
      $0.subset = subset
      $0.policy = .strict
    }
    #expect(imported.report.kept.reduce(0, +) == tracks)
    #expect(imported.tags.count == tags)
    #expect(imported.report.tags.allSatisfy { $0.clips.allSatisfy { $0 > 0 } })
  }

  @Test(
    "GTZAN's lists have their clips",
    arguments: [("filtered", [443, 197, 290]), ("stratified", [500, 250, 250])])
  func gtzan(subset: String, clips: [Int]) throws {
    let imported = try imported("gtzan") {
      $0.subset = subset
      $0.policy = .strict
    }
    #expect(imported.report.kept == clips)
    #expect(imported.tags.count == 10)
  }

  @Test("FMA's tables have their tracks", .enabled(if: publicMetadata != nil))
  func fma() throws {
    guard has("fma/tracks.csv") else { return }
    let small = try imported("fma") { $0.subset = "small" }
    #expect(small.report.kept.reduce(0, +) == 8_000)
    #expect(small.tags.count == 8)
  }
}
