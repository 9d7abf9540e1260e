import Cluster
import Dataset
import Foundation

/// Coordinator and worker train on the same store, or say in what theirs differ.
extension Welcome {
  private static let featuresKey = "features"

  package init(
    _ configuration: Configuration, _ store: Store, topology: TopologyChoice = .star,
    traces: Bool = false
  ) throws {
    let features = String(decoding: try JSONEncoder().encode(store.settings), as: UTF8.self)
    self.init(
      configuration: configuration.yaml, storeFingerprint: store.fingerprint,
      more: [Self.featuresKey: features].merging(
        topology == .star ? [:] : [WorkerLife.topologyKey: topology.rawValue]
      ) { $1 }.merging(traces ? [WorkerSpans.key: ""] : [:]) { $1 })
  }

  /// - Throws: `DatasetError` if a worker's store is another one: with the first setting of its features that
  ///   differs, or else with both fingerprints
  package func require(_ store: Store) throws {
    if store.fingerprint != storeFingerprint,
      let text = more[Self.featuresKey],
      let settings = try? JSONDecoder().decode([FeatureSetting].self, from: Data(text.utf8))
    {
      try store.requireSettings(settings, of: "the coordinator's store")
    }
    try store.require(fingerprint: storeFingerprint)
  }
}
