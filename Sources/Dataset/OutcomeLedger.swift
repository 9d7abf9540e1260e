import Synchronization

/// What became of a clip on its way into a store.
enum ClipOutcome: Sendable, Equatable {
  case stored(checksum: UInt64)
  case quarantined(reason: String)

  var checksum: UInt64? {
    if case .stored(let checksum) = self { checksum } else { nil }
  }

  var reason: String? {
    if case .quarantined(let reason) = self { reason } else { nil }
  }

  /// Of the reason, what stands before its colon: "silent".
  var kind: String? { reason.map { String($0.prefix { $0 != ":" }) } }
}

/// What has become so far of the clips of a plan's share; any number of threads may ask and tell.
final class OutcomeLedger: Sendable {
  private let plan: StorePlan
  private let state: Mutex<State>

  private enum Stage {
    case awaited, claimed
    case settled(ClipOutcome)

    var outcome: ClipOutcome? {
      if case .settled(let outcome) = self { outcome } else { nil }
    }
  }

  /// All by clip or block, counted from the share's first one.
  private struct State {
    var stages: [Stage]
    /// Clips of each block that are not yet settled.
    var awaited: [Int]
    /// Clips of the blocks that are on the disk, with their lines in the journal.
    var safe = 0
  }

  init(_ plan: StorePlan) {
    self.plan = plan
    state = Mutex(
      State(
        stages: Array(repeating: .awaited, count: plan.indices.count),
        awaited: plan.blocks.map { plan.indices(ofBlock: $0).count }))
  }

  /// Says that a clip is being dealt with.
  ///
  /// - Precondition: it was not before
  func claim(_ index: Int) {
    let place = index - plan.indices.lowerBound
    state.withLock { state in
      guard case .awaited = state.stages[place] else {
        preconditionFailure("clip \(index) is dealt with twice")
      }
      state.stages[place] = .claimed
    }
  }

  /// Says that a clip is to be dealt with after all.
  func unclaim(_ index: Int) {
    state.withLock { $0.stages[index - plan.indices.lowerBound] = .awaited }
  }

  /// - Returns: what became of all clips of the block, for whoever settles the last of them
  func settle(_ index: Int, _ outcome: ClipOutcome) -> [ClipOutcome]? {
    let block = index / plan.identity.clipsPerBlock
    return state.withLock { state in
      state.stages[index - plan.indices.lowerBound] = .settled(outcome)
      state.awaited[block - plan.blocks.lowerBound] -= 1
      guard state.awaited[block - plan.blocks.lowerBound] == 0 else { return nil }
      return state.stages[plan.places(ofBlock: block)].compactMap(\.outcome)
    }
  }

  /// Notes a block that is on the disk, once.
  func finish(_ block: Int, _ outcomes: [ClipOutcome]) {
    state.withLock { state in
      for (place, outcome) in zip(plan.places(ofBlock: block), outcomes) {
        state.stages[place] = .settled(outcome)
      }
      state.awaited[block - plan.blocks.lowerBound] = 0
      state.safe += plan.indices(ofBlock: block).count
    }
  }

  /// The clips that are not settled, as indices of the plan's records.
  var remaining: [Int] {
    let indices = plan.indices
    return state.withLock { state in
      indices.filter { state.stages[$0 - indices.lowerBound].outcome == nil }
    }
  }

  /// What became of the clips that are settled, in their order.
  var outcomes: [ClipOutcome] { state.withLock { $0.stages.compactMap(\.outcome) } }

  /// How many clips are in blocks that are on the disk.
  var safeClips: Int { state.withLock { $0.safe } }
}
