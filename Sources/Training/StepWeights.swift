import Cluster

/// The weights of the present step, as they go to the workers.
struct StepWeights {
  let parameters: Parameters
  /// Who passes a slice of them on to the others.
  var bearers: [PeerID]
  /// Who has asked for all of them, and got them.
  var takers: Set<PeerID> = []
  /// Content hash; 0 before `seal`.
  private(set) var hash: UInt64 = 0

  /// None yet.
  init() { self.init([], step: 0, bearers: []) }

  init(_ weights: FloatVector, step: Int, bearers: [PeerID]) {
    parameters = Parameters(step: step, values: weights)
    self.bearers = bearers
  }

  var isEmpty: Bool { parameters.values.count == 0 }

  /// Computes the hash, while what needs none is on its way.
  mutating func seal() { hash = parameters.values.withSpan(contentHash) }

  /// What each bearer gets; sealed.
  var slices: [(owner: PeerID, slice: Slice)] {
    if bearers.isEmpty { return [] }
    let slices = Slices(of: parameters.values.count, for: bearers.count)
    return bearers.enumerated().map { index, owner in
      let values = parameters.values.slice(slices[index])
      return (owner, Slice(step: parameters.step, index: index, values: values, hash: hash))
    }
  }
}
