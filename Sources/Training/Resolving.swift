import Dataset

/// What a configuration leaves to the store, and what of it a store may not fit.
extension Configuration {
  /// This configuration with nothing left to the store: `loss.kind: auto` becomes softmax where every
  /// training clip has exactly one tag, and binary elsewhere; `loss.positiveWeight: balanced` becomes
  /// the list of weights. What is resolved stays as it is.
  ///
  /// - Throws: `TrainingError` if the loss or the augmentation does not fit the store
  package func resolved(for store: Store) throws -> Configuration {
    var resolved = self
    if loss.kind == .auto {
      resolved.loss.kind =
        try SplitLabels(store, .train).isSingleLabel && store.tags.count > 1 ? .softmax : .binary
    }
    if loss.positiveWeight == .balanced {
      resolved.loss.positiveWeight = .each(balancedWeights(for: store))
    }
    try resolved.requireLoss(for: store)
    try requireAugmentation(for: store)
    return resolved
  }

  /// Each tag's negatives over its positives among the training clips, to three decimals, at most
  /// `loss.maximumPositiveWeight`; 1 for a tag that all or none of them have.
  private func balancedWeights(for store: Store) -> [Double] {
    let clips = store.clipCount(in: .train)
    return store.tagCounts(in: .train).map { positives in
      guard positives > 0, positives < clips else { return 1 }
      let weight = Double(clips - positives) / Double(positives)
      return min(max((weight * 1000).rounded() / 1000, 0.001), loss.maximumPositiveWeight)
    }
  }

  private func requireLoss(for store: Store) throws {
    if loss.kind == .softmax && loss.positiveWeight != .none {
      throw TrainingError(
        .badInput,
        "loss.positiveWeight goes with the binary loss, and the loss is softmax, where a clip has one "
          + "tag and no tag has negatives of its own: set it to none, or loss.kind to binary")
    }
    if case .each(let weights) = loss.positiveWeight, weights.count != store.tags.count {
      throw TrainingError(
        .badInput,
        "loss.positiveWeight has \(weights.count) numbers, and \(store.directory.path) has "
          + "\(store.tags.count) tags: give one for each, one for all, or balanced")
    }
  }

  private func requireAugmentation(for store: Store) throws {
    func refuse(_ key: String, _ value: Int, _ problem: String) -> TrainingError {
      TrainingError(.badInput, "augmentation.\(key) is \(value), and \(problem)")
    }
    if let frames = augmentation.cropFrames, frames > store.frames {
      throw refuse(
        "cropFrames", frames,
        "the clips in \(store.directory.path) have \(store.frames) frames: lower it, or prepare longer "
          + "clips")
    }
    let frames = augmentation.cropFrames ?? store.frames
    if augmentation.timeMasks > 0 && augmentation.timeMaskFrames > frames {
      throw refuse(
        "timeMaskFrames", augmentation.timeMaskFrames, "the network sees \(frames) frames: lower it"
      )
    }
    if augmentation.bandMasks > 0 && augmentation.bandMaskBands > store.bands {
      throw refuse(
        "bandMaskBands", augmentation.bandMaskBands,
        "the clips in \(store.directory.path) have \(store.bands) bands: lower it")
    }
  }
}
